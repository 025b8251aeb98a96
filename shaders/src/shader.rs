//! Every kernel, and what its variants differ in.

use std::fmt;

use crate::{Binding, CoopTile, Weights};

/// A kernel with everything in it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shader {
    /// A weight times a few rows of activations.
    Matvec {
        /// How the weight is stored.
        weights: Weights,
        /// How the activations are stored.
        activations: Activations,
        /// What becomes of the sums.
        epilogue: Epilogue,
        /// How sums over a workgroup are made.
        reduce: Reduce,
        /// Threads of a workgroup, at least `rows * columns`; rows of the weight that it takes, even for [`Epilogue::Gate`].
        form: Form,
        /// Most rows of activations.
        columns: u32,
    },
    /// A weight times many rows of activations.
    Matmul {
        /// How the weight is stored.
        weights: Weights,
        /// How the activations are stored.
        activations: Activations,
        /// What becomes of the sums.
        epilogue: Epilogue,
    },
    /// A weight times many rows of activations, as half floats in cooperative matrices.
    MatmulCoop {
        /// How the weight is stored.
        weights: Weights,
        /// How the activations are stored.
        activations: Activations,
        /// What becomes of the sums.
        epilogue: Epilogue,
        /// How a workgroup shares its work out.
        tile: CoopTile,
    },
    /// The activation of one weight times a few rows of 8-bit activations, times that of another, in 8 bits.
    GatedQuantized {
        /// How both weights are stored: as for [`Epilogue::Gate`].
        weights: Weights,
        /// The non-linearity.
        activation: Activation,
        /// Threads of a team; outputs that it makes, a power of two up to 32. A workgroup has as many teams as make 32.
        form: Form,
        /// Most rows of activations.
        columns: u32,
    },
    /// The choice of a token's experts, of at most [`Shader::MOST_EXPERTS`].
    Route,
    /// The matrices of the experts that each token chose, or of its heads, times its activations.
    ExpertLinear {
        /// Whether tokens choose; if not, each head has a matrix of its own.
        chosen: bool,
        /// How the matrices are stored.
        weights: Weights,
        /// How the activations are stored.
        activations: Activations,
        /// How sums over a workgroup are made.
        reduce: Reduce,
        /// Threads of a workgroup; rows that it takes.
        form: Form,
    },
    /// What the experts of each token say together.
    ExpertSum,
    /// Some values of each head.
    HeadSlice,
    /// The values of each head behind those of another.
    HeadConcat,
    /// Activations to 8 bits.
    Quantize,
    /// Token lookup.
    Embed {
        /// How the table is stored.
        weights: Weights,
    },
    /// The rows whose logits are wanted.
    Select,
    /// RMS norm.
    RmsNorm {
        /// How sums over a workgroup are made.
        reduce: Reduce,
        /// Threads of a workgroup, a power of two.
        threads: u32,
    },
    /// RMS norm whose result is made 8 bits at once.
    RmsNormQuantized {
        /// How sums over a workgroup are made.
        reduce: Reduce,
        /// Threads of a workgroup, a power of two.
        threads: u32,
        /// Blocks of 32 values that each of them takes, at most.
        blocks: u32,
    },
    /// Rotary position embedding.
    Rope,
    /// Rotary position embedding of queries and keys, and keys and values into their pages.
    RopeKv {
        /// How keys and values are stored there.
        kv: Kv,
    },
    /// Keys and values into their pages.
    KvWrite {
        /// How they are stored there.
        kv: Kv,
    },
    /// Attention, or one split of it.
    Attention {
        /// How keys and values are stored.
        kv: Kv,
        /// Most queries of a workgroup; a power of two, at most [`Shader::ATTENTION_THREADS`].
        queries: u32,
        /// Half of the values of a head.
        head_pairs: u32,
        /// Whether the result is made 8 bits at once; heads are then whole blocks of 32.
        quantized: bool,
    },
    /// Attention of few tokens, or one split of it; heads of a multiple of 4 values.
    Decode {
        /// How keys and values are stored.
        kv: Kv,
        /// Most queries of a workgroup, up to 8.
        queries: u32,
        /// Half of the values of a head.
        head_pairs: u32,
        /// As in [`Shader::Attention`].
        quantized: bool,
    },
    /// The splits of attention put together.
    Merge {
        /// Half of the values of a head.
        head_pairs: u32,
        /// As in [`Shader::Attention`].
        quantized: bool,
    },
    /// Activation of the gate, times the other half.
    Gate {
        /// The non-linearity.
        activation: Activation,
    },
    /// Sum of two values.
    Add,
    /// A value times a factor.
    Scale,
    /// A value kept below a cap.
    SoftCap,
    /// The most likely tokens of each part of the vocabulary.
    Candidates,
    /// A token from all of them.
    Choose,
    /// A buffer read and nothing done with it, to measure the memory.
    ReadAll,
}

/// How threads share the rows of a weight. All forms give the same, in different times on different cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// Threads that work on the same rows, a power of two.
    pub threads: u32,
    /// Rows that they work on at the same time.
    pub rows: u32,
}

impl Form {
    /// Not at all: what the kernel does is left to others.
    pub const NONE: Form = Form { threads: 0, rows: 0 };
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.threads, self.rows)
    }
}

/// How a matmul's activations are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activations {
    /// Float32, in rows of a multiple of 32.
    F32,
    /// Float32, in rows of any length.
    Ragged,
    /// 8-bit blocks of 32, multiplied as integers.
    A8,
}

/// What becomes of the sums of a matmul.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    /// They are the result.
    Store,
    /// A bias is added.
    Bias,
    /// Another value is added.
    Add,
    /// They are those of three weights, each with a bias.
    Three,
    /// The activation of one, times another: the rows of two weights alternate in runs of [`Epilogue::RUN`].
    Gate(Activation),
}

impl Epilogue {
    /// Rows of one weight before those of the other come.
    pub const RUN: usize = 16;

    /// Rows of the weight that make one output.
    pub fn rows_per_output(self) -> u32 {
        if matches!(self, Epilogue::Gate(_)) { 2 } else { 1 }
    }

    fn name(self) -> &'static str {
        match self {
            Epilogue::Store | Epilogue::Bias => "",
            Epilogue::Add => "-add",
            Epilogue::Three => "-three",
            Epilogue::Gate(_) => "-gate",
        }
    }

    /// Its bindings after that of the result.
    fn bindings(self) -> &'static [Binding] {
        match self {
            Epilogue::Store | Epilogue::Gate(_) => &[],
            Epilogue::Bias | Epilogue::Add => &[Binding::Read(7)],
            Epilogue::Three => &[Binding::Read(7), Binding::Write(8), Binding::Write(9)],
        }
    }
}

/// How sums over a workgroup are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// In shared memory alone.
    Tree,
    /// By subgroup operations first.
    Subgroups,
}

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kv {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// 8 bits, 32 values to a scale; heads are then whole blocks of 32.
    Q8_0,
}

/// The non-linearity of a gated feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// Gemma's approximation of GELU.
    GeluTanh,
}

impl Shader {
    /// Threads of a workgroup of attention, which go through positions in blocks of as many.
    pub const ATTENTION_THREADS: u32 = 64;

    /// Rows of the weight and of the activations that a workgroup of [`Shader::Matmul`] takes.
    const MATMUL_TILE: (u32, u32) = (64, 32);

    /// Tokens that a workgroup of [`Shader::Candidates`] looks at, and candidates that one of [`Shader::Choose`] does.
    pub const CHOICE_PART: u32 = 4096;

    /// Experts that [`Shader::Route`] can choose from.
    pub const MOST_EXPERTS: u32 = 512;

    /// Threads of a workgroup of [`Shader::ReadAll`].
    pub const READ_THREADS: u32 = 256;

    /// The name in logs and benchmarks: `gpu-matvec-q4_kxa8-subgroups-64x4x1`.
    pub fn name(&self) -> String {
        match *self {
            Shader::Matvec { weights, activations, epilogue, reduce, form, columns } => {
                let (weights, activations, reduce) = (weights.name(), activations.name(), reduce.name());
                format!("gpu-matvec-{weights}x{activations}-{reduce}-{form}x{columns}{}", epilogue.name())
            }
            Shader::Matmul { weights, activations, epilogue } => {
                format!("gpu-matmul-{}x{}{}", weights.name(), activations.name(), epilogue.name())
            }
            Shader::MatmulCoop { weights, activations, epilogue, tile } => {
                let (weights, activations) = (weights.name(), activations.name());
                let (rows, columns) = (tile.rows(), tile.columns());
                format!("gpu-matmul_coop-{weights}x{activations}-{rows}x{columns}{}", epilogue.name())
            }
            Shader::GatedQuantized { weights, form, columns, .. } => {
                format!("gpu-gated_quantized-{}xa8-{form}x{columns}", weights.name())
            }
            Shader::ExpertLinear { chosen, weights, activations, reduce, form } => {
                let op = if chosen { "expert_linear" } else { "head_linear" };
                format!("gpu-{op}-{}x{}-{}-{form}", weights.name(), activations.name(), reduce.name())
            }
            Shader::Embed { weights } => format!("gpu-embed-{}", weights.name()),
            Shader::RmsNorm { reduce, .. } | Shader::RmsNormQuantized { reduce, .. } => {
                format!("gpu-{}-{}", self.entry(), reduce.name())
            }
            Shader::Attention { queries, kv, quantized, .. } => {
                format!("gpu-attention-{}-{queries}{}", kv.name(), if quantized { "-quantized" } else { "" })
            }
            Shader::Decode { queries, kv, quantized, .. } => {
                format!("gpu-decode-{}-{queries}{}", kv.name(), if quantized { "-quantized" } else { "" })
            }
            Shader::Merge { quantized: true, .. } => "gpu-merge-quantized".to_owned(),
            Shader::KvWrite { kv } | Shader::RopeKv { kv } => format!("gpu-{}-{}", self.entry(), kv.name()),
            _ => format!("gpu-{}", self.entry()),
        }
    }

    /// The entry point.
    pub fn entry(&self) -> &'static str {
        match self {
            Shader::Matvec { .. } => "matvec",
            Shader::Matmul { .. } => "matmul",
            Shader::MatmulCoop { .. } => "matmul_coop",
            Shader::GatedQuantized { .. } => "gated_quantized",
            Shader::Route => "route",
            Shader::ExpertLinear { .. } => "expert_linear",
            Shader::ExpertSum => "expert_sum",
            Shader::HeadSlice => "head_slice",
            Shader::HeadConcat => "head_concat",
            Shader::Quantize => "quantize",
            Shader::Embed { .. } => "embed",
            Shader::Select => "select_rows",
            Shader::RmsNorm { .. } => "rms_norm",
            Shader::RmsNormQuantized { .. } => "rms_norm_quantized",
            Shader::Rope => "rope",
            Shader::RopeKv { .. } => "rope_kv",
            Shader::KvWrite { .. } => "kv_write",
            Shader::Attention { .. } => "attention",
            Shader::Decode { .. } => "decode",
            Shader::Merge { .. } => "merge",
            Shader::Gate { .. } => "gated",
            Shader::Add => "add",
            Shader::Scale => "scale",
            Shader::SoftCap => "soft_cap",
            Shader::Candidates => "candidates_of_part",
            Shader::Choose => "choose",
            Shader::ReadAll => "read_all",
        }
    }

    /// Rows of the weight and of the activations that a workgroup takes, where it takes a tile of both.
    pub fn tile(&self) -> Option<(u32, u32)> {
        match self {
            Shader::Matmul { .. } => Some(Shader::MATMUL_TILE),
            Shader::MatmulCoop { tile, .. } => Some((tile.rows(), tile.columns())),
            _ => None,
        }
    }

    /// What bind group 0 holds.
    pub fn bindings(&self) -> Vec<Binding> {
        use Binding::{Params, Read, Write};
        match *self {
            Shader::Matvec { weights, activations, epilogue, .. }
            | Shader::Matmul { weights, activations, epilogue }
            | Shader::MatmulCoop { weights, activations, epilogue, .. } => {
                let mut bindings = vec![Params];
                bindings.extend((1..=weights.n_planes()).map(Read));
                bindings.push(Read(4));
                bindings.extend((activations == Activations::A8).then_some(Read(5)));
                bindings.push(Write(6));
                bindings.extend(epilogue.bindings());
                bindings
            }
            Shader::ExpertLinear { chosen, weights, activations, .. } => {
                let mut bindings = vec![Params];
                bindings.extend((1..=weights.n_planes()).map(Read));
                bindings.push(Read(4));
                bindings.extend((activations == Activations::A8).then_some(Read(5)));
                bindings.push(Write(6));
                bindings.extend(chosen.then_some(Read(7)));
                bindings
            }
            Shader::Embed { weights } => {
                let planes = (1..=weights.n_planes()).map(Read);
                [Params].into_iter().chain(planes).chain([Write(4), Read(5)]).collect()
            }
            Shader::Quantize => vec![Params, Read(1), Write(2), Write(3)],
            Shader::GatedQuantized { weights, .. } => {
                let planes = (1..=weights.n_planes()).map(Read);
                [Params].into_iter().chain(planes).chain([Read(4), Read(5), Write(6), Write(7)]).collect()
            }
            Shader::Select
            | Shader::Rope
            | Shader::Scale
            | Shader::SoftCap
            | Shader::HeadSlice
            | Shader::Candidates
            | Shader::ReadAll => {
                vec![Params, Read(1), Write(2)]
            }
            Shader::Choose => vec![Params, Read(1), Write(2), Write(3)],
            Shader::RmsNorm { .. }
            | Shader::Gate { .. }
            | Shader::Add
            | Shader::Route
            | Shader::ExpertSum
            | Shader::HeadConcat => {
                vec![Params, Read(1), Read(2), Write(3)]
            }
            Shader::RmsNormQuantized { .. } => vec![Params, Read(1), Read(2), Write(3), Write(4)],
            Shader::KvWrite { kv } => {
                let mut bindings = vec![Params, Read(2), Read(3), Write(5), Write(6)];
                bindings.extend((kv == Kv::Q8_0).then_some(Write(7)));
                bindings
            }
            Shader::RopeKv { kv } => {
                let mut bindings = vec![Params, Read(1), Read(2), Read(3), Write(4), Write(5), Write(6)];
                bindings.extend((kv == Kv::Q8_0).then_some(Write(7)));
                bindings
            }
            Shader::Attention { kv, quantized, .. } | Shader::Decode { kv, quantized, .. } => {
                let mut bindings = vec![Params, Read(1), Read(2), Read(3), Write(4), Write(5)];
                bindings.extend(quantized.then_some(Write(6)));
                bindings.extend((kv == Kv::Q8_0).then_some(Read(7)));
                bindings
            }
            Shader::Merge { quantized, .. } => {
                let mut bindings = vec![Params, Read(4), Write(5)];
                bindings.extend(quantized.then_some(Write(6)));
                bindings
            }
        }
    }
}

impl Activations {
    fn name(self) -> &'static str {
        match self {
            Activations::F32 => "f32",
            Activations::Ragged => "ragged",
            Activations::A8 => "a8",
        }
    }
}

impl Reduce {
    fn name(self) -> &'static str {
        match self {
            Reduce::Tree => "tree",
            Reduce::Subgroups => "subgroups",
        }
    }
}

impl Kv {
    fn name(self) -> &'static str {
        match self {
            Kv::F16 => "f16",
            Kv::F32 => "f32",
            Kv::Q8_0 => "q8_0",
        }
    }
}

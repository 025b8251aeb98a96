//! The text of a shader: its constants, and the files that it is made of.

use std::fmt::Write;

use crate::{Activation, Activations, Epilogue, Form, Kv, MOST_TOP_K, Matrices, Reduce, Shader};

impl Shader {
    /// The WGSL text.
    pub fn source(&self) -> String {
        let mut text = String::new();
        if let Shader::MatmulCoop { .. } = self {
            text.push_str("enable f16;\nenable wgpu_cooperative_matrix;\n");
        }
        if self.multiplies_bytes() {
            text.push_str("requires packed_4x8_integer_dot_product;\n");
        }
        for (name, value) in self.constants() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "const {name}: u32 = {value}u;");
        }
        for part in self.parts() {
            text.push('\n');
            text.push_str(part);
        }
        text
    }

    fn multiplies_bytes(&self) -> bool {
        matches!(
            self,
            Shader::Matvec { activations: Activations::A8, .. }
                | Shader::Matmul { activations: Activations::A8, .. }
                | Shader::ExpertLinear { activations: Activations::A8, .. }
                | Shader::GatedQuantized { .. }
        )
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        match *self {
            Shader::Matvec { form: Form { threads, rows }, columns, .. } => {
                vec![("THREADS", threads), ("ROWS", rows), ("COLUMNS", columns)]
            }
            Shader::ExpertLinear { form: Form { threads, rows }, .. } => vec![("THREADS", threads), ("ROWS", rows)],
            Shader::Route => vec![("MOST_EXPERTS", Shader::MOST_EXPERTS)],
            Shader::MatmulCoop { tile, .. } => vec![
                ("SUBGROUP_SIZE", tile.subgroup_size),
                ("SUBGROUP_ROWS", tile.subgroup_rows),
                ("SUBGROUP_COLUMNS", tile.subgroup_columns),
            ],
            Shader::RmsNorm { threads, .. } => vec![("THREADS", threads)],
            Shader::RmsNormQuantized { threads, blocks, .. } => vec![("THREADS", threads), ("BLOCKS", blocks)],
            Shader::GatedQuantized { form: Form { threads, rows }, columns, .. } => {
                vec![("TEAM", threads), ("TEAM_OUTPUTS", rows), ("COLUMNS", columns)]
            }
            Shader::Merge { head_pairs, .. } => vec![("HEAD_PAIRS", head_pairs)],
            Shader::Decode { queries, head_pairs, .. } => vec![("QUERIES", queries), ("HEAD_PAIRS", head_pairs)],
            Shader::Attention { queries, head_pairs, .. } => {
                let pairs = head_pairs.div_ceil(Shader::ATTENTION_THREADS);
                vec![
                    ("THREADS", Shader::ATTENTION_THREADS),
                    ("QUERIES", queries),
                    ("HEAD_PAIRS", head_pairs),
                    ("PAIRS", pairs),
                ]
            }
            Shader::Candidates | Shader::Choose => vec![("MOST_TOP_K", MOST_TOP_K)],
            Shader::ReadAll => vec![("THREADS", Shader::READ_THREADS)],
            _ => Vec::new(),
        }
    }

    fn parts(&self) -> Vec<&'static str> {
        let mut parts = vec![include_str!("../wgsl/batch.wgsl")];
        match *self {
            Shader::Matvec { weights, activations, epilogue, reduce, .. } => {
                parts.push(include_str!("../wgsl/linear/matvec.wgsl"));
                parts.extend(linear(activations, epilogue));
                parts.push(self::reduce(reduce));
                parts.extend(weights.parts(activations != Activations::A8));
            }
            Shader::Matmul { weights, activations, epilogue } => {
                parts.push(include_str!("../wgsl/linear/matmul.wgsl"));
                parts.push(match activations {
                    Activations::A8 => include_str!("../wgsl/linear/tiles_a8.wgsl"),
                    Activations::F32 | Activations::Ragged => include_str!("../wgsl/linear/tiles_f32.wgsl"),
                });
                parts.extend(linear(activations, epilogue));
                parts.extend(weights.parts(activations != Activations::A8));
            }
            Shader::MatmulCoop { weights, activations, epilogue, tile } => {
                parts.push(include_str!("../wgsl/linear/matmul_coop.wgsl"));
                parts.push(match tile.matrices {
                    Matrices::Eight => include_str!("../wgsl/linear/coop/matrices_8.wgsl"),
                    Matrices::Sixteen => include_str!("../wgsl/linear/coop/matrices_16.wgsl"),
                });
                parts.push(match activations {
                    Activations::A8 => include_str!("../wgsl/linear/coop/values_a8.wgsl"),
                    Activations::F32 | Activations::Ragged => include_str!("../wgsl/linear/coop/values_f32.wgsl"),
                });
                parts.push(columns(activations));
                parts.extend(self::epilogue(epilogue));
                parts.extend(weights.parts(true));
            }
            Shader::GatedQuantized { weights, activation, .. } => {
                parts.push(include_str!("../wgsl/linear/gated_quantized.wgsl"));
                parts.extend([LINEAR_PARAMS, TWO_ROWS, self::activation(activation)]);
                parts.extend([columns(Activations::A8), dot(Activations::A8)]);
                parts.extend([BLOCK_SCALE, include_str!("../wgsl/quantize/block.wgsl")]);
                parts.push(include_str!("../wgsl/quantize/to_y.wgsl"));
                parts.extend(weights.parts(false));
            }
            Shader::Route => parts.push(include_str!("../wgsl/experts/route.wgsl")),
            Shader::ExpertLinear { chosen, weights, activations, reduce, .. } => {
                parts.extend([include_str!("../wgsl/experts/linear.wgsl"), columns(activations), dot(activations)]);
                parts.push(match chosen {
                    true => include_str!("../wgsl/experts/chosen.wgsl"),
                    false => include_str!("../wgsl/experts/heads.wgsl"),
                });
                parts.push(self::reduce(reduce));
                parts.extend(weights.parts(activations != Activations::A8));
            }
            Shader::ExpertSum => parts.push(include_str!("../wgsl/experts/sum.wgsl")),
            Shader::HeadSlice => parts.extend([include_str!("../wgsl/heads/slice.wgsl"), HEADS]),
            Shader::HeadConcat => parts.extend([include_str!("../wgsl/heads/concat.wgsl"), HEADS]),
            Shader::Quantize => parts.extend([include_str!("../wgsl/quantize/quantize.wgsl"), QUANTIZED_BLOCK]),
            Shader::Embed { weights } => {
                parts.push(include_str!("../wgsl/embed.wgsl"));
                parts.extend(weights.parts(true));
            }
            Shader::Select => parts.push(include_str!("../wgsl/select.wgsl")),
            Shader::RmsNorm { reduce, .. } => {
                parts.extend([include_str!("../wgsl/norm/rms_norm.wgsl"), self::reduce(reduce)]);
            }
            Shader::RmsNormQuantized { reduce, .. } => {
                parts.push(include_str!("../wgsl/norm/rms_norm_quantized.wgsl"));
                parts.extend([QUANTIZED_BLOCK, self::reduce(reduce)]);
            }
            Shader::Rope => parts.extend([include_str!("../wgsl/rope/rope.wgsl"), TURN]),
            Shader::RopeKv { kv } => {
                parts.extend([include_str!("../wgsl/rope/rope_kv.wgsl"), TURN]);
                parts.extend(kv_store(kv));
            }
            Shader::KvWrite { kv } => {
                parts.push(include_str!("../wgsl/kv/write.wgsl"));
                parts.extend(kv_store(kv));
            }
            Shader::Attention { kv, quantized, .. } => {
                parts.extend([include_str!("../wgsl/attention/attention.wgsl"), ATTENTION_PARAMS]);
                parts.extend(kv_pairs(kv));
                parts.extend(attention_store(quantized));
            }
            Shader::Decode { kv, quantized, .. } => {
                parts.extend([include_str!("../wgsl/attention/decode.wgsl"), ATTENTION_PARAMS]);
                parts.extend(kv_fours(kv));
                if quantized {
                    parts.extend([include_str!("../wgsl/attention/decode_store_quantized.wgsl"), QUANTIZED_BLOCK]);
                } else {
                    parts.push(include_str!("../wgsl/attention/decode_store.wgsl"));
                }
            }
            Shader::Merge { quantized, .. } => {
                parts.extend([include_str!("../wgsl/attention/merge.wgsl"), ATTENTION_PARAMS]);
                parts.extend(attention_store(quantized));
            }
            Shader::Gate { activation } => {
                parts.extend([include_str!("../wgsl/elements/gate.wgsl"), ELEMENTS, self::activation(activation)])
            }
            Shader::Add => parts.extend([include_str!("../wgsl/elements/add.wgsl"), ELEMENTS]),
            Shader::Scale => parts.extend([include_str!("../wgsl/elements/scale.wgsl"), ELEMENTS]),
            Shader::SoftCap => parts.extend([include_str!("../wgsl/elements/soft_cap.wgsl"), ELEMENTS]),
            Shader::Candidates => parts.extend([include_str!("../wgsl/choose/candidates.wgsl"), BEST]),
            Shader::Choose => parts.extend([include_str!("../wgsl/choose/choose.wgsl"), BEST]),
            Shader::ReadAll => parts.push(include_str!("../wgsl/read_all.wgsl")),
        }
        parts
    }
}

const BEST: &str = include_str!("../wgsl/choose/best.wgsl");
const ATTENTION_PARAMS: &str = include_str!("../wgsl/attention/params.wgsl");
const ELEMENTS: &str = include_str!("../wgsl/elements/params.wgsl");
const HEADS: &str = include_str!("../wgsl/heads/params.wgsl");
const QUANTIZED_BLOCK: &str = concat!(
    include_str!("../wgsl/quantize/scale.wgsl"),
    include_str!("../wgsl/quantize/block.wgsl"),
    include_str!("../wgsl/quantize/to_x.wgsl")
);
const BLOCK_SCALE: &str = include_str!("../wgsl/quantize/scale.wgsl");
const KV_F16: &str = include_str!("../wgsl/kv/floats/f16.wgsl");
const KV_F32: &str = include_str!("../wgsl/kv/floats/f32.wgsl");
const TURN: &str = include_str!("../wgsl/rope/turn.wgsl");

const LINEAR_PARAMS: &str = include_str!("../wgsl/linear/params.wgsl");
const TWO_ROWS: &str = include_str!("../wgsl/linear/two_rows.wgsl");

fn linear(activations: Activations, epilogue: Epilogue) -> Vec<&'static str> {
    let mut parts = vec![columns(activations), dot(activations)];
    parts.extend(self::epilogue(epilogue));
    parts
}

fn epilogue(epilogue: Epilogue) -> Vec<&'static str> {
    let mut parts = vec![LINEAR_PARAMS];
    let one_row = include_str!("../wgsl/linear/one_row.wgsl");
    match epilogue {
        Epilogue::Store => parts.extend([one_row, include_str!("../wgsl/linear/store.wgsl")]),
        Epilogue::Bias => parts.extend([one_row, include_str!("../wgsl/linear/store_biased.wgsl")]),
        Epilogue::Add => parts.extend([one_row, include_str!("../wgsl/linear/store_added.wgsl")]),
        Epilogue::Three => parts.extend([one_row, include_str!("../wgsl/linear/store_three.wgsl")]),
        Epilogue::Gate(activation) => {
            parts.extend([TWO_ROWS, include_str!("../wgsl/linear/store.wgsl"), self::activation(activation)])
        }
    }
    parts
}

fn columns(activations: Activations) -> &'static str {
    match activations {
        Activations::F32 => include_str!("../wgsl/linear/columns_f32.wgsl"),
        Activations::Ragged => include_str!("../wgsl/linear/columns_ragged.wgsl"),
        Activations::A8 => include_str!("../wgsl/linear/columns_a8.wgsl"),
    }
}

fn dot(activations: Activations) -> &'static str {
    match activations {
        Activations::F32 | Activations::Ragged => include_str!("../wgsl/linear/dot_f32.wgsl"),
        Activations::A8 => include_str!("../wgsl/linear/dot_a8.wgsl"),
    }
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => include_str!("../wgsl/elements/silu.wgsl"),
        Activation::GeluTanh => include_str!("../wgsl/elements/gelu_tanh.wgsl"),
    }
}

fn attention_store(quantized: bool) -> Vec<&'static str> {
    if quantized {
        vec![include_str!("../wgsl/attention/store_quantized.wgsl"), QUANTIZED_BLOCK]
    } else {
        vec![include_str!("../wgsl/attention/store.wgsl")]
    }
}

fn reduce(reduce: Reduce) -> &'static str {
    match reduce {
        Reduce::Tree => include_str!("../wgsl/reduce/tree.wgsl"),
        Reduce::Subgroups => include_str!("../wgsl/reduce/subgroups.wgsl"),
    }
}

fn kv_store(kv: Kv) -> [&'static str; 2] {
    let floats = include_str!("../wgsl/kv/floats/store.wgsl");
    match kv {
        Kv::F16 => [KV_F16, floats],
        Kv::F32 => [KV_F32, floats],
        Kv::Q8_0 => [BLOCK_SCALE, include_str!("../wgsl/kv/q8_0/store.wgsl")],
    }
}

fn kv_pairs(kv: Kv) -> Vec<&'static str> {
    let floats = include_str!("../wgsl/kv/floats/pairs.wgsl");
    match kv {
        Kv::F16 => vec![KV_F16, floats],
        Kv::F32 => vec![KV_F32, floats],
        Kv::Q8_0 => vec![include_str!("../wgsl/kv/q8_0/pairs.wgsl")],
    }
}

fn kv_fours(kv: Kv) -> Vec<&'static str> {
    let floats = include_str!("../wgsl/kv/floats/fours.wgsl");
    match kv {
        Kv::F16 => vec![KV_F16, floats],
        Kv::F32 => vec![KV_F32, floats],
        Kv::Q8_0 => vec![include_str!("../wgsl/kv/q8_0/fours.wgsl")],
    }
}

//! The ops a plan is made of.

use crate::{KvId, Rope, Routing, ValueId, WeightId};

/// The non-linearity of a gated feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, Gemma's.
    GeluTanh,
}

impl Activation {
    /// The function itself, in float32.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => {
                const SQRT_2_OVER_PI: f32 = 0.797_884_6;
                0.5 * x * (1.0 + (SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)).tanh())
            }
        }
    }
}

/// One step of a forward pass. Every op reads values and writes a fresh one; a value's shape is `[n_rows, width]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Looks up each token of the batch: `out[t] = table[token[t]]`.
    Embed {
        /// `[n_vocab, width]`, any format.
        table: WeightId,
        /// `[n_tokens, width]`.
        out: ValueId,
    },
    /// Keeps only the rows whose logits are wanted.
    Select {
        /// `[n_tokens, width]`.
        x: ValueId,
        /// `[n_outputs, width]`.
        out: ValueId,
    },
    /// `out = x / sqrt(mean(x^2) + eps) * weight`, over each run of `weight.len()` values: a whole row, or one head.
    RmsNorm {
        /// `[n, width]`, where `width` is a multiple of the weight's length.
        x: ValueId,
        /// `[len]`.
        weight: WeightId,
        /// Added to the mean square.
        eps: f32,
        /// Same shape as `x`.
        out: ValueId,
    },
    /// `out = x @ weight^T + bias`.
    Linear {
        /// `[n, n_in]`.
        x: ValueId,
        /// `[n_out, n_in]`, any format.
        weight: WeightId,
        /// `[n_out]`.
        bias: Option<WeightId>,
        /// `[n, n_out]`.
        out: ValueId,
    },
    /// Chooses the experts of each token, by the logits of a router.
    Route {
        /// `[n, n_experts]`.
        logits: ValueId,
        /// `[n_experts]`, added to the scores that experts are chosen by, and not to their weights.
        bias: Option<WeightId>,
        /// How they are chosen.
        routing: Routing,
        /// `[n, 2 * routing.n_used]`: the experts' numbers, then their weights.
        out: ValueId,
    },
    /// `out[t, j] = x[t, j] @ weight[expert[t, j]]^T`: a linear whose matrix each token chooses.
    ExpertLinear {
        /// `[n, n_in]`, for all experts of a token, or `[n, n_used * n_in]`.
        x: ValueId,
        /// What [`Op::Route`] wrote: `[n, 2 * n_used]`.
        chosen: ValueId,
        /// `[n_experts * n_out, n_in]`, any format.
        weight: WeightId,
        /// Matrices in the weight.
        n_experts: usize,
        /// `[n, n_used * n_out]`.
        out: ValueId,
    },
    /// `out[t] = sum over j of weight[t, j] * x[t, j]`: what a token's experts say together.
    ExpertSum {
        /// `[n, n_used * width]`.
        x: ValueId,
        /// What [`Op::Route`] wrote: `[n, 2 * n_used]`.
        chosen: ValueId,
        /// `[n, width]`.
        out: ValueId,
    },
    /// `out[t, h] = x[t, h] @ weight[h]^T`: a linear with a matrix for each head.
    HeadLinear {
        /// `[n, n_heads * n_in]`.
        x: ValueId,
        /// `[n_heads * n_out, n_in]`, any format.
        weight: WeightId,
        /// Matrices in the weight.
        n_heads: usize,
        /// `[n, n_heads * n_out]`.
        out: ValueId,
    },
    /// Some values of each head: `out[t, h] = x[t, h, start..start + len]`.
    HeadSlice {
        /// `[n, n_heads * dim]`.
        x: ValueId,
        /// Heads.
        n_heads: usize,
        /// The first value that is taken.
        start: usize,
        /// `[n, n_heads * len]`.
        out: ValueId,
    },
    /// The values of each head behind those of another: `out[t, h] = [a[t, h], b[t, h]]`.
    HeadConcat {
        /// `[n, n_heads * dim]`.
        a: ValueId,
        /// `[n, n_heads * more]`.
        b: ValueId,
        /// Heads.
        n_heads: usize,
        /// `[n, n_heads * (dim + more)]`.
        out: ValueId,
    },
    /// Rotates the first `rope.n_rot` values of each head by the token's position.
    Rope {
        /// `[n_tokens, n_heads * head_dim]`.
        x: ValueId,
        /// Values per head.
        head_dim: usize,
        /// Which values pair up, and how fast each pair turns.
        rope: Rope,
        /// Same shape as `x`.
        out: ValueId,
    },
    /// Stores the keys and values of the batch's tokens in their pages.
    KvWrite {
        /// The layer that they belong to.
        layer: KvId,
        /// `[n_tokens, n_kv_heads * head_dim]`.
        k: ValueId,
        /// `[n_tokens, n_kv_heads * head_dim]`.
        v: ValueId,
    },
    /// Causal attention of each token over the pages of its sequence, itself included.
    Attention {
        /// The layer whose keys and values are read.
        layer: KvId,
        /// `[n_tokens, n_heads * head_dim]`.
        q: ValueId,
        /// Multiplies `q . k`.
        scale: f32,
        /// Same shape as `q`.
        out: ValueId,
    },
    /// `out = activation(gate) * up`.
    Gate {
        /// `[n, width]`.
        gate: ValueId,
        /// `[n, width]`.
        up: ValueId,
        /// The non-linearity.
        activation: Activation,
        /// `[n, width]`.
        out: ValueId,
    },
    /// `out = a + b`.
    Add {
        /// `[n, width]`.
        a: ValueId,
        /// `[n, width]`.
        b: ValueId,
        /// `[n, width]`.
        out: ValueId,
    },
    /// `out = factor * x`.
    Scale {
        /// `[n, width]`.
        x: ValueId,
        /// The factor.
        factor: f32,
        /// `[n, width]`.
        out: ValueId,
    },
    /// `out = cap * tanh(x / cap)`.
    SoftCap {
        /// `[n, width]`.
        x: ValueId,
        /// The bound that `out` approaches.
        cap: f32,
        /// `[n, width]`.
        out: ValueId,
    },
}

impl Op {
    /// The op's name, as printed and as in kernel names.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Embed { .. } => "embed",
            Op::Select { .. } => "select",
            Op::RmsNorm { .. } => "rms_norm",
            Op::Linear { .. } => "linear",
            Op::Route { .. } => "route",
            Op::ExpertLinear { .. } => "expert_linear",
            Op::ExpertSum { .. } => "expert_sum",
            Op::HeadLinear { .. } => "head_linear",
            Op::HeadSlice { .. } => "head_slice",
            Op::HeadConcat { .. } => "head_concat",
            Op::Rope { .. } => "rope",
            Op::KvWrite { .. } => "kv_write",
            Op::Attention { .. } => "attention",
            Op::Gate { .. } => "gate",
            Op::Add { .. } => "add",
            Op::Scale { .. } => "scale",
            Op::SoftCap { .. } => "soft_cap",
        }
    }

    /// The values that the op reads.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        let (first, second) = match *self {
            Op::Embed { .. } => (None, None),
            Op::Select { x, .. }
            | Op::RmsNorm { x, .. }
            | Op::Linear { x, .. }
            | Op::HeadLinear { x, .. }
            | Op::HeadSlice { x, .. }
            | Op::Rope { x, .. }
            | Op::Scale { x, .. }
            | Op::SoftCap { x, .. } => (Some(x), None),
            Op::Route { logits, .. } => (Some(logits), None),
            Op::ExpertLinear { x, chosen, .. } | Op::ExpertSum { x, chosen, .. } => (Some(x), Some(chosen)),
            Op::Attention { q, .. } => (Some(q), None),
            Op::KvWrite { k, v, .. } => (Some(k), Some(v)),
            Op::Gate { gate, up, .. } => (Some(gate), Some(up)),
            Op::Add { a, b, .. } | Op::HeadConcat { a, b, .. } => (Some(a), Some(b)),
        };
        first.into_iter().chain(second)
    }

    /// The value that the op writes; a KV write has none.
    pub fn writes(&self) -> Option<ValueId> {
        match *self {
            Op::KvWrite { .. } => None,
            Op::Embed { out, .. }
            | Op::Select { out, .. }
            | Op::RmsNorm { out, .. }
            | Op::Linear { out, .. }
            | Op::Route { out, .. }
            | Op::ExpertLinear { out, .. }
            | Op::ExpertSum { out, .. }
            | Op::HeadLinear { out, .. }
            | Op::HeadSlice { out, .. }
            | Op::HeadConcat { out, .. }
            | Op::Rope { out, .. }
            | Op::Attention { out, .. }
            | Op::Gate { out, .. }
            | Op::Add { out, .. }
            | Op::Scale { out, .. }
            | Op::SoftCap { out, .. } => Some(out),
        }
    }

    /// The weights that the op reads.
    pub fn weights(&self) -> impl Iterator<Item = WeightId> {
        let (first, second) = match *self {
            Op::Embed { table, .. } => (Some(table), None),
            Op::RmsNorm { weight, .. } | Op::ExpertLinear { weight, .. } | Op::HeadLinear { weight, .. } => {
                (Some(weight), None)
            }
            Op::Linear { weight, bias, .. } => (Some(weight), bias),
            Op::Route { bias, .. } => (bias, None),
            Op::Rope { rope, .. } => (rope.factors, None),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }
}

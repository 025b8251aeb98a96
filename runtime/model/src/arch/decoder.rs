//! The pre-norm decoder that llama and its descendants share: norm, attention, add; norm, gated feed-forward, add.

use silhak_ops::{Activation, KvLayer, Pairing, PlanBuilder, Rope, ValueId};

use super::{linear, output_matrix, refuse_experts};
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, rope};

/// Writes the whole forward pass. Biases are used where the file has them.
pub(super) fn write(
    p: &PlanBuilder,
    hyper: &HyperParams,
    keys: Keys<'_>,
    t: &Tensors<'_>,
    pairing: Pairing,
) -> Result<(), Error> {
    let decoder = Decoder::new(p, hyper, keys, t, pairing)?;
    let mut h = decoder.embed()?;
    for i in 0..hyper.n_layers {
        h = decoder.block(i, h)?;
    }
    decoder.output(h)
}

/// The parts of the forward pass.
pub(super) struct Decoder<'a> {
    p: &'a PlanBuilder,
    t: &'a Tensors<'a>,
    hyper: &'a HyperParams,
    rope: Rope,
    attention_scale: f32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        p: &'a PlanBuilder,
        hyper: &'a HyperParams,
        keys: Keys<'_>,
        t: &'a Tensors<'a>,
        pairing: Pairing,
    ) -> Result<Self, Error> {
        refuse_experts(keys)?;
        let attention_scale = keys.f32_or("attention.scale", 1.0 / (hyper.head_dim as f32).sqrt())?;
        Ok(Decoder { p, t, hyper, rope: rope::read(keys, hyper, pairing, t)?, attention_scale })
    }

    pub(super) fn embed(&self) -> Result<ValueId, Error> {
        Ok(self.p.embed(self.t.matrix("token_embd", self.hyper.n_vocab, self.hyper.n_embd)?))
    }

    pub(super) fn block(&self, i: usize, h: ValueId) -> Result<ValueId, Error> {
        let &Decoder { p, t, ref rope, attention_scale, .. } = self;
        let &HyperParams { n_embd, n_heads, n_kv_heads, head_dim, n_ff, rms_eps, .. } = self.hyper;
        let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
        let name = |part: &str| format!("blk.{i}.{part}");

        let x = p.rms_norm(h, t.vector(&name("attn_norm"), n_embd)?, rms_eps);
        let q = linear(p, t, x, &name("attn_q"), q_width, n_embd)?;
        let k = linear(p, t, x, &name("attn_k"), kv_width, n_embd)?;
        let v = linear(p, t, x, &name("attn_v"), kv_width, n_embd)?;
        let kv = p.kv_layer(KvLayer { n_kv_heads, head_dim, window: None });
        p.kv_write(kv, p.rope(k, head_dim, rope), v);
        let x = p.attention(kv, p.rope(q, head_dim, rope), attention_scale);
        let h = p.add(h, linear(p, t, x, &name("attn_output"), n_embd, q_width)?);

        let x = p.rms_norm(h, t.vector(&name("ffn_norm"), n_embd)?, rms_eps);
        let gate = linear(p, t, x, &name("ffn_gate"), n_ff, n_embd)?;
        let up = linear(p, t, x, &name("ffn_up"), n_ff, n_embd)?;
        let x = p.gate(gate, up, Activation::Silu);
        Ok(p.add(h, linear(p, t, x, &name("ffn_down"), n_embd, n_ff)?))
    }

    pub(super) fn output(&self, h: ValueId) -> Result<(), Error> {
        let &Decoder { p, t, hyper, .. } = self;
        let h = p.rms_norm(p.select(h), t.vector("output_norm", hyper.n_embd)?, hyper.rms_eps);
        p.output(p.linear_with(h, output_matrix(t, hyper)?, t.bias("output", hyper.n_vocab)?));
        Ok(())
    }
}

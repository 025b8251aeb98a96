//! HyperCLOVA X SEED Think (NAVER Cloud 2025), and the text part of its 32B: llama with a second norm after each sub-layer
//! (Peri-LN, Kim et al. 2025) and the multipliers of muP (Yang et al. 2022).

use silhak_ops::{Activation, KvLayer, Pairing, PlanBuilder, ValueId};

use super::{linear, output_matrix};
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, rope};

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, n_heads, n_kv_heads, head_dim, n_ff, rms_eps, .. } = hyper;
    let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
    let rope = rope::read(keys, hyper, Pairing::Adjacent, t)?;
    let attention_scale = keys.f32_or("attention.scale", 1.0 / (head_dim as f32).sqrt())?;
    let residual_scale = keys.f32_or("residual_scale", 1.0)?;
    // Granite, which has the same keys, divides by its logit scale.
    let logit_scale = keys.f32_or("logit_scale", 1.0)?;

    let h = p.embed(t.matrix("token_embd", n_vocab, n_embd)?);
    let mut h = scaled(p, h, keys.f32_or("embedding_scale", 1.0)?);
    for i in 0..hyper.n_layers {
        let name = |part: &str| format!("blk.{i}.{part}");
        let norm = |x, part: &str| Ok::<_, Error>(p.rms_norm(x, t.vector(&name(part), n_embd)?, rms_eps));
        // What a sub-layer adds to the residual stream: normed in those models that have a norm for it.
        let addend = |x, part: &str| {
            let weight = t.optional_vector(&name(part), n_embd)?;
            let x = weight.map_or(x, |weight| p.rms_norm(x, weight, rms_eps));
            Ok::<_, Error>(scaled(p, x, residual_scale))
        };

        let x = norm(h, "attn_norm")?;
        let q = linear(p, t, x, &name("attn_q"), q_width, n_embd)?;
        let k = linear(p, t, x, &name("attn_k"), kv_width, n_embd)?;
        let v = linear(p, t, x, &name("attn_v"), kv_width, n_embd)?;
        let kv = p.kv_layer(KvLayer { n_kv_heads, head_dim, window: None });
        p.kv_write(kv, p.rope(k, head_dim, &rope), v);
        let x = p.attention(kv, p.rope(q, head_dim, &rope), attention_scale);
        let x = linear(p, t, x, &name("attn_output"), n_embd, q_width)?;
        h = p.add(h, addend(x, "post_attention_norm")?);

        let x = norm(h, "ffn_norm")?;
        let gate = linear(p, t, x, &name("ffn_gate"), n_ff, n_embd)?;
        let up = linear(p, t, x, &name("ffn_up"), n_ff, n_embd)?;
        let x = linear(p, t, p.gate(gate, up, Activation::Silu), &name("ffn_down"), n_embd, n_ff)?;
        h = p.add(h, addend(x, "post_ffw_norm")?);
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    p.output(scaled(p, p.linear(h, output_matrix(t, hyper)?), logit_scale));
    Ok(())
}

fn scaled(p: &PlanBuilder, x: ValueId, factor: f32) -> ValueId {
    if factor == 1.0 { x } else { p.scale(x, factor) }
}

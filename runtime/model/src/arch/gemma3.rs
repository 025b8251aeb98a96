//! Gemma 3 text models (Gemma Team 2025): norms before and after each sub-layer, normed Q and K, and five local layers
//! with a sliding window for each global one.

use silhak_ops::{Activation, KvLayer, Pairing, PlanBuilder, Rope, RopeScaling};

use super::{linear, output_matrix};
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, rope};

/// Every sixth layer is global.
const PATTERN: usize = 6;

/// RoPE base of the local layers, where the metadata does not say.
const LOCAL_BASE: f32 = 10_000.0;

/// The 27B model, alone in having this many layers, scales attention by `n_embd / n_heads`.
const N_LAYERS_27B: usize = 62;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, n_layers, n_heads, n_kv_heads, head_dim, n_ff, rms_eps, .. } = hyper;
    let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
    let global = rope::read(keys, hyper, Pairing::Halves, t)?;
    let local = Rope { base: keys.f32_or("rope.freq_base_swa", LOCAL_BASE)?, scaling: RopeScaling::None, ..global };
    let scaled_by = if n_layers == N_LAYERS_27B { n_embd / n_heads } else { head_dim };

    let mut h = p.scale(p.embed(t.matrix("token_embd", n_vocab, n_embd)?), (n_embd as f32).sqrt());
    for i in 0..n_layers {
        let name = |part: &str| format!("blk.{i}.{part}");
        let norm = |x, part: &str, len| Ok::<_, Error>(p.rms_norm(x, t.vector(&name(part), len)?, rms_eps));
        let is_local = !(i + 1).is_multiple_of(PATTERN);
        let rope = if is_local { &local } else { &global };

        let x = norm(h, "attn_norm", n_embd)?;
        let q = norm(linear(p, t, x, &name("attn_q"), q_width, n_embd)?, "attn_q_norm", head_dim)?;
        let k = norm(linear(p, t, x, &name("attn_k"), kv_width, n_embd)?, "attn_k_norm", head_dim)?;
        let v = linear(p, t, x, &name("attn_v"), kv_width, n_embd)?;
        let kv = p.kv_layer(KvLayer { n_kv_heads, head_dim, window: hyper.window.filter(|_| is_local) });
        p.kv_write(kv, p.rope(k, head_dim, rope), v);
        let x = p.attention(kv, p.rope(q, head_dim, rope), 1.0 / (scaled_by as f32).sqrt());
        let x = linear(p, t, x, &name("attn_output"), n_embd, q_width)?;
        h = p.add(h, norm(x, "post_attention_norm", n_embd)?);

        let x = norm(h, "ffn_norm", n_embd)?;
        let gate = linear(p, t, x, &name("ffn_gate"), n_ff, n_embd)?;
        let up = linear(p, t, x, &name("ffn_up"), n_ff, n_embd)?;
        let x = linear(p, t, p.gate(gate, up, Activation::GeluTanh), &name("ffn_down"), n_embd, n_ff)?;
        h = p.add(h, norm(x, "post_ffw_norm", n_embd)?);
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    let logits = p.linear(h, output_matrix(t, hyper)?);
    let cap = keys.optional_f32("final_logit_softcapping")?;
    p.output(cap.map_or(logits, |cap| p.soft_cap(logits, cap)));
    Ok(())
}

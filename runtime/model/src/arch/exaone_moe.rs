//! K-EXAONE (LG AI Research 2025): EXAONE 4.0's attention with its norms before each sub-layer, and a mixture of experts.

use silhak_ops::{KvLayer, Pairing, PlanBuilder};

use super::experts::Experts;
use super::{linear, output_matrix};
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, layers, rope};

/// Every fourth layer is global, where the metadata does not say which are.
const PERIOD: usize = 4;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, n_heads, n_kv_heads, head_dim, rms_eps, .. } = hyper;
    let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
    let rope = rope::read(keys, hyper, Pairing::Halves, t)?;
    let experts = Experts::read(keys, hyper)?;

    let mut h = p.embed(t.matrix("token_embd", n_vocab, n_embd)?);
    for (i, window) in layers::windows(keys, hyper, PERIOD)?.into_iter().enumerate() {
        let name = |part: &str| format!("blk.{i}.{part}");
        let norm = |x, part: &str, len| Ok::<_, Error>(p.rms_norm(x, t.vector(&name(part), len)?, rms_eps));
        // Beside local layers, the global ones see no positions at all ("NoPE").
        let turn = |x| if hyper.window.is_none() || window.is_some() { p.rope(x, head_dim, &rope) } else { x };

        let x = norm(h, "attn_norm", n_embd)?;
        let q = norm(linear(p, t, x, &name("attn_q"), q_width, n_embd)?, "attn_q_norm", head_dim)?;
        let k = norm(linear(p, t, x, &name("attn_k"), kv_width, n_embd)?, "attn_k_norm", head_dim)?;
        let v = linear(p, t, x, &name("attn_v"), kv_width, n_embd)?;
        let kv = p.kv_layer(KvLayer { n_kv_heads, head_dim, window });
        p.kv_write(kv, turn(k), v);
        let x = p.attention(kv, turn(q), 1.0 / (head_dim as f32).sqrt());
        h = p.add(h, linear(p, t, x, &name("attn_output"), n_embd, q_width)?);

        let x = norm(h, "ffn_norm", n_embd)?;
        h = p.add(h, experts.feed_forward(p, t, hyper, i, x)?);
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    p.output(p.linear(h, output_matrix(t, hyper)?));
    Ok(())
}

//! Solar Open (Upstage 2025) under the name of the architecture that it shares with GLM-4.5 (Zhipu AI 2025): llama's
//! attention and a mixture of experts. GLM norms queries and keys, and turns only a part of each head.

use silhak_ops::{KvLayer, Pairing, PlanBuilder};

use super::experts::Experts;
use super::{linear, output_matrix};
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, rope};

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, n_heads, n_kv_heads, head_dim, rms_eps, .. } = hyper;
    let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
    let rope = rope::read(keys, hyper, Pairing::Halves, t)?;
    let experts = Experts::read(keys, hyper)?;

    let mut h = p.embed(t.matrix("token_embd", n_vocab, n_embd)?);
    for i in 0..hyper.n_layers {
        let name = |part: &str| format!("blk.{i}.{part}");
        let norm = |x, part: &str| Ok::<_, Error>(p.rms_norm(x, t.vector(&name(part), n_embd)?, rms_eps));
        let head_norm = |x, part: &str| {
            let weight = t.optional_vector(&name(part), head_dim)?;
            Ok::<_, Error>(weight.map_or(x, |weight| p.rms_norm(x, weight, rms_eps)))
        };

        let x = norm(h, "attn_norm")?;
        let q = head_norm(linear(p, t, x, &name("attn_q"), q_width, n_embd)?, "attn_q_norm")?;
        let k = head_norm(linear(p, t, x, &name("attn_k"), kv_width, n_embd)?, "attn_k_norm")?;
        let v = linear(p, t, x, &name("attn_v"), kv_width, n_embd)?;
        let kv = p.kv_layer(KvLayer { n_kv_heads, head_dim, window: None });
        p.kv_write(kv, p.rope(k, head_dim, &rope), v);
        let x = p.attention(kv, p.rope(q, head_dim, &rope), 1.0 / (head_dim as f32).sqrt());
        h = p.add(h, linear(p, t, x, &name("attn_output"), n_embd, q_width)?);

        // The norm before the feed-forward layer, in spite of its name.
        let x = norm(h, "post_attention_norm")?;
        h = p.add(h, experts.feed_forward(p, t, hyper, i, x)?);
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    p.output(p.linear(h, output_matrix(t, hyper)?));
    Ok(())
}

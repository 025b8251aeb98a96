//! Multi-head latent attention (DeepSeek-V2, 2024): all heads share one key, of which the larger part is at once the value
//! (the "latent") and the rest has the position; each head has matrices that take its queries to the latent's space, and
//! results back from there.

use silhak_ops::{KvLayer, PlanBuilder, Rope, ValueId};

use super::linear;
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

/// The sizes of latent attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latent {
    n_heads: usize,
    /// Width of what queries are made from, where they are not made from the input itself.
    q_rank: Option<usize>,
    /// Width of the latent.
    rank: usize,
    /// Values of a query that meet the latent.
    n_plain: usize,
    /// Values of a query that have a position.
    n_turned: usize,
    /// Values of a head's result.
    n_value: usize,
    /// Added to the mean square in norms within.
    eps: f32,
}

impl Latent {
    pub(super) fn read(keys: Keys<'_>, hyper: &HyperParams, eps: f32) -> Result<Self, Error> {
        let n_turned = keys.size("rope.dimension_count", hyper.head_dim)?;
        let rank = keys.size("attention.kv_lora_rank", hyper.head_dim)?;
        keys.expect("attention.key_length", hyper.head_dim == rank + n_turned, rank + n_turned, hyper.head_dim)?;
        let key_len = keys.size("attention.key_length_mla", MOST)?;
        keys.expect("attention.key_length_mla", key_len > n_turned, format!("more than {n_turned}"), key_len)?;
        Ok(Latent {
            n_heads: hyper.n_heads,
            q_rank: keys.optional_size("attention.q_lora_rank", MOST)?,
            rank,
            n_plain: key_len - n_turned,
            n_turned,
            n_value: keys.size("attention.value_length_mla", MOST)?,
            eps,
        })
    }

    /// What `q . k` is multiplied with, unless a file says otherwise.
    pub(super) fn scale(&self) -> f32 {
        1.0 / ((self.n_plain + self.n_turned) as f32).sqrt()
    }

    /// The attention of block `i`, and its output matrix.
    pub(super) fn attention(
        &self,
        p: &PlanBuilder,
        t: &Tensors<'_>,
        i: usize,
        x: ValueId,
        Position { rope, scale, window }: Position<'_>,
    ) -> Result<ValueId, Error> {
        let &Latent { n_heads, q_rank, rank, n_plain, n_turned, n_value, eps } = self;
        let (n_embd, n_query, n_key) = (p.width(x), n_plain + n_turned, rank + n_turned);
        let name = |part: &str| format!("blk.{i}.{part}");
        let norm = |x, part: &str, len| Ok::<_, Error>(p.rms_norm(x, t.vector(&name(part), len)?, eps));

        let kv = linear(p, t, x, &name("attn_kv_a_mqa"), n_key, n_embd)?;
        let latent = norm(p.head_slice(kv, 1, 0..rank), "attn_kv_a_norm", rank)?;
        let turned = p.rope(p.head_slice(kv, 1, rank..n_key), n_turned, rope);
        let k = p.head_concat(latent, turned, 1);

        let q = match q_rank {
            None => linear(p, t, x, &name("attn_q"), n_heads * n_query, n_embd)?,
            Some(q_rank) => {
                let x = norm(linear(p, t, x, &name("attn_q_a"), q_rank, n_embd)?, "attn_q_a_norm", q_rank)?;
                linear(p, t, x, &name("attn_q_b"), n_heads * n_query, q_rank)?
            }
        };
        let plain = p.head_slice(q, n_heads, 0..n_plain);
        let plain = p.head_linear(plain, t.experts(&name("attn_k_b"), n_heads, rank, n_plain)?, n_heads);
        let turned = p.rope(p.head_slice(q, n_heads, n_plain..n_query), n_turned, rope);
        let q = p.head_concat(plain, turned, n_heads);

        let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: n_key, window });
        // The key stands for the value, too; what attention makes of its turned part is nothing.
        p.kv_write(layer, k, k);
        let x = p.head_slice(p.attention(layer, q, scale), n_heads, 0..rank);
        let x = p.head_linear(x, t.experts(&name("attn_v_b"), n_heads, n_value, rank)?, n_heads);
        linear(p, t, x, &name("attn_output"), n_embd, n_heads * n_value)
    }
}

/// How a layer sees positions.
#[derive(Clone, Copy)]
pub(super) struct Position<'a> {
    pub(super) rope: &'a Rope,
    /// Multiplies `q . k`.
    pub(super) scale: f32,
    /// The sliding window of a local layer.
    pub(super) window: Option<usize>,
}

/// No width is near it.
const MOST: usize = 1 << 20;

//! VAETKI (NC AI consortium 2026): latent attention, most of whose layers are local, a mixture of experts, and norms before
//! and behind each sub-layer.

use silhak_ops::{Pairing, PlanBuilder, Rope, RopeScaling};

use super::experts::Experts;
use super::latent::{Latent, Position};
use super::output_matrix;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, layers, rope};

/// Every sixth layer is global, where the metadata does not say which are.
const PERIOD: usize = 6;

/// RoPE base of the local layers, where the metadata does not say.
const LOCAL_BASE: f32 = 10_000.0;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, rms_eps, .. } = hyper;
    let (latent, experts) = (Latent::read(keys, hyper, rms_eps)?, Experts::read(keys, hyper)?);
    let global = rope::read(keys, hyper, Pairing::Adjacent, t)?;
    let local = Rope { base: keys.f32_or("rope.freq_base_swa", LOCAL_BASE)?, scaling: RopeScaling::None, ..global };
    let global_scale = keys.f32_or("attention.scale", latent.scale())?;

    let mut h = p.embed(t.matrix("token_embd", n_vocab, n_embd)?);
    for (i, window) in layers::windows(keys, hyper, PERIOD)?.into_iter().enumerate() {
        let norm =
            |x, part: &str| Ok::<_, Error>(p.rms_norm(x, t.vector(&format!("blk.{i}.{part}"), n_embd)?, rms_eps));
        let position = match window {
            Some(_) => Position { rope: &local, scale: latent.scale(), window },
            None => Position { rope: &global, scale: global_scale, window },
        };

        let x = norm(h, "attn_norm")?;
        let x = latent.attention(p, t, i, x, position)?;
        h = p.add(h, norm(x, "post_attention_norm")?);

        let x = norm(h, "ffn_norm")?;
        let x = experts.feed_forward(p, t, hyper, i, x)?;
        h = p.add(h, norm(x, "post_ffw_norm")?);
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    p.output(p.linear(h, output_matrix(t, hyper)?));
    Ok(())
}

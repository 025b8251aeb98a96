//! A.X K1 (SK Telecom 2026): DeepSeek-V3 with a norm behind each mixture of experts.

use silhak_ops::{Pairing, PlanBuilder};

use super::experts::Experts;
use super::latent::{Latent, Position};
use super::output_matrix;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;
use crate::{Error, rope};

/// Added to the mean square in the norms of latent attention, whatever the others' is.
const LATENT_EPS: f32 = 1e-6;

pub(super) fn write(p: &PlanBuilder, hyper: &HyperParams, keys: Keys<'_>, t: &Tensors<'_>) -> Result<(), Error> {
    let &HyperParams { n_vocab, n_embd, rms_eps, .. } = hyper;
    let rope = rope::read(keys, hyper, Pairing::Adjacent, t)?;
    let (latent, experts) = (Latent::read(keys, hyper, LATENT_EPS)?, Experts::read(keys, hyper)?);
    let scale = keys.f32_or("attention.scale", latent.scale())?;
    let position = Position { rope: &rope, scale, window: None };

    let mut h = p.embed(t.matrix("token_embd", n_vocab, n_embd)?);
    for i in 0..hyper.n_layers {
        let norm =
            |x, part: &str| Ok::<_, Error>(p.rms_norm(x, t.vector(&format!("blk.{i}.{part}"), n_embd)?, rms_eps));

        let x = norm(h, "attn_norm")?;
        h = p.add(h, latent.attention(p, t, i, x, position)?);

        let x = norm(h, "ffn_norm")?;
        let x = experts.feed_forward(p, t, hyper, i, x)?;
        h = p.add(h, if i < experts.n_dense { x } else { norm(x, "post_ffw_norm")? });
    }
    let h = p.rms_norm(p.select(h), t.vector("output_norm", n_embd)?, rms_eps);
    p.output(p.linear(h, output_matrix(t, hyper)?));
    Ok(())
}

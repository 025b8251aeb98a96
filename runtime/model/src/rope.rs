//! The rotary embedding that a file's metadata asks for.

use silhak_ops::{Pairing, Rope, RopeScaling};

use crate::hyper::Keys;
use crate::tensors::Tensors;
use crate::{Error, HyperParams};

/// Reads `{arch}.rope.*`, and the factors in `rope_freqs.weight` where the file has them.
pub(crate) fn read(keys: Keys<'_>, hyper: &HyperParams, pairing: Pairing, t: &Tensors<'_>) -> Result<Rope, Error> {
    let n_rot = keys.optional_size("rope.dimension_count", hyper.head_dim)?.unwrap_or(hyper.head_dim);
    let factors = t.optional_vector("rope_freqs", n_rot / 2)?;
    let base = keys.f32_or("rope.freq_base", 10_000.0)?;
    Ok(Rope { n_rot, pairing, base, scaling: scaling(keys, hyper)?, factors })
}

fn scaling(keys: Keys<'_>, hyper: &HyperParams) -> Result<RopeScaling, Error> {
    let factor = factor(keys)?;
    match keys.metadata.opt_str(&keys.key("rope.scaling.type"))? {
        Some("none") => Ok(RopeScaling::None),
        // Scaling is linear where the file has a factor and names no type.
        None | Some("linear") if factor == 1.0 => Ok(RopeScaling::None),
        None | Some("linear") => Ok(RopeScaling::Linear { factor }),
        Some("yarn") => Ok(RopeScaling::Yarn {
            factor,
            original_ctx: keys
                .optional_size("rope.scaling.original_context_length", 1 << 30)?
                .unwrap_or(hyper.n_ctx_train),
            beta_fast: keys.f32_or("rope.scaling.yarn_beta_fast", 32.0)?,
            beta_slow: keys.f32_or("rope.scaling.yarn_beta_slow", 1.0)?,
            attention_factor: keys.f32_or("rope.scaling.attn_factor", 1.0)?,
        }),
        Some(other) => Err(Error::HyperParam {
            key: keys.key("rope.scaling.type"),
            expected: "none, linear or yarn".into(),
            found: other.into(),
        }),
    }
}

/// How many times longer the context gets; 1 where the file says 0 or nothing. The key was `rope.scale_linear` before
/// there were types of scaling.
fn factor(keys: Keys<'_>) -> Result<f32, Error> {
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        match keys.optional_f32(key)? {
            None => {}
            Some(0.0) => return Ok(1.0),
            Some(factor) if factor.is_finite() && factor > 0.0 => return Ok(factor),
            Some(factor) => {
                let (expected, found) = ("a positive number, or 0 for none".into(), factor.to_string());
                return Err(Error::HyperParam { key: keys.key(key), expected, found });
            }
        }
    }
    Ok(1.0)
}

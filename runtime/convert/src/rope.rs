//! The rotary embedding: its base, and how it is stretched.

use std::f64::consts::PI;

use silhak_gguf::Value;

use crate::Error;
use crate::config::Config;
use crate::families::Extras;
use crate::sizes::Sizes;

/// Metadata under `rope.*`, and the tensor `rope_freqs` where frequencies are changed one by one.
///
/// `base` is where the base stands, with what it is if it does not. Since version 5 of `transformers` all parameters stand in one entry; before, the base stood beside it.
pub(crate) fn extras(config: &Config, sizes: &Sizes, (base, default): (&str, f64)) -> Result<Extras, Error> {
    let parameters = config.inside("rope_parameters").or_else(|| config.inside("rope_scaling"));
    let inside = |name| parameters.as_ref().map_or(Ok(None), |parameters| parameters.opt_f64(name));
    // No published model of these classes turns a part of each head only.
    let part = inside("partial_rotary_factor")?.or(config.opt_f64("partial_rotary_factor")?);
    if part.is_some_and(|part| part != 1.0) {
        let owner = parameters.as_ref().filter(|parameters| parameters.get("partial_rotary_factor").is_some());
        return Err(owner.unwrap_or(config).wrong("partial_rotary_factor", "1"));
    }
    let base = match inside(base)? {
        Some(base) => base,
        None => config.opt_f64(base)?.unwrap_or(default),
    };
    let mut extras = Extras::default();
    extras.metadata.push(("rope.freq_base", Value::F32(base as f32)));
    let Some(parameters) = parameters else { return Ok(extras) };
    // An older name of the entry.
    let kind = match parameters.opt_str("rope_type")? {
        Some(kind) => Some(kind),
        None => parameters.opt_str("type")?,
    };
    match kind {
        None | Some("default") => {}
        Some("linear") => extras.metadata.extend([
            ("rope.scaling.type", Value::from("linear")),
            ("rope.scaling.factor", Value::F32(parameters.f32("factor")?)),
        ]),
        Some("yarn") => extras.metadata.extend(yarn(&parameters, config)?),
        Some("llama3") => extras.vectors.push(("rope_freqs", llama3(&parameters, base, sizes.head_dim)?)),
        Some(_) => return Err(parameters.wrong("rope_type", "default, linear, yarn or llama3")),
    }
    Ok(extras)
}

fn yarn(parameters: &Config, config: &Config) -> Result<Vec<(&'static str, Value)>, Error> {
    let factor = parameters.f32("factor")?;
    let original_ctx = match parameters.opt_size("original_max_position_embeddings")? {
        Some(original_ctx) => original_ctx,
        None => config.size(&["max_position_embeddings"])?,
    };
    let mut metadata = vec![
        ("rope.scaling.type", Value::from("yarn")),
        ("rope.scaling.factor", Value::F32(factor)),
        ("rope.scaling.original_context_length", Value::U32(original_ctx as u32)),
    ];
    for (gguf, maker) in [("rope.scaling.yarn_beta_fast", "beta_fast"), ("rope.scaling.yarn_beta_slow", "beta_slow")] {
        metadata.extend(parameters.opt_f32(maker)?.map(|beta| (gguf, Value::F32(beta))));
    }
    // The maker's factor takes the place of the paper's; GGUF's is one more.
    let magnitude = |of: f32| 1.0 + 0.1 * of * factor.ln();
    let whole = match (parameters.opt_f32("mscale")?, parameters.opt_f32("mscale_all_dim")?) {
        (Some(of), Some(of_all)) if of != 0.0 && of_all != 0.0 => Some(magnitude(of) / magnitude(of_all)),
        _ => None,
    };
    if let Some(whole) = parameters.opt_f32("attention_factor")?.or(whole) {
        metadata.push(("rope.scaling.attn_factor", Value::F32(whole / magnitude(1.0))));
    }
    Ok(metadata)
}

/// What each frequency is divided by (Llama 3.1): nothing where it turns often over the context trained on, `factor` where
/// it turns seldom, and a mean of both between.
fn llama3(parameters: &Config, base: f64, head_dim: usize) -> Result<Vec<f32>, Error> {
    let number = |name| parameters.opt_f64(name)?.ok_or_else(|| parameters.wrong(name, "a number"));
    let factor = number("factor")?;
    let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
    let original_ctx = number("original_max_position_embeddings")?;
    let divisor = |pair: usize| {
        let wavelength = 2.0 * PI * base.powf(2.0 * pair as f64 / head_dim as f64);
        let turns = original_ctx / wavelength;
        if turns > high {
            1.0
        } else if turns < low {
            factor
        } else {
            let smooth = (turns - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    Ok((0..head_dim / 2).map(|pair| divisor(pair) as f32).collect())
}

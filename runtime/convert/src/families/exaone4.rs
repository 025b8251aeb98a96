//! EXAONE 4.0, and the text part of 4.5.

use silhak_gguf::{Array, Value};

use super::{Extras, Family, Names, ROPE_THETA, llama, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["Exaone4ForCausalLM", "Exaone4_5_ForConditionalGeneration"],
    architecture: "exaone4",
    names: &NAMES,
    permuted: false,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras,
};

const NAMES: Names = Names {
    model: llama::MODEL,
    block_prefix: "model.layers.",
    block: &[&[
        name("attn_q", "self_attn.q_proj"),
        name("attn_k", "self_attn.k_proj"),
        name("attn_v", "self_attn.v_proj"),
        name("attn_q_norm", "self_attn.q_norm"),
        name("attn_k_norm", "self_attn.k_norm"),
        name("attn_output", "self_attn.o_proj"),
        name("post_attention_norm", "post_attention_layernorm"),
        name("ffn_gate", "mlp.gate_proj"),
        name("ffn_up", "mlp.up_proj"),
        name("ffn_down", "mlp.down_proj"),
        name("post_ffw_norm", "post_feedforward_layernorm"),
    ]],
};

fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    Ok(Extras { metadata: windows(config, sizes)?, ..Extras::default() })
}

/// The sliding window, and the layers that have it.
pub(super) fn windows(config: &Config, sizes: &Sizes) -> Result<Vec<(&'static str, Value)>, Error> {
    // The small model has none.
    let Some(window) = config.opt_size("sliding_window")? else { return Ok(Vec::new()) };
    let is_local = is_local(config, sizes.n_layers)?;
    Ok(vec![
        ("attention.sliding_window", Value::U32(window as u32)),
        ("attention.sliding_window_pattern", Value::Array(Array::Bool(is_local))),
    ])
}

/// Which layers have the window: a list of their kinds, a word like `LLLG` that repeats, or a period whose last layer is
/// global.
fn is_local(config: &Config, n_layers: usize) -> Result<Vec<bool>, Error> {
    const TYPES: &str = "layer_types";
    const PATTERN: &str = "sliding_window_pattern";
    if let Some(types) = config.get(TYPES) {
        let wrong = || config.wrong(TYPES, format!("{n_layers} of sliding_attention and full_attention"));
        let types = types.as_array().filter(|types| types.len() == n_layers).ok_or_else(wrong)?;
        let is_local = types.iter().map(|ty| match ty.as_str() {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            _ => Err(wrong()),
        });
        return is_local.collect();
    }
    let wrong = || config.wrong(PATTERN, "a period, or a word of L and G");
    match config.get(PATTERN) {
        Some(serde_json::Value::String(word)) if !word.is_empty() => {
            let letter = |letter| match letter {
                'L' => Ok(true),
                'G' => Ok(false),
                _ => Err(wrong()),
            };
            let word: Vec<bool> = word.chars().map(letter).collect::<Result<_, _>>()?;
            Ok(word.into_iter().cycle().take(n_layers).collect())
        }
        _ => match config.opt_size(PATTERN)? {
            Some(period) if period > 0 => Ok((1..=n_layers).map(|n| !n.is_multiple_of(period)).collect()),
            _ => Err(wrong()),
        },
    }
}

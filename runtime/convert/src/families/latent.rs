//! What classes with latent attention have in common, under the names that DeepSeek-V2 gave.

use silhak_gguf::Value;

use super::{Form, Name, Place, name, optional};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

/// The matrices of attention.
pub(super) const ATTENTION: &[Name] = &[
    optional("attn_q", "self_attn.q_proj"),
    optional("attn_q_a", "self_attn.q_a_proj"),
    optional("attn_q_a_norm", "self_attn.q_a_layernorm"),
    optional("attn_q_b", "self_attn.q_b_proj"),
    name("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
    name("attn_kv_a_norm", "self_attn.kv_a_layernorm"),
    Name { gguf: "attn_k_b", maker: "self_attn.kv_b_proj", form: Form::LatentKeys, place: Place::Everywhere },
    Name { gguf: "attn_v_b", maker: "self_attn.kv_b_proj", form: Form::LatentValues, place: Place::Everywhere },
    name("attn_output", "self_attn.o_proj"),
];

/// What `q . k` is multiplied with where YaRN stretches positions: more, for a longer context has more to choose from.
pub(super) fn scale(config: &Config, sizes: &Sizes) -> Result<Option<(&'static str, Value)>, Error> {
    let Some(latent) = sizes.latent else { return Ok(None) };
    let stretched = config.inside("rope_parameters").or_else(|| config.inside("rope_scaling"));
    let Some(parameters) = stretched else { return Ok(None) };
    let Some(of_all) = parameters.opt_f32("mscale_all_dim")?.filter(|&of_all| of_all != 0.0) else { return Ok(None) };
    let magnitude = 1.0 + 0.1 * of_all * parameters.f32("factor")?.ln();
    let scale = magnitude * magnitude / (latent.n_query() as f32).sqrt();
    Ok(Some(("attention.scale", Value::F32(scale))))
}

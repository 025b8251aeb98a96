//! VAETKI, as the class that its maker publishes for vLLM reads it.

use silhak_gguf::Value;

use super::{Extras, Family, Name, Names, Place, exaone4, experts, latent, llama, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["VaetkiForCausalLM"],
    architecture: "vaetki",
    names: &NAMES,
    permuted: false,
    norms_from_zero: true,
    rope_base: ("rope_theta_global", 1e6),
    extras,
};

const NAMES: Names =
    Names { model: llama::MODEL, block_prefix: "model.layers.", block: &[NORMS, latent::ATTENTION, &FEED_FORWARD] };

const NORMS: &[Name] = &[
    name("attn_norm", "input_layernorm"),
    name("post_attention_norm", "post_attention_layernorm"),
    name("ffn_norm", "pre_mlp_layernorm"),
    name("post_ffw_norm", "post_mlp_layernorm"),
];

/// The class chooses by the scores alone.
const FEED_FORWARD: [Name; 11] =
    experts::feed_forward(Name { place: Place::SomeModels, ..experts::bias("mlp.gate.e_score_correction_bias") });

fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    let mut metadata = [exaone4::windows(config, sizes)?, experts::metadata(config, sizes)?].concat();
    metadata.extend(latent::scale(config, sizes)?);
    metadata.push(("rope.freq_base_swa", Value::F32(config.opt_f32("rope_theta")?.unwrap_or(10_000.0))));
    // What the class does for global layers of a model that does not say how they are stretched.
    if config.get("rope_scaling").is_none() && config.get("rope_parameters").is_none() {
        metadata.push(("rope.scaling.type", "linear".into()));
        metadata.push(("rope.scaling.factor", Value::F32(8.0)));
    }
    Ok(Extras { metadata, ..Extras::default() })
}

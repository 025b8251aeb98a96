//! A.X K1.

use super::{Extras, Family, Form, Name, Names, Place, ROPE_THETA, experts, latent, llama, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["AXK1ForCausalLM"],
    architecture: "axk1",
    names: &NAMES,
    permuted: false,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras,
};

const NAMES: Names =
    Names { model: llama::MODEL, block_prefix: "model.layers.", block: &[NORMS, latent::ATTENTION, &FEED_FORWARD] };

const NORMS: &[Name] = &[
    name("attn_norm", "input_layernorm"),
    name("ffn_norm", "post_attention_layernorm"),
    experts::sparse("post_ffw_norm", "post_mlp_layernorm", Form::Weight),
];

/// The published model has no bias; its class could have.
const FEED_FORWARD: [Name; 11] =
    experts::feed_forward(Name { place: Place::SomeModels, ..experts::bias("mlp.gate.e_score_correction_bias") });

fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    if config.opt_bool("rope_interleave")? == Some(false) {
        return Err(config.wrong("rope_interleave", "true: rotary pairs side by side"));
    }
    let mut metadata = experts::metadata(config, sizes)?;
    metadata.extend(latent::scale(config, sizes)?);
    Ok(Extras { metadata, ..Extras::default() })
}

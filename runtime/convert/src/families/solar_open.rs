//! Solar Open, under the name of GLM-4.5's architecture.

use super::{Extras, Family, Name, Names, ROPE_THETA, experts, llama, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["SolarOpenForCausalLM"],
    architecture: "glm4moe",
    names: &NAMES,
    permuted: false,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras,
};

const NAMES: Names = Names { model: llama::MODEL, block_prefix: "model.layers.", block: &[ATTENTION, &FEED_FORWARD] };

const ATTENTION: &[Name] = &[
    name("attn_norm", "input_layernorm"),
    name("attn_q", "self_attn.q_proj"),
    name("attn_k", "self_attn.k_proj"),
    name("attn_v", "self_attn.v_proj"),
    name("attn_output", "self_attn.o_proj"),
    name("post_attention_norm", "post_attention_layernorm"),
];

const FEED_FORWARD: [Name; 11] = experts::feed_forward(experts::bias("mlp.gate.e_score_correction_bias"));

fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    Ok(Extras { metadata: experts::metadata(config, sizes)?, ..Extras::default() })
}

//! K-EXAONE.

use super::{Extras, Family, Name, Names, ROPE_THETA, exaone4, experts, llama, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    // The first is that of the published models, the second that of the class in `transformers`.
    classes: &["ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM"],
    architecture: "exaone-moe",
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
    name("attn_q_norm", "self_attn.q_norm"),
    name("attn_k_norm", "self_attn.k_norm"),
    name("attn_output", "self_attn.o_proj"),
    name("ffn_norm", "post_attention_layernorm"),
];

const FEED_FORWARD: [Name; 11] = experts::feed_forward(experts::bias("mlp.e_score_correction_bias"));

fn extras(config: &Config, sizes: &Sizes) -> Result<Extras, Error> {
    let metadata = [exaone4::windows(config, sizes)?, experts::metadata(config, sizes)?].concat();
    Ok(Extras { metadata, ..Extras::default() })
}

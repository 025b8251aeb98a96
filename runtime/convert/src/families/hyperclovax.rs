//! HyperCLOVA X SEED Think, and the text part of its 32B.

use silhak_gguf::Value;

use super::{Extras, Family, Names, ROPE_THETA, llama, name, optional};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

pub(super) const FAMILY: Family = Family {
    classes: &["HyperCLOVAXForCausalLM", "HCXVisionV2ForCausalLM", "HyperCLOVAXVisionV2ForConditionalGeneration"],
    architecture: "hyperclovax",
    names: &NAMES,
    permuted: true,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras,
};

const NAMES: Names = Names {
    model: llama::MODEL,
    block_prefix: "model.layers.",
    block: &[&[
        name("attn_norm", "input_layernorm"),
        name("attn_q", "self_attn.q_proj"),
        name("attn_k", "self_attn.k_proj"),
        name("attn_v", "self_attn.v_proj"),
        name("attn_output", "self_attn.o_proj"),
        optional("post_attention_norm", "post_norm1"),
        name("ffn_norm", "post_attention_layernorm"),
        name("ffn_gate", "mlp.gate_proj"),
        name("ffn_up", "mlp.up_proj"),
        name("ffn_down", "mlp.down_proj"),
        optional("post_ffw_norm", "post_norm2"),
    ]],
};

/// The multipliers of muP, each of which may be absent for 1, or for what a model without muP has.
fn extras(config: &Config, _: &Sizes) -> Result<Extras, Error> {
    let mut metadata = Vec::new();
    for (gguf, maker) in [
        ("embedding_scale", "embedding_multiplier"),
        ("attention.scale", "attention_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ] {
        metadata.extend(config.opt_f32(maker)?.map(|factor| (gguf, Value::F32(factor))));
    }
    Ok(Extras { metadata, ..Extras::default() })
}

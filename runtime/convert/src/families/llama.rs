//! Llama and its descendants (A.X 3.1, SOLAR 10.7B, HyperCLOVA X SEED text, Llama-VARCO), Qwen2 and A.X 4.0.

use super::{Family, Name, Names, ROPE_THETA, name, nothing};

pub(super) const FAMILY: Family = Family {
    classes: &["LlamaForCausalLM"],
    architecture: "llama",
    names: &NAMES,
    permuted: true,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras: nothing,
};

pub(super) const QWEN2: Family = Family {
    classes: &["Qwen2ForCausalLM"],
    architecture: "qwen2",
    permuted: false,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    ..FAMILY
};

pub(super) const NAMES: Names = Names { model: MODEL, block_prefix: "model.layers.", block: &[BLOCK] };

pub(super) const MODEL: &[Name] =
    &[name("token_embd", "model.embed_tokens"), name("output_norm", "model.norm"), name("output", "lm_head")];

const BLOCK: &[Name] = &[
    name("attn_norm", "input_layernorm"),
    name("attn_q", "self_attn.q_proj"),
    name("attn_k", "self_attn.k_proj"),
    name("attn_v", "self_attn.v_proj"),
    name("attn_output", "self_attn.o_proj"),
    name("ffn_norm", "post_attention_layernorm"),
    name("ffn_gate", "mlp.gate_proj"),
    name("ffn_up", "mlp.up_proj"),
    name("ffn_down", "mlp.down_proj"),
];

//! EXAONE 3.0, 3.5 and Deep, whose class is the maker's own.

use super::{Family, Names, ROPE_THETA, name, nothing};

pub(super) const FAMILY: Family = Family {
    classes: &["ExaoneForCausalLM"],
    architecture: "exaone",
    names: &NAMES,
    permuted: false,
    norms_from_zero: false,
    rope_base: ROPE_THETA,
    extras: nothing,
};

const NAMES: Names = Names {
    model: &[name("token_embd", "transformer.wte"), name("output_norm", "transformer.ln_f"), name("output", "lm_head")],
    block_prefix: "transformer.h.",
    block: &[&[
        name("attn_norm", "ln_1"),
        name("attn_q", "attn.attention.q_proj"),
        name("attn_k", "attn.attention.k_proj"),
        name("attn_v", "attn.attention.v_proj"),
        name("attn_output", "attn.attention.out_proj"),
        name("ffn_norm", "ln_2"),
        name("ffn_gate", "mlp.c_fc_0"),
        name("ffn_up", "mlp.c_fc_1"),
        name("ffn_down", "mlp.c_proj"),
    ]],
};

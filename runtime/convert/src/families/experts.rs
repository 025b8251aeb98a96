//! What classes with mixtures of experts have in common, under the names that DeepSeek-V3 gave.

use silhak_gguf::Value;

use super::{Form, Name, Place, name};
use crate::Error;
use crate::config::Config;
use crate::sizes::Sizes;

/// The feed-forward layers: one, or that of experts, which are chosen with the help of a bias.
pub(super) const fn feed_forward(bias: Name) -> [Name; 11] {
    [
        dense("ffn_gate", "mlp.gate_proj"),
        dense("ffn_up", "mlp.up_proj"),
        dense("ffn_down", "mlp.down_proj"),
        sparse("ffn_gate_inp", "mlp.gate", Form::Weight),
        bias,
        sparse("ffn_gate_exps", "mlp.experts.*.gate_proj", Form::Experts),
        sparse("ffn_up_exps", "mlp.experts.*.up_proj", Form::Experts),
        sparse("ffn_down_exps", "mlp.experts.*.down_proj", Form::Experts),
        sparse("ffn_gate_shexp", "mlp.shared_experts.gate_proj", Form::Weight),
        sparse("ffn_up_shexp", "mlp.shared_experts.up_proj", Form::Weight),
        sparse("ffn_down_shexp", "mlp.shared_experts.down_proj", Form::Weight),
    ]
}

/// The bias that helps to choose experts.
pub(super) const fn bias(maker: &'static str) -> Name {
    sparse("exp_probs_b", maker, Form::Bias)
}

const fn dense(gguf: &'static str, maker: &'static str) -> Name {
    Name { place: Place::Dense, ..name(gguf, maker) }
}

pub(super) const fn sparse(gguf: &'static str, maker: &'static str, form: Form) -> Name {
    Name { gguf, maker, form, place: Place::Sparse }
}

/// `expert_gating_func` of scores that are sigmoids.
const SIGMOID: u32 = 2;

/// How many experts there are, how wide they are and how they are chosen.
pub(super) fn metadata(config: &Config, sizes: &Sizes) -> Result<Vec<(&'static str, Value)>, Error> {
    let size = |n: usize| Value::U32(n as u32);
    let n_ff = config.size(&["moe_intermediate_size"])?;
    let n_shared = config.size(&["num_shared_experts", "n_shared_experts"])?;
    let mut metadata = vec![
        ("expert_count", size(sizes.n_experts)),
        ("expert_used_count", size(config.size(&["num_experts_per_tok"])?)),
        ("expert_feed_forward_length", size(n_ff)),
        ("expert_shared_count", size(n_shared)),
        ("expert_shared_feed_forward_length", size(n_ff * n_shared)),
        ("expert_gating_func", Value::U32(SIGMOID)),
        ("expert_weights_norm", Value::Bool(config.opt_bool("norm_topk_prob")?.unwrap_or(true))),
        ("expert_weights_scale", Value::F32(config.opt_f32("routed_scaling_factor")?.unwrap_or(1.0))),
        ("leading_dense_block_count", size(sizes.n_dense_layers)),
    ];
    // One group is no choice, and readers that know no groups should not refuse it.
    if let Some(n_groups) = config.opt_size("n_group")?.filter(|&n| n > 1) {
        metadata.push(("expert_group_count", size(n_groups)));
        metadata.push(("expert_group_used_count", size(config.size(&["topk_group"])?)));
    }
    Ok(metadata)
}

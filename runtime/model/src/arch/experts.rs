//! A feed-forward layer of many experts, of which each token uses a few, beside one that all tokens share (DeepSeek-V3,
//! 2024).

use silhak_ops::{Activation, PlanBuilder, Routing, ValueId};

use super::{gated, linear};
use crate::Error;
use crate::hyper::{HyperParams, Keys};
use crate::tensors::Tensors;

/// The sizes of a mixture of experts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experts {
    /// Blocks at the beginning that have no experts.
    pub(super) n_dense: usize,
    n: usize,
    n_ff: usize,
    /// Width of what all tokens share.
    n_ff_shared: usize,
    routing: Routing,
}

/// `expert_gating_func` of scores that are sigmoids.
const SIGMOID: u32 = 2;

impl Experts {
    pub(super) fn read(keys: Keys<'_>, hyper: &HyperParams) -> Result<Self, Error> {
        let (n, n_used) = (keys.size("expert_count", MOST)?, keys.size("expert_used_count", MOST)?);
        let n_ff = keys.size("expert_feed_forward_length", MOST)?;
        let n_shared = keys.optional_count("expert_shared_count", MOST)?;
        let of_shared = keys.optional_size("expert_shared_feed_forward_length", MOST)?;
        let gating = keys.metadata.opt_u32(&keys.key("expert_gating_func"))?.unwrap_or(SIGMOID);
        keys.expect("expert_gating_func", gating == SIGMOID, format!("{SIGMOID} (sigmoid)"), gating)?;
        let n_groups = keys.optional_size("expert_group_count", n)?.unwrap_or(1);
        keys.expect("expert_group_count", n.is_multiple_of(n_groups), format!("a divisor of {n}"), n_groups)?;
        Ok(Experts {
            n_dense: keys.optional_count("leading_dense_block_count", hyper.n_layers)?,
            n,
            n_ff,
            n_ff_shared: of_shared.unwrap_or(n_ff * n_shared),
            routing: Routing {
                n_used,
                n_groups,
                n_used_groups: keys.optional_size("expert_group_used_count", n_groups)?.unwrap_or(n_groups),
                normalize: keys.metadata.opt_bool(&keys.key("expert_weights_norm"))?.unwrap_or(false),
                scale: keys.f32_or("expert_weights_scale", 1.0)?,
            },
        })
    }

    /// The feed-forward layer of block `i`: with experts, or without in the blocks at the beginning.
    pub(super) fn feed_forward(
        &self,
        p: &PlanBuilder,
        t: &Tensors<'_>,
        hyper: &HyperParams,
        i: usize,
        x: ValueId,
    ) -> Result<ValueId, Error> {
        let &Experts { n_dense, n, n_ff, n_ff_shared, routing } = self;
        let n_embd = hyper.n_embd;
        let name = |part: &str| format!("blk.{i}.{part}");
        if i < n_dense {
            return gated(p, t, x, i, ["ffn_gate", "ffn_up", "ffn_down"], n_embd, hyper.n_ff);
        }
        let logits = linear(p, t, x, &name("ffn_gate_inp"), n, n_embd)?;
        let chosen = p.route(logits, t.bias(&name("exp_probs_b"), n)?, routing);
        let gate = p.expert_linear(x, chosen, t.experts(&name("ffn_gate_exps"), n, n_ff, n_embd)?, n);
        let up = p.expert_linear(x, chosen, t.experts(&name("ffn_up_exps"), n, n_ff, n_embd)?, n);
        let y = p.gate(gate, up, Activation::Silu);
        let y = p.expert_linear(y, chosen, t.experts(&name("ffn_down_exps"), n, n_embd, n_ff)?, n);
        let of_experts = p.expert_sum(y, chosen);
        if n_ff_shared == 0 {
            return Ok(of_experts);
        }
        let parts = ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"];
        Ok(p.add(of_experts, gated(p, t, x, i, parts, n_embd, n_ff_shared)?))
    }
}

/// No number of experts, and no width, is near it.
const MOST: usize = 1 << 20;

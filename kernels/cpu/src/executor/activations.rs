//! The activations that linears read: which of them share some, and for how long.

use std::collections::HashMap;

use silhak_ops::{ExecConfig, Op, Plan, Rows, ValueId, WeightId};

use super::experts::most_rows_by_expert;
use super::program::{Amount, Amounts};
use super::storage::Storages;
use crate::policy::MATMUL_TOKENS;
use crate::{ActivationLayout, Caps, LinearKernel};

/// How the rows of activations come from those of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowOrder {
    /// In the value's order, each of its rows in so many parts.
    Plain { parts: usize },
    /// By the expert that they go to: each row once for each of its experts, or in as many parts. Where nothing chooses,
    /// the parts are heads, and each goes to a matrix of its own.
    ByExpert { chosen: Option<ValueId>, n_used: usize, n_experts: usize },
}

impl RowOrder {
    /// The rows as they are.
    pub(super) const PLAIN: RowOrder = RowOrder::Plain { parts: 1 };

    /// Most rows that `n` rows of the value become.
    fn most_rows(self, n: usize) -> usize {
        match self {
            RowOrder::Plain { parts } => n * parts,
            RowOrder::ByExpert { n_used, n_experts, .. } => most_rows_by_expert(n, n_used, n_experts),
        }
    }

    /// Whether activations of these orders take the same room.
    fn is_alike(self, other: RowOrder) -> bool {
        match (self, other) {
            (RowOrder::Plain { parts: a }, RowOrder::Plain { parts: b }) => a == b,
            (
                RowOrder::ByExpert { n_used: a, n_experts: n, .. },
                RowOrder::ByExpert { n_used: b, n_experts: m, .. },
            ) => (a, n) == (b, m),
            _ => false,
        }
    }
}

/// Activations that programs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActivationSpec {
    pub(super) layout: ActivationLayout,
    pub(super) rows: Rows,
    pub(super) order: RowOrder,
    pub(super) cols: usize,
    /// Whether there may be many rows.
    many: bool,
}

impl ActivationSpec {
    /// The most rows that there may be.
    pub(super) fn most_rows(&self, config: &ExecConfig) -> usize {
        let most = match self.rows {
            Rows::Tokens => config.max_tokens,
            Rows::Outputs => config.max_outputs,
        };
        self.order.most_rows(if self.many { most } else { most.min(MATMUL_TOKENS - 1) })
    }

    /// The most rows that `n` rows of a value become.
    pub(super) fn rows_of(&self, n: usize) -> usize {
        self.order.most_rows(n)
    }
}

/// What stands in activations: a value, in the layout and order that some linears want.
type Content = (ValueId, ActivationLayout, RowOrder);

/// Which linears share activations, and when these are last used.
pub(super) struct ActivationUse<'a> {
    plan: &'a Plan,
    amounts: Amounts,
    storages: &'a Storages,
    caps: &'a Caps,
    /// The op that last reads each.
    last: HashMap<Content, usize>,
    /// What stands in activations now, by their index.
    holds: HashMap<usize, Content>,
    /// How tokens are grouped now: by which choice, and for how many experts.
    grouped: Option<(Option<ValueId>, usize)>,
}

impl<'a> ActivationUse<'a> {
    pub(super) fn new(plan: &'a Plan, amounts: Amounts, storages: &'a Storages, caps: &'a Caps) -> Self {
        let (last, holds) = Default::default();
        let mut uses = ActivationUse { plan, amounts, storages, caps, last, holds, grouped: None };
        for (i, op) in plan.ops().iter().enumerate() {
            if let Some((x, weight, order)) = uses.read_by(op) {
                uses.last.insert((x, uses.kernel(x, weight).layout(), order), i);
            }
        }
        uses
    }

    /// What an op multiplies with what, and in which order.
    fn read_by(&self, op: &Op) -> Option<(ValueId, WeightId, RowOrder)> {
        match *op {
            Op::Linear { x, weight, .. } => Some((x, weight, RowOrder::PLAIN)),
            Op::ExpertLinear { x, chosen, weight, n_experts, .. } => {
                Some((x, weight, self.expert_order(x, weight, Some(chosen), n_experts)))
            }
            Op::HeadLinear { x, weight, n_heads, .. } => Some((x, weight, self.expert_order(x, weight, None, n_heads))),
            _ => None,
        }
    }

    /// The order in which experts, or heads, read `x`: where there are many rows, each expert's are gathered.
    pub(super) fn expert_order(
        &self,
        x: ValueId,
        weight: WeightId,
        chosen: Option<ValueId>,
        n_experts: usize,
    ) -> RowOrder {
        let n_used = chosen.map_or(n_experts, |id| self.plan.value(id).width / 2);
        match self.amounts.of(self.plan.value(x).rows) {
            Amount::Few => RowOrder::Plain { parts: self.plan.value(x).width / self.plan.weight(weight).cols },
            Amount::Many => RowOrder::ByExpert { chosen, n_used, n_experts },
        }
    }

    /// Groups tokens by a choice; tells whether they were not yet.
    pub(super) fn group(&mut self, chosen: Option<ValueId>, n_experts: usize) -> bool {
        self.grouped.replace((chosen, n_experts)) != Some((chosen, n_experts))
    }

    /// The kernel for op `index`, which multiplies `x` with `weight`; the activations that it reads; and whether they
    /// must be filled first.
    pub(super) fn take(
        &mut self,
        index: usize,
        x: ValueId,
        weight: WeightId,
        order: RowOrder,
        specs: &mut Vec<ActivationSpec>,
    ) -> (LinearKernel, usize, bool) {
        let kernel = self.kernel(x, weight);
        let content = (x, kernel.layout(), order);
        if let Some((&acts, _)) = self.holds.iter().find(|(_, held)| **held == content) {
            return (kernel, acts, false);
        }
        let (rows, cols) = (self.plan.value(x).rows, self.plan.weight(weight).cols);
        let many = self.amounts.of(rows) == Amount::Many;
        let alike = |spec: &ActivationSpec| {
            (spec.layout, spec.rows, spec.cols) == (content.1, rows, cols) && spec.order.is_alike(order)
        };
        let over = |held: Option<&Content>| held.is_none_or(|held| self.last[held] < index);
        let free = specs.iter().enumerate().position(|(i, spec)| alike(spec) && over(self.holds.get(&i)));
        let acts = free.unwrap_or_else(|| {
            specs.push(ActivationSpec { layout: content.1, rows, order, cols, many });
            specs.len() - 1
        });
        specs[acts].many |= many;
        self.holds.insert(acts, content);
        (kernel, acts, true)
    }

    fn kernel(&self, x: ValueId, weight: WeightId) -> LinearKernel {
        let n_tokens = self.amounts.of(self.plan.value(x).rows).example();
        LinearKernel::choose(self.plan.weight(weight).format, self.storages.of(weight), n_tokens, self.caps)
    }
}

/// The activations that the programs of a plan share.
pub(super) fn activation_specs(plan: &Plan, storages: &Storages, caps: &Caps) -> Vec<ActivationSpec> {
    let mut specs = Vec::new();
    for amounts in Amounts::ALL {
        let mut live = ActivationUse::new(plan, amounts, storages, caps);
        for (i, op) in plan.ops().iter().enumerate() {
            if let Some((x, weight, order)) = live.read_by(op) {
                live.take(i, x, weight, order, &mut specs);
            }
        }
    }
    specs
}

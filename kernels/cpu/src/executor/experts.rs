//! Mixtures of experts: which tokens go to which expert, and the matrices that they meet there. Linears of heads are alike:
//! each part of a token goes to a matrix of its own.
//!
//! Few tokens go to their experts one by one. Many are grouped first, so that an expert's matrix is read once for all of
//! its tokens.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use silhak_ops::{Rows, Value};

use super::activations::RowOrder;
use super::program::{Matrix, Slot};
use super::run::Run;
use crate::linear::TOKENS;
use crate::team::Member;
use crate::{LinearKernel, Output};

/// The experts that tokens go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experts {
    /// `[n_tokens, 2 * n_used]`: the experts' numbers, then their weights; none where part `i` of a token goes to matrix `i`.
    pub(super) chosen: Option<Slot>,
    /// Experts of a token.
    pub(super) n_used: usize,
    /// Experts that there are; 0 where a step need not know.
    pub(super) n: usize,
}

/// A linear whose matrix each token chooses.
#[derive(Debug)]
pub(super) struct ExpertLinear {
    pub(super) experts: Experts,
    pub(super) order: RowOrder,
    pub(super) acts: usize,
    pub(super) kernel: LinearKernel,
    pub(super) weight: Matrix,
    pub(super) out: Slot,
    pub(super) rows: Rows,
}

impl ExpertLinear {
    /// Outputs of an expert.
    fn n_out(&self) -> usize {
        self.weight.rows / self.experts.n
    }
}

/// Rows of a value that are gathered by expert. An expert's rows begin at a multiple of [`TOKENS`], as kernels read them.
///
/// A row is a token's part for one of its experts: part `token * n_used + slot`.
struct Groups<'a> {
    /// `[n_experts + 1]`: where each expert's rows begin.
    starts: &'a [u32],
    /// `[n_experts]`: how many it has.
    counts: &'a [u32],
    /// The part that each row is; those between groups are unspecified.
    parts: &'a [u32],
}

/// Most rows that the parts of `n_tokens` tokens take by expert.
pub(super) fn most_rows_by_expert(n_tokens: usize, n_used: usize, n_experts: usize) -> usize {
    let n_parts = n_tokens * n_used;
    n_parts + n_parts.min(n_experts) * (TOKENS - 1)
}

/// Numbers that [`Groups`] of `n_tokens` tokens take.
pub(super) fn group_len(n_tokens: usize, n_used: usize, n_experts: usize) -> usize {
    2 * n_experts + 1 + most_rows_by_expert(n_tokens, n_used, n_experts)
}

/// Rows and columns of the results that a thread works out before it puts them in their places.
const TILE: (usize, usize) = (128, 128);

/// Values of a thread's workspace for [`Run::expert_linear`].
pub(super) const TILE_LEN: usize = TILE.0 * TILE.1;

impl Run<'_> {
    /// Groups the tokens by their experts, in the order of the tokens. One thread does it all: there is little to do.
    pub(super) fn group(&self, member: &Member, experts: Experts, rows: Rows) {
        if member.index() != 0 {
            return;
        }
        let Experts { n_used, n, .. } = experts;
        let n_tokens = self.n_rows(rows);
        // SAFETY: this thread alone is here, and barriers keep those away who read what the groups were and will be.
        let groups = unsafe { self.groups.get_mut(0..group_len(n_tokens, n_used, n)) };
        let (starts, rest) = groups.split_at_mut(n + 1);
        let (counts, parts) = rest.split_at_mut(n);
        counts.fill(0);
        let expert_of = |part: usize| self.expert_of(experts, part / n_used, part % n_used);
        (0..n_tokens * n_used).for_each(|part| counts[expert_of(part)] += 1);
        starts[0] = 0;
        for expert in 0..n {
            starts[expert + 1] = starts[expert] + counts[expert].next_multiple_of(TOKENS as u32);
        }
        counts.fill(0);
        for part in 0..n_tokens * n_used {
            let expert = expert_of(part);
            parts[(starts[expert] + counts[expert]) as usize] = part as u32;
            counts[expert] += 1;
        }
    }

    /// Fills activations in the order of the groups.
    pub(super) fn quantize_by_expert(&self, member: &Member, x: Slot, acts: usize, experts: Experts, value: Value) {
        let Experts { n_used, n, .. } = experts;
        let groups = self.groups(experts, value.rows);
        let cols = self.activations[acts].cols();
        let parts_per_row = value.width / cols;
        for expert in member.share(n, 1) {
            let (first, count) = (groups.starts[expert] as usize, groups.counts[expert] as usize);
            for row in first..first + count {
                let part = groups.parts[row] as usize;
                let part = if parts_per_row == n_used { part } else { part / n_used };
                // SAFETY: experts are shared out, and a barrier ended those who wrote `x` and who read the activations.
                unsafe {
                    let x = self.slots[x].get(part * cols..(part + 1) * cols);
                    self.activations[acts].fill(row..row + 1, x);
                }
            }
        }
    }

    pub(super) fn expert_linear(&self, member: &Member, linear: &ExpertLinear, taken: &AtomicUsize) {
        match linear.order {
            RowOrder::Plain { parts } => self.token_by_token(member, linear, parts),
            RowOrder::ByExpert { .. } => self.expert_by_expert(member, linear, taken),
        }
    }

    /// Each thread has its share of the rows of every expert that is chosen.
    fn token_by_token(&self, member: &Member, linear: &ExpertLinear, parts_per_row: usize) {
        let Experts { n_used, .. } = linear.experts;
        let share = member.share(linear.n_out(), super::run::COLUMN_UNIT);
        if share.is_empty() {
            return;
        }
        for part in 0..self.n_rows(linear.rows) * n_used {
            let (token, slot) = (part / n_used, part % n_used);
            let row = if parts_per_row == n_used { part } else { token };
            let expert = self.expert_of(linear.experts, token, slot);
            let n_out = linear.n_out();
            // SAFETY: the slot has a part of `n_out` values for each of the tokens' experts, and no other thread has
            // these columns of them.
            let mut out = unsafe {
                let all = self.slots[linear.out].get_raw((part + 1) * n_out);
                Output::from_raw(all.add(part * n_out + share.start), n_out, 1, share.len())
            };
            self.multiply(linear, expert, share.clone(), row..row + 1, &mut out);
        }
    }

    /// Threads take a piece of an expert's rows after the other, and multiply it with all of the expert's tokens.
    fn expert_by_expert(&self, member: &Member, linear: &ExpertLinear, taken: &AtomicUsize) {
        let (groups, n_out) = (self.groups(linear.experts, linear.rows), linear.n_out());
        let n_pieces = n_out.div_ceil(TILE.1);
        loop {
            let piece = taken.fetch_add(1, Ordering::Relaxed);
            let (expert, piece) = (piece / n_pieces, piece % n_pieces);
            if expert >= linear.experts.n {
                return;
            }
            let columns = piece * TILE.1..((piece + 1) * TILE.1).min(n_out);
            let (first, count) = (groups.starts[expert] as usize, groups.counts[expert] as usize);
            for start in (first..first + count).step_by(TILE.0) {
                let rows = start..(start + TILE.0).min(first + count);
                // SAFETY: each thread has a workspace of its own.
                let tile = unsafe { self.workspace(member) };
                let tile = &mut tile[..rows.len() * columns.len()];
                self.multiply(linear, expert, columns.clone(), rows.clone(), &mut Output::new(tile, columns.len()));
                for (row, values) in rows.zip(tile.chunks_exact(columns.len())) {
                    let at = groups.parts[row] as usize * n_out;
                    // SAFETY: a part is in one group, and no other thread has this piece of it.
                    let out = unsafe { self.slots[linear.out].get_mut(at + columns.start..at + columns.end) };
                    out.copy_from_slice(values);
                }
            }
        }
    }

    /// Some of an expert's outputs for some rows of activations.
    fn multiply(
        &self,
        linear: &ExpertLinear,
        expert: usize,
        outputs: Range<usize>,
        rows: Range<usize>,
        out: &mut Output<'_>,
    ) {
        let first = expert * linear.n_out();
        let bytes = linear.weight.bytes(first + outputs.start..first + outputs.end);
        // SAFETY: a barrier ended those who filled the activations, and none begins before the readers end.
        let acts = unsafe { self.activations[linear.acts].get() };
        linear.kernel.run(bytes, linear.weight.cols, acts, rows, out);
    }

    /// The sum of what the experts of each token of the thread's share say.
    pub(super) fn expert_sum(&self, member: &Member, x: Slot, experts: Experts, out: Slot, value: Value) {
        let (n_used, width) = (experts.n_used, value.width);
        self.each_row(member, value.rows, |row| {
            let chosen = experts.chosen.map_or(&[][..], |chosen| self.row(chosen, row, 2 * n_used));
            let weights = &chosen[chosen.len() / 2..];
            let (x, out) = (self.row(x, row, n_used * width), self.row_mut(out, row, width));
            out.fill(0.0);
            for (x, weight) in x.chunks_exact(width).zip(weights) {
                out.iter_mut().zip(x).for_each(|(out, x)| *out += weight * x);
            }
        });
    }

    fn expert_of(&self, experts: Experts, token: usize, slot: usize) -> usize {
        experts.chosen.map_or(slot, |chosen| self.row(chosen, token, 2 * experts.n_used)[slot] as usize)
    }

    fn groups(&self, experts: Experts, rows: Rows) -> Groups<'_> {
        let Experts { n_used, n, .. } = experts;
        // SAFETY: a barrier ended the thread that wrote them.
        let all = unsafe { self.groups.get(0..group_len(self.n_rows(rows), n_used, n)) };
        let (starts, rest) = all.split_at(n + 1);
        let (counts, parts) = rest.split_at(n);
        Groups { starts, counts, parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_room_for_whatever_is_chosen() {
        // All parts to one expert; each to an expert of its own, with three more rows to fill four.
        assert_eq!(most_rows_by_expert(10, 2, 1), 23);
        assert_eq!(most_rows_by_expert(2, 2, 100), 16);
    }
}

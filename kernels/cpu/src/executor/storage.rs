//! How the weights of a plan are stored: where they lie, or repacked into panels.

use std::ops::Range;

use silhak_ops::{Error, Op, Plan, Weight, WeightId};

use super::buffer::CACHE_LINE;
use crate::Caps;
use crate::linear::{ROWS, panel_bytes};
use crate::policy::{self, Storage};

/// How each weight is stored, by its number.
pub(super) struct Storages {
    uses: Vec<Use>,
}

/// Who reads a weight.
#[derive(Clone, Copy, Default)]
struct Use {
    /// How the linears that multiply with it find it; `None` where there are none.
    storage: Option<Storage>,
    /// Whether single rows of it are looked up.
    looked_up: bool,
}

impl Storages {
    /// What is repacked, if anything may be: the matrices for which there are kernels that read panels.
    pub(super) fn new(plan: &Plan, caps: &Caps, may_repack: bool) -> Self {
        let mut uses = vec![Use::default(); plan.weights().len()];
        for op in plan.ops() {
            let (id, n_matrices) = match *op {
                Op::Embed { table, .. } => {
                    uses[table.index()].looked_up = true;
                    continue;
                }
                Op::Linear { weight, .. } => (weight, 1),
                Op::ExpertLinear { weight, n_experts: n, .. } | Op::HeadLinear { weight, n_heads: n, .. } => {
                    (weight, n)
                }
                _ => continue,
            };
            let weight = plan.weight(id);
            // The last panel of a matrix may have fewer rows, but not where the next of several begins.
            let unit = if n_matrices == 1 { ROWS } else { weight.rows / n_matrices };
            let storage = match bytes_of_panels(weight) {
                Some(_) if may_repack => policy::storage(weight.format, unit, caps),
                _ => Storage::Rows,
            };
            let known = &mut uses[id.index()].storage;
            *known = Some(if *known == Some(Storage::Rows) { Storage::Rows } else { storage });
        }
        Storages { uses }
    }

    /// How linears find a weight.
    pub(super) fn of(&self, id: WeightId) -> Storage {
        self.uses[id.index()].storage.unwrap_or(Storage::Rows)
    }

    /// Whether the caller's bytes of a weight are read while the plan runs.
    pub(super) fn is_in_place(&self, weight: usize) -> bool {
        let Use { storage, looked_up } = self.uses[weight];
        looked_up || storage == Some(Storage::Rows)
    }

    /// Whether linears read panels of a weight.
    pub(super) fn is_repacked(&self, weight: usize) -> bool {
        self.uses[weight].storage == Some(Storage::Panels)
    }

    /// Bytes of the weights that are read where they lie.
    pub(super) fn mapped_bytes(&self, plan: &Plan) -> Result<usize, Error> {
        let in_place = plan.weights().iter().enumerate().filter(|(i, _)| self.is_in_place(*i));
        in_place.map(|(_, weight)| weight.bytes()).try_fold(0, |sum: usize, bytes| Ok(sum.saturating_add(bytes?)))
    }

    /// Where the panels of each weight are among all, and bytes of all.
    pub(super) fn panels(&self, plan: &Plan) -> (Vec<Option<Range<usize>>>, usize) {
        let mut end: usize = 0;
        let place = |(weight, uses): (&Weight, &Use)| {
            let bytes = bytes_of_panels(weight).filter(|_| uses.storage == Some(Storage::Panels))?;
            let start = end.checked_next_multiple_of(CACHE_LINE).unwrap_or(usize::MAX);
            end = start.saturating_add(bytes);
            Some(start..end)
        };
        let places = plan.weights().iter().zip(&self.uses).map(place).collect();
        (places, end)
    }
}

fn bytes_of_panels(weight: &Weight) -> Option<usize> {
    panel_bytes(weight.format, weight.rows, weight.cols)
}

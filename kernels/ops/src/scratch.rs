//! Which values can share a buffer, from when each is last read.

use crate::{Op, Plan, Rows, Value, ValueId};

/// An assignment of a plan's values to as few buffers as their lifetimes allow; values of one shape share.
///
/// A buffer is free again only after the op that last reads it, so an op never writes where it reads.
#[derive(Clone, Debug)]
pub struct Scratch {
    slot_of: Vec<Option<usize>>,
    shapes: Vec<Value>,
}

/// What a step of a program reads and writes. A backend that fuses ops has steps other than the plan's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Values that the step reads.
    pub reads: Vec<ValueId>,
    /// Values that it writes.
    pub writes: Vec<ValueId>,
}

impl Scratch {
    /// Assigns the values of `plan`. Inputs and outputs keep their slot to the end.
    pub fn new(plan: &Plan) -> Self {
        let access = |op: &Op| Access { reads: op.reads().collect(), writes: op.writes().into_iter().collect() };
        Self::of_steps(plan, &plan.ops().iter().map(access).collect::<Vec<_>>())
    }

    /// Assigns the values that steps work on. One that no step writes, and that is no input, has no slot: a backend keeps
    /// it in a form of its own.
    pub fn of_steps(plan: &Plan, steps: &[Access]) -> Self {
        let last_use = last_uses(plan, steps);
        let mut scratch = Scratch { slot_of: vec![None; plan.values().len()], shapes: Vec::new() };
        let mut free: Vec<usize> = Vec::new();
        for &id in plan.inputs() {
            scratch.open(plan, id);
        }
        for (i, Access { reads, writes }) in steps.iter().enumerate() {
            for &out in writes {
                match free.iter().position(|&slot| scratch.shapes[slot] == *plan.value(out)) {
                    Some(at) => scratch.slot_of[out.index()] = Some(free.swap_remove(at)),
                    None => scratch.open(plan, out),
                }
            }
            for id in reads.iter().chain(writes) {
                if let Some(slot) = scratch.slot_of[id.index()]
                    && last_use[id.index()] == Some(i)
                    && !free.contains(&slot)
                {
                    free.push(slot);
                }
            }
        }
        scratch
    }

    fn open(&mut self, plan: &Plan, id: ValueId) {
        self.slot_of[id.index()] = Some(self.shapes.len());
        self.shapes.push(*plan.value(id));
    }

    /// The buffer of a value.
    ///
    /// # Panics
    /// If no step writes the value, and it is no input.
    pub fn slot(&self, id: ValueId) -> usize {
        self.slot_of[id.index()].expect("a value that is read or written as such has a buffer")
    }

    /// The shape of each buffer.
    pub fn shapes(&self) -> &[Value] {
        &self.shapes
    }

    /// Values that buffer `slot` holds for batches of at most `n_tokens`, of which at most `n_outputs` want logits.
    pub fn len(&self, slot: usize, n_tokens: usize, n_outputs: usize) -> usize {
        let Value { width, rows } = self.shapes[slot];
        width
            * match rows {
                Rows::Tokens => n_tokens,
                Rows::Outputs => n_outputs,
            }
    }

    /// Bytes of all buffers together.
    pub fn bytes(&self, n_tokens: usize, n_outputs: usize) -> usize {
        (0..self.shapes.len()).map(|slot| 4 * self.len(slot, n_tokens, n_outputs)).sum()
    }
}

/// The step that reads each value last, or that writes it where nobody reads it. Inputs and outputs never end.
fn last_uses(plan: &Plan, steps: &[Access]) -> Vec<Option<usize>> {
    let mut last = vec![None; plan.values().len()];
    for (i, Access { reads, writes }) in steps.iter().enumerate() {
        for id in reads.iter().chain(writes) {
            last[id.index()] = Some(i);
        }
    }
    for id in plan.inputs().iter().chain(plan.outputs()) {
        last[id.index()] = None;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlanBuilder;

    #[test]
    fn a_chain_needs_two_buffers_besides_its_input() {
        let p = PlanBuilder::new();
        let mut x = p.input(8);
        for _ in 0..5 {
            x = p.scale(x, 2.0);
        }
        p.output(x);
        let plan = p.finish().unwrap();
        let scratch = Scratch::new(&plan);
        assert_eq!(scratch.shapes().len(), 3);
        for op in plan.ops() {
            let out = scratch.slot(op.writes().unwrap());
            assert!(op.reads().all(|x| scratch.slot(x) != out));
        }
    }

    #[test]
    fn a_residual_survives_until_it_is_added() {
        let p = PlanBuilder::new();
        let x = p.input(8);
        let h = p.scale(x, 2.0);
        let a = p.scale(h, 3.0);
        let b = p.scale(a, 3.0);
        p.output(p.add(h, b));
        let plan = p.finish().unwrap();
        let scratch = Scratch::new(&plan);
        assert!(scratch.slot(h) != scratch.slot(a) && scratch.slot(h) != scratch.slot(b));
    }
}

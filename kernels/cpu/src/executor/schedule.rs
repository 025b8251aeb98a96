//! Where threads must wait for each other: only where one would read what another has written, or write over what
//! another still reads.

use silhak_ops::KvId;

use super::experts::ExpertLinear;
use super::program::{Amount, Amounts, Elementwise, Slot, Step};

/// For each step, whether a barrier comes before it.
pub(super) type Schedule = Vec<bool>;

/// Finds the barriers that the steps need.
pub(super) fn barriers(steps: &[Step], amounts: Amounts) -> Schedule {
    let mut since_barrier: Vec<Access> = Vec::new();
    let needed = |step: &Step| {
        let accesses = accesses(step, amounts);
        let conflict = accesses.iter().any(|access| since_barrier.iter().any(|before| access.conflicts(before)));
        if conflict {
            since_barrier.clear();
        }
        since_barrier.extend(accesses);
        conflict
    };
    steps.iter().map(needed).collect()
}

/// Something that steps read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Slot(Slot),
    Activations(usize),
    Kv(KvId),
    Turns(usize),
    Partials,
    /// Which tokens go to which expert.
    Groups,
}

/// Who works on which part of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Each thread has its share of the rows.
    Rows,
    /// Each thread has its share of the columns.
    Columns,
    /// Any thread may come to any part.
    Any,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    place: Place,
    write: bool,
    split: Split,
}

impl Access {
    /// Whether the two may be of one part of a place, by two threads, and not both just reading.
    fn conflicts(&self, other: &Access) -> bool {
        let same_owner = self.split == other.split && self.split != Split::Any;
        self.place == other.place && (self.write || other.write) && !same_owner
    }
}

/// What a step reads and writes, and how [`super::run`] shares it out.
fn accesses(step: &Step, amounts: Amounts) -> Vec<Access> {
    let read = |place, split| Access { place, write: false, split };
    let write = |place, split| Access { place, write: true, split };
    let slot = Place::Slot;
    match *step {
        Step::Turns { table } => vec![write(Place::Turns(table), Split::Rows)],
        Step::Embed { out, .. } => vec![write(slot(out), Split::Rows)],
        Step::Select { x, out, .. } => vec![read(slot(x), Split::Any), write(slot(out), Split::Rows)],
        Step::RmsNorm { x, out, .. } => vec![read(slot(x), Split::Rows), write(slot(out), Split::Rows)],
        Step::Quantize { x, acts, .. } => {
            vec![read(slot(x), Split::Rows), write(Place::Activations(acts), Split::Rows)]
        }
        Step::Linear { acts, out, value, .. } => {
            // Few rows: each thread has its share of the weight's rows, which are the columns of the result. Many: it
            // takes the next piece that nobody has taken.
            let split = if amounts.of(value.rows) == Amount::Few { Split::Columns } else { Split::Any };
            vec![read(Place::Activations(acts), Split::Any), write(slot(out), split)]
        }
        Step::Route { logits, out, .. } => vec![read(slot(logits), Split::Rows), write(slot(out), Split::Rows)],
        Step::Group { experts, .. } => {
            let chosen = experts.chosen.map(|chosen| read(slot(chosen), Split::Any));
            chosen.into_iter().chain([write(Place::Groups, Split::Any)]).collect()
        }
        Step::QuantizeByExpert { x, acts, .. } => vec![
            read(slot(x), Split::Any),
            read(Place::Groups, Split::Any),
            write(Place::Activations(acts), Split::Any),
        ],
        Step::ExpertLinear(ExpertLinear { experts, acts, out, .. }) => {
            let chosen = experts.chosen.map(|chosen| read(slot(chosen), Split::Any));
            let others = [
                read(Place::Groups, Split::Any),
                read(Place::Activations(acts), Split::Any),
                write(slot(out), Split::Any),
            ];
            chosen.into_iter().chain(others).collect()
        }
        Step::ExpertSum { x, experts, out, .. } => {
            let reads = [Some(x), experts.chosen].into_iter().flatten().map(|x| read(slot(x), Split::Rows));
            reads.chain([write(slot(out), Split::Rows)]).collect()
        }
        Step::HeadSlice { x, out, .. } => vec![read(slot(x), Split::Rows), write(slot(out), Split::Rows)],
        Step::HeadConcat { parts, out, .. } => {
            let reads = parts.into_iter().map(|x| read(slot(x), Split::Rows));
            reads.chain([write(slot(out), Split::Rows)]).collect()
        }
        Step::Rope { x, table, out, .. } => {
            vec![read(slot(x), Split::Rows), read(Place::Turns(table), Split::Rows), write(slot(out), Split::Rows)]
        }
        Step::KvWrite { layer, k, v, .. } => {
            vec![read(slot(k), Split::Rows), read(slot(v), Split::Rows), write(Place::Kv(layer), Split::Rows)]
        }
        Step::Attention { layer, q, out, .. } => vec![
            read(Place::Kv(layer), Split::Any),
            read(slot(q), Split::Any),
            write(slot(out), Split::Any),
            write(Place::Partials, Split::Any),
        ],
        Step::Merge { out, .. } => vec![read(Place::Partials, Split::Rows), write(slot(out), Split::Rows)],
        Step::Elementwise { op, out, value } => {
            let split = if amounts.of(value.rows) == Amount::Few { Split::Columns } else { Split::Rows };
            let reads = match op {
                Elementwise::Gate { gate, up, .. } => [Some(gate), Some(up)],
                Elementwise::Add { a, b } => [Some(a), Some(b)],
                Elementwise::Scale { x, .. } | Elementwise::SoftCap { x, .. } => [Some(x), None],
            };
            let reads = reads.into_iter().flatten().map(|x| read(slot(x), split));
            reads.chain([write(slot(out), split)]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use silhak_ops::{Rows, Value};

    use super::*;

    const FEW: Amounts = Amounts { tokens: Amount::Few, outputs: Amount::Few };
    const MANY: Amounts = Amounts { tokens: Amount::Many, outputs: Amount::Many };

    fn scale(x: Slot, out: Slot) -> Step {
        let value = Value { width: 8, rows: Rows::Tokens };
        Step::Elementwise { op: Elementwise::Scale { x, factor: 2.0 }, out, value }
    }

    fn quantize(x: Slot, acts: usize) -> Step {
        Step::Quantize { x, acts, parts: 1, value: Value { width: 8, rows: Rows::Tokens } }
    }

    #[test]
    fn threads_wait_only_for_what_others_write() {
        let steps = [scale(0, 1), scale(1, 2), quantize(2, 0), scale(3, 4), quantize(5, 0)];
        // Rows after columns of one place: the quantizer waits. Slots 3 to 5 are nobody else's.
        assert_eq!(barriers(&steps, FEW), [false, false, true, false, false]);
        assert_eq!(barriers(&steps, MANY), [false; 5]);
    }

    #[test]
    fn threads_wait_before_they_write_over_what_others_read() {
        let steps = [quantize(1, 0), scale(0, 1)];
        assert_eq!(barriers(&steps, FEW), [false, true]);
    }

    #[test]
    fn the_splits_of_one_attention_are_read_before_the_next_writes_its_own() {
        let merge = Access { place: Place::Partials, write: false, split: Split::Rows };
        let next = Access { place: Place::Partials, write: true, split: Split::Any };
        assert!(merge.conflicts(&next) && next.conflicts(&merge));
    }
}

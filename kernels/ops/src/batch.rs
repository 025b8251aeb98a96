//! What goes through a plan in one call: tokens of one or many sequences, and where their keys and values live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Choice, Error, KvConfig, KvGroup, Plan, Slot};

/// A page of key-value storage; the same index in every layer of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Page(pub u32);

/// The pages of one sequence in one group: position `p` lives in page `p / page_len`, at `p % page_len`.
///
/// `None` marks a page whose positions have slid out of the group's window and were given back.
pub type PageTable = Vec<Option<Page>>;

/// A ragged batch. Prefill, decode, verification and many users at once differ only in its numbers.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    sequences: Vec<u32>,
    outputs: Vec<u32>,
    choices: Vec<(Slot, Choice)>,
    page_tables: Vec<Vec<PageTable>>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Batch {
    /// The bit of a token that is the number of a slot.
    pub const CHOSEN: u32 = 1 << 31;

    /// A batch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sequence with its page table in each key-value group, in the order of [`Plan::kv_groups`]; returns its
    /// number in this batch.
    pub fn add_sequence(&mut self, page_tables: Vec<PageTable>) -> u32 {
        self.page_tables.push(page_tables);
        (self.page_tables.len() - 1) as u32
    }

    /// Adds a token. Tokens of a sequence come in the order of their positions.
    pub fn add_token(&mut self, sequence: u32, token: u32, position: u32, wants_logits: bool) {
        if wants_logits {
            self.outputs.push(self.tokens.len() as u32);
        }
        self.tokens.push(token);
        self.positions.push(position);
        self.sequences.push(sequence);
    }

    /// Adds the token that was chosen last for a slot, whichever that is. Only for batches that choose themselves.
    pub fn add_chosen_token(&mut self, sequence: u32, slot: Slot, position: u32) {
        self.add_token(sequence, Self::CHOSEN | slot.0, position, false);
    }

    /// Wants a token chosen after the last token that was added, in place of its logits, and kept in `slot`. A batch
    /// chooses for all of its outputs or for none.
    pub fn choose(&mut self, slot: Slot, choice: Choice) {
        self.outputs.push(self.tokens.len() as u32 - 1);
        self.choices.push((slot, choice));
    }

    /// Lets a flag end the batch before it is done. Keys and values of its tokens are then as good as not written.
    pub fn cancel_with(&mut self, flag: Arc<AtomicBool>) {
        self.cancel = Some(flag);
    }

    /// An error where the batch was cancelled; executors ask between ops, where these take long.
    pub fn check_cancelled(&self) -> Result<(), Error> {
        match &self.cancel {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Number of sequences.
    pub fn n_sequences(&self) -> usize {
        self.page_tables.len()
    }

    /// Number of rows of logits.
    pub fn n_outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Slot and choice of each output: `[n_outputs]`, or empty where logits are wanted.
    pub fn choices(&self) -> &[(Slot, Choice)] {
        &self.choices
    }

    /// Token ids: `[n_tokens]`; [`Batch::CHOSEN`] and a slot where one is what was chosen.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Position of each token in its sequence: `[n_tokens]`.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Sequence of each token: `[n_tokens]`.
    pub fn sequences(&self) -> &[u32] {
        &self.sequences
    }

    /// Tokens whose logits are wanted, as indices into the batch: `[n_outputs]`.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// The page table of a sequence in a group.
    pub fn page_table(&self, sequence: u32, group: usize) -> &PageTable {
        &self.page_tables[sequence as usize][group]
    }

    /// The same tokens with the page tables of these groups alone, in this order; where a part of a plan runs.
    pub(crate) fn with_groups(&self, groups: &[usize]) -> Self {
        let of_sequence = |tables: &Vec<PageTable>| groups.iter().map(|&group| tables[group].clone()).collect();
        Batch { page_tables: self.page_tables.iter().map(of_sequence).collect(), ..self.clone() }
    }

    /// Checks everything that an executor relies on: token ids, sequences, and that every page that will be read or
    /// written is there.
    pub fn check(&self, plan: &Plan, groups: &[KvGroup], kv: &KvConfig) -> Result<(), Error> {
        let n_vocab = plan.n_vocab();
        self.check_choices(kv)?;
        for (i, (&token, &sequence)) in self.tokens.iter().zip(&self.sequences).enumerate() {
            if !self.choices.is_empty() && token & Self::CHOSEN != 0 {
                check_slot(Slot(token & !Self::CHOSEN), kv)?;
            } else if n_vocab.is_some_and(|n| token as usize >= n) {
                return Err(Error::Batch(format!("token {i} is {token}, and the vocabulary has {n_vocab:?} entries")));
            }
            if sequence as usize >= self.page_tables.len() {
                return Err(Error::Batch(format!("token {i} belongs to sequence {sequence}, which was not added")));
            }
        }
        for tables in &self.page_tables {
            if tables.len() != groups.len() {
                return Err(Error::Count { what: "page tables", expected: groups.len(), found: tables.len() });
            }
        }
        for (g, group) in groups.iter().enumerate() {
            self.check_pages(g, group, kv)?;
        }
        Ok(())
    }

    fn check_choices(&self, kv: &KvConfig) -> Result<(), Error> {
        let (n, n_outputs) = (self.choices.len(), self.outputs.len());
        if n > 0 && (n != n_outputs || n > Choice::MOST_IN_BATCH) {
            let most = Choice::MOST_IN_BATCH;
            return Err(Error::Batch(format!(
                "expected as many choices as outputs, at most {most}: {n} for {n_outputs}"
            )));
        }
        for (slot, choice) in &self.choices {
            check_slot(*slot, kv)?;
            if !(1..=Choice::MOST_TOP_K).contains(&choice.top_k) {
                let most = Choice::MOST_TOP_K;
                return Err(Error::Batch(format!("expected top_k from 1 to {most}, found {}", choice.top_k)));
            }
        }
        Ok(())
    }

    fn check_pages(&self, g: usize, group: &KvGroup, kv: &KvConfig) -> Result<(), Error> {
        let mut last: Vec<Option<u32>> = vec![None; self.page_tables.len()];
        for (&sequence, &position) in self.sequences.iter().zip(&self.positions) {
            if last[sequence as usize].is_some_and(|p| position != p + 1) {
                return Err(Error::Batch(format!("sequence {sequence} skips or repeats a position at {position}")));
            }
            let first_new = last[sequence as usize].is_none();
            last[sequence as usize] = Some(position);
            let seen = group.window.map_or(0, |w| (position as usize + 1).saturating_sub(w));
            let from = if first_new { seen } else { position as usize };
            let table = self.page_table(sequence, g);
            for index in from / kv.page_len..=position as usize / kv.page_len {
                match table.get(index) {
                    Some(Some(page)) if (page.0 as usize) < kv.n_pages[g] => {}
                    found => {
                        let n = kv.n_pages[g];
                        return Err(Error::Batch(format!(
                            "sequence {sequence}, position {position}: expected a page below {n} at {index} of group \
                             {g}, found {found:?}"
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_slot(slot: Slot, kv: &KvConfig) -> Result<(), Error> {
    let n = kv.n_slots();
    if (slot.0 as usize) < n {
        Ok(())
    } else {
        Err(Error::Batch(format!("expected a slot below {n}, found {}", slot.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KvElement, KvLayer, PlanBuilder};

    fn plan() -> Plan {
        let p = PlanBuilder::new();
        let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: 4, window: Some(4) });
        let x = p.input(4);
        p.kv_write(layer, x, x);
        p.output(p.attention(layer, x, 1.0));
        p.finish().unwrap()
    }

    fn check(table: PageTable, positions: &[u32]) -> Result<(), Error> {
        let plan = plan();
        let mut batch = Batch::new();
        let s = batch.add_sequence(vec![table]);
        for &position in positions {
            batch.add_token(s, 0, position, false);
        }
        let kv = KvConfig { page_len: 2, n_pages: vec![3], element: KvElement::F32 };
        batch.check(&plan, &plan.kv_groups(), &kv)
    }

    #[test]
    fn choices_are_for_all_outputs_and_in_slots_that_exist() {
        let plan = plan();
        let kv = KvConfig { page_len: 2, n_pages: vec![3], element: KvElement::F32 };
        let check = |build: &dyn Fn(&mut Batch, u32)| {
            let mut batch = Batch::new();
            let sequence = batch.add_sequence(vec![vec![Some(Page(0))]]);
            build(&mut batch, sequence);
            batch.check(&plan, &plan.kv_groups(), &kv)
        };
        let chosen = |slot, choice| {
            check(&|batch, sequence| {
                batch.add_chosen_token(sequence, Slot(slot), 0);
                batch.choose(Slot(2), choice);
            })
        };
        assert!(chosen(2, Choice::GREEDY).is_ok());
        assert!(chosen(3, Choice::GREEDY).is_err(), "there are three slots");
        assert!(chosen(0, Choice { top_k: 0, ..Choice::GREEDY }).is_err());
        assert!(chosen(0, Choice { top_k: 65, ..Choice::GREEDY }).is_err());
        assert!(
            check(&|batch, sequence| {
                batch.add_token(sequence, 0, 0, true);
                batch.add_token(sequence, 0, 1, false);
                batch.choose(Slot(0), Choice::GREEDY);
            })
            .is_err(),
            "logits and a choice"
        );
    }

    #[test]
    fn pages_inside_the_window_must_be_there() {
        let full = vec![Some(Page(0)), Some(Page(1)), Some(Page(2))];
        assert!(check(full.clone(), &[3, 4, 5]).is_ok());
        let slid = vec![None, Some(Page(1)), Some(Page(2))];
        assert!(check(slid.clone(), &[5]).is_ok(), "positions 2..=5 are seen");
        assert!(check(slid, &[4, 5]).is_err(), "position 4 sees position 1");
        assert!(check(full.clone(), &[6]).is_err(), "no page for position 6");
        assert!(check(vec![Some(Page(3))], &[0]).is_err(), "page 3 of 3");
        assert!(check(full, &[3, 5]).is_err(), "position 4 is skipped");
    }
}

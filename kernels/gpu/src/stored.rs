//! Which pages hold keys and values after a loss has emptied all of them.

use silhak_ops::{Batch, KvConfig, Page, Plan};

/// The pages of each group that were written from their beginning.
#[derive(Clone, Debug)]
pub(crate) struct StoredPages {
    page_len: usize,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    window: Option<usize>,
    stored: Vec<bool>,
}

impl StoredPages {
    /// Nothing is stored.
    pub(crate) fn none(plan: &Plan, kv: &KvConfig) -> Self {
        let groups = plan.kv_groups().into_iter().zip(&kv.n_pages);
        let groups = groups.map(|(group, &n)| Group { window: group.window, stored: vec![false; n] }).collect();
        StoredPages { page_len: kv.page_len, groups }
    }

    /// What is stored after a batch (one that [`Batch::check`] has passed); `None` if it reads what is not.
    pub(crate) fn after(&self, batch: &Batch) -> Option<Self> {
        let mut after = self.clone();
        let mut last = None;
        for (&sequence, &position) in batch.sequences().iter().zip(batch.positions()) {
            let position = position as usize;
            let continues = last == Some(sequence);
            last = Some(sequence);
            for (g, group) in after.groups.iter_mut().enumerate() {
                let table = batch.page_table(sequence, g);
                let seen = group.window.map_or(0, |window| (position + 1).saturating_sub(window));
                let own = position / self.page_len;
                // The sequence's token before this one has seen to the pages before.
                let from = if continues { own } else { seen / self.page_len };
                for index in from..=own {
                    let page = table.get(index).copied().flatten()?;
                    let stored = group.stored.get_mut(page.0 as usize)?;
                    *stored |= index * self.page_len == position;
                    if !*stored {
                        return None;
                    }
                }
            }
        }
        Some(after)
    }

    /// A page was copied over another.
    pub(crate) fn copy(&mut self, group: usize, from: Page, to: Page) {
        let Some(Group { stored, .. }) = self.groups.get_mut(group) else { return };
        let is_stored = stored.get(from.0 as usize).copied().unwrap_or(false);
        if let Some(to) = stored.get_mut(to.0 as usize) {
            *to = is_stored;
        }
    }
}

#[cfg(test)]
mod tests {
    use silhak_ops::{KvElement, KvLayer, PlanBuilder};

    use super::*;

    /// A group that sees everything and one that sees 4 positions; 2 positions a page.
    fn nothing() -> StoredPages {
        let p = PlanBuilder::new();
        for window in [None, Some(4)] {
            p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: 4, window });
        }
        let kv = KvConfig { page_len: 2, n_pages: vec![8, 8], element: KvElement::F32 };
        StoredPages::none(&p.finish().unwrap(), &kv)
    }

    /// Positions of a sequence that has page 3 first, then 4, and so on.
    fn batch(positions: std::ops::Range<u32>) -> Batch {
        let mut batch = Batch::new();
        let table: Vec<_> = (3..8).map(|page| Some(Page(page))).collect();
        let sequence = batch.add_sequence(vec![table.clone(), table]);
        positions.for_each(|position| batch.add_token(sequence, 0, position, false));
        batch
    }

    #[test]
    fn only_what_was_written_since_can_be_built_on() {
        let nothing = nothing();
        assert!(nothing.after(&batch(1..2)).is_none());
        assert!(nothing.after(&batch(2..4)).is_none(), "position 2 sees page 3");
        let three = nothing.after(&batch(0..3)).unwrap();
        let five = three.after(&batch(3..5)).unwrap();
        assert!(five.after(&batch(6..7)).is_some() && five.after(&batch(7..8)).is_none());
    }

    #[test]
    fn a_copy_is_worth_what_it_was_made_from() {
        let mut stored = nothing();
        for group in 0..2 {
            stored.copy(group, Page(0), Page(3));
        }
        assert!(stored.after(&batch(1..2)).is_none());
        stored = stored.after(&batch(0..2)).unwrap();
        for group in 0..2 {
            stored.copy(group, Page(3), Page(4));
        }
        assert!(stored.after(&batch(3..4)).is_some());
    }
}

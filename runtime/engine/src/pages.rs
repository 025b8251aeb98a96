//! Key-value pages: who has which, and which are free.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use silhak_ops::{KvGroup, Page, PageTable, Slot};

use crate::Error;

/// The free pages of each key-value group. Shared by all sequences of a model.
#[derive(Debug)]
pub(crate) struct PagePool {
    page_len: usize,
    windows: Vec<Option<usize>>,
    free: Mutex<Vec<Vec<Page>>>,
    free_slots: Mutex<Vec<Slot>>,
    /// How often all that is stored was lost.
    epoch: AtomicU64,
}

impl PagePool {
    pub(crate) fn new(groups: &[KvGroup], n_pages: &[usize], page_len: usize) -> Self {
        // Handed out from the end: page 0 first, so that a short conversation touches little memory.
        let free = n_pages.iter().map(|&n| (0..n as u32).rev().map(Page).collect()).collect();
        let slots = (0..n_pages.first().map_or(0, |&n| n as u32)).rev().map(Slot).collect();
        let windows = groups.iter().map(|g| g.window).collect();
        let epoch = AtomicU64::new(0);
        PagePool { page_len, windows, free: Mutex::new(free), free_slots: Mutex::new(slots), epoch }
    }

    /// Pages that one sequence needs in each group, for `n_ctx` tokens of which `max_tokens` are added at a time.
    ///
    /// A sliding window keeps what the oldest of the added tokens sees, and needs a page more where it is not aligned.
    pub(crate) fn pages_for(groups: &[KvGroup], n_ctx: usize, max_tokens: usize, page_len: usize) -> Vec<usize> {
        let all = n_ctx.div_ceil(page_len);
        let of = |g: &KvGroup| g.window.map_or(all, |w| ((w + max_tokens).div_ceil(page_len) + 1).min(all));
        groups.iter().map(of).collect()
    }

    /// How often all that is stored was lost: what was stored in another epoch is gone.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Notes that all that is stored is lost. The pages stay whose they are.
    pub(crate) fn lose_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Free pages of each group.
    #[cfg(test)]
    pub(crate) fn n_free(&self) -> Vec<usize> {
        self.lock().iter().map(Vec::len).collect()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.free_slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Page>>> {
        // Nothing can panic while the lists are being changed, so they are whole even in a poisoned lock.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One sequence's place in the key-value pages. Dropping it gives the pages back.
#[derive(Debug)]
pub(crate) struct Sequence {
    pool: Arc<PagePool>,
    tables: Vec<PageTable>,
    len: usize,
    slot: Option<Slot>,
    epoch: u64,
}

impl Sequence {
    pub(crate) fn new(pool: Arc<PagePool>) -> Self {
        let (slot, epoch) = (pool.slots().pop(), pool.epoch());
        Sequence { tables: vec![PageTable::new(); pool.windows.len()], pool, len: 0, slot, epoch }
    }

    /// Tokens whose keys and values are stored.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The page tables, in the order of the groups.
    pub(crate) fn tables(&self) -> &[PageTable] {
        &self.tables
    }

    /// The pool's epoch in which the first of its tokens was stored.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether what it has stored is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.epoch != self.pool.epoch()
    }

    /// Where a device keeps the token that it chose last for this sequence; `None` where more sequences are open than there
    /// are pages.
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Makes room for `n` more tokens.
    pub(crate) fn reserve(&mut self, n: usize) -> Result<(), Error> {
        let n_pages = (self.len + n).div_ceil(self.pool.page_len);
        let mut free = self.pool.lock();
        for (table, free) in self.tables.iter_mut().zip(free.iter_mut()) {
            while table.len() < n_pages {
                table.push(Some(free.pop().ok_or(Error::NoFreePages { position: self.len })?));
            }
        }
        Ok(())
    }

    /// Counts `n` tokens as stored, and gives back the pages that slid out of every window.
    pub(crate) fn advance(&mut self, n: usize) {
        self.len += n;
        let mut free = self.pool.lock();
        for ((table, free), window) in self.tables.iter_mut().zip(free.iter_mut()).zip(&self.pool.windows) {
            // The next token, at position `len`, sees positions from `len + 1 - window`.
            let first_seen = window.map_or(0, |w| (self.len + 1).saturating_sub(w));
            free.extend(table.iter_mut().take(first_seen / self.pool.page_len).filter_map(Option::take));
        }
    }

    /// Forgets everything from position `len` on, or everything where pages that position needs were given back.
    pub(crate) fn truncate(&mut self, len: usize) {
        let page_len = self.pool.page_len;
        let kept = |table: &PageTable, window: &Option<usize>| {
            let first_seen = window.map_or(0, |w| (len + 1).saturating_sub(w));
            table.get(first_seen / page_len..len.div_ceil(page_len)).is_some_and(|p| p.iter().all(Option::is_some))
        };
        let all_kept = self.tables.iter().zip(&self.pool.windows).all(|(t, w)| kept(t, w));
        self.len = if all_kept && len <= self.len { len } else { 0 };
        if self.len == 0 {
            self.epoch = self.pool.epoch();
        }
        let mut free = self.pool.lock();
        for (table, free) in self.tables.iter_mut().zip(free.iter_mut()) {
            free.extend(table.drain(self.len.div_ceil(page_len).min(table.len())..).flatten());
        }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        self.pool.slots().extend(self.slot);
        let mut free = self.pool.lock();
        for (table, free) in self.tables.iter_mut().zip(free.iter_mut()) {
            free.extend(table.drain(..).flatten());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups: one that keeps everything, one with a window of 6; 4 tokens a page.
    fn pool(n_pages: [usize; 2]) -> Arc<PagePool> {
        let groups = [None, Some(6)].map(|window| KvGroup { window, layers: Vec::new() });
        Arc::new(PagePool::new(&groups, &n_pages, 4))
    }

    #[test]
    fn a_window_gives_pages_back_and_a_drop_gives_all() {
        let pool = pool([8, 4]);
        let mut sequence = Sequence::new(Arc::clone(&pool));
        for _ in 0..30 {
            sequence.reserve(1).unwrap();
            sequence.advance(1);
        }
        // 30 tokens: 8 pages. Position 30 sees 25..=30: pages 6 and 7.
        assert_eq!(pool.n_free(), [0, 2]);
        assert!(sequence.tables()[1][..6].iter().all(Option::is_none));
        drop(sequence);
        assert_eq!(pool.n_free(), [8, 4]);
    }

    #[test]
    fn a_full_pool_is_an_error_that_loses_nothing() {
        let pool = pool([2, 2]);
        let mut sequence = Sequence::new(Arc::clone(&pool));
        sequence.reserve(8).unwrap();
        sequence.advance(8);
        assert!(matches!(sequence.reserve(1), Err(Error::NoFreePages { position: 8 })));
        drop(sequence);
        assert_eq!(pool.n_free(), [2, 2]);
    }

    #[test]
    fn truncation_keeps_what_it_can() {
        let pool = pool([8, 8]);
        let mut sequence = Sequence::new(Arc::clone(&pool));
        sequence.reserve(20).unwrap();
        sequence.advance(20);
        sequence.truncate(18);
        assert_eq!((sequence.len(), sequence.tables()[0].len()), (18, 5), "position 18 sees 13..=18, all still there");
        sequence.truncate(8);
        assert_eq!(sequence.len(), 0, "position 8 sees 3..=8, and page 0 was given back");
        assert_eq!(pool.n_free(), [8, 8]);
    }

    #[test]
    fn what_is_lost_stays_lost_until_it_is_forgotten() {
        let pool = pool([8, 8]);
        let mut sequence = Sequence::new(Arc::clone(&pool));
        sequence.reserve(5).unwrap();
        sequence.advance(5);
        pool.lose_all();
        sequence.truncate(4);
        assert!(sequence.is_lost() && !Sequence::new(Arc::clone(&pool)).is_lost());
        sequence.truncate(0);
        assert!(!sequence.is_lost());
        assert_eq!(pool.n_free(), [8, 8]);
    }

    #[test]
    fn pages_for_a_window_do_not_grow_with_the_context() {
        let groups = [None, Some(6)].map(|window| KvGroup { window, layers: Vec::new() });
        assert_eq!(PagePool::pages_for(&groups, 1000, 10, 4), [250, 5]);
        assert_eq!(PagePool::pages_for(&groups, 8, 10, 4), [2, 2]);
    }
}

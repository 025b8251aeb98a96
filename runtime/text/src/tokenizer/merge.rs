//! The merging that BPE and SentencePiece share: of all neighbours that may join, the most urgent pair does, the
//! leftmost of equals first, until none may.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Working memory of [`Merger::merge`], to be reused from word to word.
///
/// `T` is what a symbol is to the caller, `U` how urgent a join is (the smallest goes first).
#[derive(Debug)]
pub(crate) struct Merger<T, U> {
    symbols: Vec<Symbol<T>>,
    /// Joins found so far, among them some whose symbols have changed since.
    queue: BinaryHeap<Reverse<Candidate<T, U>>>,
}

/// A piece of a word being merged, in a list linked by positions.
#[derive(Debug, Clone, Copy)]
struct Symbol<T> {
    value: T,
    /// What it and its right neighbour may become.
    joined: Option<T>,
    prev: u32,
    next: u32,
}

/// Before the first symbol and after the last.
const NONE: u32 = u32::MAX;

/// A join: how urgent it is, the position of its left symbol, and what it makes.
type Candidate<T, U> = (U, u32, T);

impl<T: Copy + Ord, U: Copy + Ord> Merger<T, U> {
    pub(crate) fn new() -> Self {
        Self { symbols: Vec::new(), queue: BinaryHeap::new() }
    }

    /// Merges `symbols`, fewer than 2^32, as far as `join` allows and hands what is left to `out`, in order.
    ///
    /// `join` tells whether two neighbours may become one, how urgently, and what. It must give the same answer each
    /// time, and different answers for different spans of text.
    pub(crate) fn merge(
        &mut self,
        symbols: impl IntoIterator<Item = T>,
        join: impl Fn(T, T) -> Option<(U, T)>,
        mut out: impl FnMut(T),
    ) {
        self.symbols.clear();
        let numbered = (0..NONE).zip(symbols);
        self.symbols.extend(numbered.map(|(at, value)| Symbol {
            value,
            joined: None,
            prev: at.wrapping_sub(1),
            next: at + 1,
        }));
        let Some(last) = self.symbols.last_mut() else { return };
        last.next = NONE;

        let mut candidates = std::mem::take(&mut self.queue).into_vec();
        for at in 0..self.symbols.len() as u32 {
            candidates.extend(self.find_join(at, &join).map(Reverse));
        }
        self.queue = candidates.into();
        while let Some(Reverse((_, at, joined))) = self.queue.pop() {
            let Symbol { joined: current, prev, next, .. } = self.symbols[at as usize];
            // A symbol that has changed since has another candidate; one that has gone has none.
            if current != Some(joined) {
                continue;
            }
            let gone = &mut self.symbols[next as usize];
            gone.joined = None;
            let after = gone.next;
            let symbol = &mut self.symbols[at as usize];
            symbol.value = joined;
            symbol.next = after;
            if after != NONE {
                self.symbols[after as usize].prev = at;
            }
            let with_next = self.find_join(at, &join).map(Reverse);
            let with_prev = if prev == NONE { None } else { self.find_join(prev, &join).map(Reverse) };
            self.queue.extend(with_next.into_iter().chain(with_prev));
        }

        let mut at = 0;
        while at != NONE {
            let symbol = &self.symbols[at as usize];
            out(symbol.value);
            at = symbol.next;
        }
    }

    /// Notes what the symbol at `at` and its right neighbour may become.
    fn find_join(&mut self, at: u32, join: impl Fn(T, T) -> Option<(U, T)>) -> Option<Candidate<T, U>> {
        let Symbol { value, next, .. } = self.symbols[at as usize];
        let found = if next == NONE { None } else { join(value, self.symbols[next as usize].value) };
        self.symbols[at as usize].joined = found.map(|(_, joined)| joined);
        found.map(|(urgency, joined)| (urgency, at, joined))
    }
}

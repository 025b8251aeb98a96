//! The tokens of a batch by sequence, and the tiles that attention works on.

use std::ops::Range;

use silhak_ops::Batch;

use super::SPLIT;

/// The tokens of a batch, ordered by sequence.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    /// Indices into the batch; those of one sequence follow each other in the order of their positions.
    order: Vec<u32>,
    /// Where each token stands in `order`.
    place: Vec<u32>,
    /// The sequences that have tokens.
    runs: Vec<Run>,
    /// Which run each token belongs to.
    run_of: Vec<u32>,
}

/// The tokens of one sequence.
#[derive(Clone, Copy, Debug)]
struct Run {
    sequence: u32,
    /// First of its tokens in `order`.
    start: usize,
    /// Tokens.
    len: usize,
    /// Position of its first token; the others follow.
    position: usize,
}

/// Some queries of one sequence.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) sequence: u32,
    /// Its tokens, as a range of the order.
    pub(super) tokens: Range<usize>,
    /// Position of the first query; the others follow.
    pub(super) position: usize,
    /// The splits that any of the queries sees.
    pub(super) splits: Range<usize>,
}

impl Queries {
    /// Room for batches of `n_tokens`.
    pub(crate) fn with_capacity(n_tokens: usize) -> Self {
        Queries {
            order: Vec::with_capacity(n_tokens),
            place: Vec::with_capacity(n_tokens),
            runs: Vec::with_capacity(n_tokens),
            run_of: Vec::with_capacity(n_tokens),
        }
    }

    /// Orders the tokens of a batch.
    pub(crate) fn set(&mut self, batch: &Batch) {
        self.runs.clear();
        self.run_of.clear();
        for (&sequence, &position) in batch.sequences().iter().zip(batch.positions()) {
            // The last run is tried first: a sequence's tokens mostly follow each other.
            let run = self.runs.iter().rposition(|run| run.sequence == sequence).unwrap_or_else(|| {
                self.runs.push(Run { sequence, start: 0, len: 0, position: position as usize });
                self.runs.len() - 1
            });
            self.runs[run].len += 1;
            self.run_of.push(run as u32);
        }
        let mut start = 0;
        for run in &mut self.runs {
            run.start = start;
            start += run.len;
            run.len = 0;
        }
        self.order.clear();
        self.order.resize(batch.n_tokens(), 0);
        self.place.clear();
        for (token, &run) in self.run_of.iter().enumerate() {
            let run = &mut self.runs[run as usize];
            let place = run.start + run.len;
            run.len += 1;
            self.order[place] = token as u32;
            self.place.push(place as u32);
        }
    }

    /// The tiles of at most `most` queries each. Of one sequence, the last come first: they see the most positions, and
    /// threads end together when the small pieces of work come last.
    pub(super) fn tiles(&self, most: usize, window: Option<usize>) -> impl Iterator<Item = Tile> + '_ {
        let of_run = move |run: &Run| {
            let run = *run;
            (0..run.len.div_ceil(most)).rev().map(move |i| run.tile(i, most, window))
        };
        self.runs.iter().flat_map(of_run)
    }

    /// The tile that [`Queries::tiles`] puts a token in.
    pub(super) fn tile_of(&self, token: usize, most: usize, window: Option<usize>) -> Tile {
        let run = self.runs[self.run_of[token] as usize];
        run.tile((self.place[token] as usize - run.start) / most, most, window)
    }

    /// Indices into the batch of a tile's tokens.
    pub(super) fn tokens(&self, tile: &Tile) -> &[u32] {
        &self.order[tile.tokens.clone()]
    }
}

impl Run {
    fn tile(&self, i: usize, most: usize, window: Option<usize>) -> Tile {
        let first = i * most;
        let n = most.min(self.len - first);
        let position = self.position + first;
        let begin = window.map_or(0, |w| (position + 1).saturating_sub(w));
        let splits = begin / SPLIT..(position + n).div_ceil(SPLIT);
        Tile { sequence: self.sequence, tokens: self.start + first..self.start + first + n, position, splits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_one_tile() {
        let mut batch = Batch::new();
        (0..3).for_each(|_| _ = batch.add_sequence(Vec::new()));
        let mut next = [5, 700, 0];
        for sequence in [0, 1, 1, 0, 1, 2, 0, 0, 1, 0] {
            batch.add_token(sequence, 0, next[sequence as usize], false);
            next[sequence as usize] += 1;
        }
        let mut queries = Queries::default();
        for most in 1..5 {
            queries.set(&batch);
            let mut seen = vec![0; batch.n_tokens()];
            for tile in queries.tiles(most, Some(300)) {
                assert!(tile.tokens.len() <= most);
                for (i, &token) in queries.tokens(&tile).iter().enumerate() {
                    let token = token as usize;
                    seen[token] += 1;
                    assert_eq!(batch.sequences()[token], tile.sequence);
                    assert_eq!(batch.positions()[token] as usize, tile.position + i);
                    assert_eq!(queries.tile_of(token, most, Some(300)).tokens, tile.tokens);
                    assert_eq!(tile.splits, if tile.sequence == 1 { 1..3 } else { 0..1 });
                }
            }
            assert!(seen.iter().all(|&n| n == 1));
        }
    }
}

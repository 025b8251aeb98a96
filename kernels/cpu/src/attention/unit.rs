//! One unit of attention: a tile of queries over one or more splits of the positions.

use std::ops::Range;

use silhak_ops::{Error, PageTable};

use super::softmax::{self, NOTHING, State};
use super::tile::Product;
use super::{Attention, BLOCK, Call, SPLIT, Tile};
use crate::kv::{self, Element, GROUP, KvAccess, Place};
use crate::simd::{Kernel, Simd};

/// What a thread needs to compute, in float32 values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workspace {
    rows: usize,
    head_dim: usize,
}

/// A [`Workspace`], cut up.
struct Room<'a> {
    /// The queries times the scale: `[rows, head_dim]`.
    q: &'a mut [f32],
    /// Scores, then weights: `[rows, BLOCK]`.
    scores: &'a mut [[f32; BLOCK]],
    /// Weighted sum of the values of a split: `[rows, head_dim]`.
    acc: &'a mut [f32],
    /// The same of all splits so far: `[rows, head_dim]`.
    total: &'a mut [f32],
    /// Highest score and sum of weights of `acc`: `[rows]`.
    states: &'a mut [State],
    /// The same of `total`.
    total_states: &'a mut [State],
    /// Keys put in groups, or values that are not read where they are stored: `[head_dim, GROUP]`.
    read: &'a mut [f32],
}

impl Workspace {
    pub(super) fn new(rows: usize, head_dim: usize) -> Self {
        Workspace { rows, head_dim }
    }

    /// Its size.
    pub(crate) fn len(&self) -> usize {
        self.rows * (3 * self.head_dim + BLOCK + 4) + self.head_dim * GROUP
    }

    fn cut<'a>(&self, room: &'a mut [f32]) -> Room<'a> {
        let (q, room) = room.split_at_mut(self.rows * self.head_dim);
        let (scores, room) = room.split_at_mut(self.rows * BLOCK);
        let (acc, room) = room.split_at_mut(self.rows * self.head_dim);
        let (total, room) = room.split_at_mut(self.rows * self.head_dim);
        let (states, room) = room.split_at_mut(2 * self.rows);
        let (total_states, room) = room.split_at_mut(2 * self.rows);
        Room {
            q,
            scores: scores.as_chunks_mut().0,
            acc,
            total,
            states: states.as_chunks_mut().0,
            total_states: total_states.as_chunks_mut().0,
            read: &mut room[..self.head_dim * GROUP],
        }
    }
}

/// A unit and all it needs.
pub(super) struct Unit<'a, P> {
    pub(super) attention: &'a Attention,
    pub(super) call: &'a Call<'a>,
    pub(super) pages: P,
    pub(super) table: &'a PageTable,
    pub(super) tile: &'a Tile,
    /// Key-value head.
    pub(super) head: usize,
    /// The splits to do; they are put together unless `partial` says otherwise.
    pub(super) splits: Range<usize>,
    /// Where the one split goes: values between heads, and offset within a head.
    pub(super) partial: Option<(usize, usize)>,
    pub(super) room: &'a mut [f32],
}

impl<P: KvAccess> Kernel for Unit<'_, P> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> Result<(), Error> {
        let &Attention { shape, heads_per_kv, .. } = self.attention;
        let (n_rows, head_dim) = (self.tile.tokens.len() * heads_per_kv, shape.head_dim);
        let room = std::mem::take(&mut self.room);
        let Room { q, scores, acc, total, states, total_states, read } = Workspace::new(n_rows, head_dim).cut(room);
        self.read_queries(q);
        total.fill(0.0);
        total_states.fill(NOTHING);
        for split in self.splits.clone() {
            acc.fill(0.0);
            states.fill(NOTHING);
            for block in (split * SPLIT..(split + 1) * SPLIT).step_by(BLOCK) {
                let seen = self.seen(block);
                if !seen.is_empty() {
                    self.score(s, block, seen.clone(), q, scores, read)?;
                    self.weigh(s, block, scores, states, acc);
                    self.sum(s, block, seen, scores, acc, read)?;
                }
            }
            if self.partial.is_none() {
                for row in 0..n_rows {
                    let part = row * head_dim..(row + 1) * head_dim;
                    softmax::merge(s, (&mut total_states[row], &mut total[part.clone()]), (states[row], &acc[part]));
                }
            }
        }
        match self.partial {
            Some((stride, offset)) => self.write_partials(stride, offset, acc, states),
            None => self.write_result(total, total_states),
        }
        Ok(())
    }
}

impl<P: KvAccess> Unit<'_, P> {
    /// The positions from `block` on, at most a block of them, that any query sees.
    fn seen(&self, block: usize) -> Range<usize> {
        let first = self.visible(self.tile.position);
        let end = self.tile.position + self.tile.tokens.len();
        first.start.max(block)..end.min(block + BLOCK)
    }

    /// The positions that a query at `position` sees.
    fn visible(&self, position: usize) -> Range<usize> {
        let window = self.attention.shape.window;
        window.map_or(0, |w| (position + 1).saturating_sub(w))..position + 1
    }

    /// Copies the queries, times the scale.
    fn read_queries(&self, q: &mut [f32]) {
        for (place, q) in self.places().zip(q.chunks_exact_mut(self.query_len())) {
            // SAFETY: nobody writes the queries while attention runs.
            let from = unsafe { self.call.q.get(place..place + self.query_len()) };
            q.iter_mut().zip(from).for_each(|(q, x)| *q = self.attention.scale * x);
        }
    }

    /// The queries' products with the keys at `seen`, in whole groups.
    #[inline(always)]
    fn score<S: Simd>(
        &self,
        s: S,
        block: usize,
        seen: Range<usize>,
        q: &[f32],
        scores: &mut [[f32; BLOCK]],
        room: &mut [f32],
    ) -> Result<(), Error> {
        let shape = self.pages.shape();
        for group in (seen.start / GROUP * GROUP..seen.end).step_by(GROUP) {
            let out = &mut scores.as_flattened_mut()[group - block..];
            if shape.group_len() == GROUP {
                let place = self.place(group)?;
                // SAFETY: nobody writes keys while attention runs.
                let keys = unsafe { self.pages.read_keys(s, place, room) };
                self.products(q, keys).run(s, out);
            } else {
                self.regroup(group.max(seen.start)..seen.end.min(group + GROUP), room)?;
                self.products(q, &*room).run(s, out);
            }
        }
        Ok(())
    }

    /// The product of all queries with a group of keys.
    fn products<'b, B>(&self, q: &'b [f32], keys: &'b [B]) -> Product<'b, B> {
        let head_dim = self.attention.shape.head_dim;
        let n_rows = q.len() / head_dim;
        Product { n_rows, k: head_dim, a: q, lda: head_dim, b: keys, ldb: GROUP, ldc: BLOCK, add: false }
    }

    /// Puts the keys at `positions`, all of one group, in the order of groups; other places keep what they hold.
    fn regroup(&self, positions: Range<usize>, keys: &mut [f32]) -> Result<(), Error> {
        for position in positions {
            let place = self.place(position)?;
            // SAFETY: nobody writes keys while attention runs.
            let key = unsafe { self.pages.read_key(place) };
            for (to, from) in keys.chunks_exact_mut(GROUP).zip(key) {
                to[position % GROUP] = from;
            }
        }
        Ok(())
    }

    /// Where a position's keys and values of this unit's head are.
    fn place(&self, position: usize) -> Result<Place, Error> {
        let page_len = self.pages.shape().page_len;
        let page = kv::page(self.table, position / page_len)?;
        Ok(Place { page, head: self.head, slot: position % page_len })
    }

    /// Turns scores into weights; what a query does not see weighs nothing.
    #[inline(always)]
    fn weigh<S: Simd>(&self, s: S, block: usize, scores: &mut [[f32; BLOCK]], states: &mut [State], acc: &mut [f32]) {
        let (heads_per_kv, head_dim) = (self.attention.heads_per_kv, self.attention.shape.head_dim);
        for row in 0..scores.len() {
            let visible = self.visible(self.tile.position + row / heads_per_kv);
            let within = |position: usize| position.saturating_sub(block).min(BLOCK);
            let scores = &mut scores[row];
            scores[..within(visible.start)].fill(f32::NEG_INFINITY);
            scores[within(visible.end)..].fill(f32::NEG_INFINITY);
            softmax::weigh(s, scores, &mut states[row], &mut acc[row * head_dim..][..head_dim]);
        }
    }

    /// Adds the values at `seen`, times their weights.
    #[inline(always)]
    fn sum<S: Simd>(
        &self,
        s: S,
        block: usize,
        seen: Range<usize>,
        weights: &[[f32; BLOCK]],
        acc: &mut [f32],
        room: &mut [f32],
    ) -> Result<(), Error> {
        let (head_dim, page_len) = (self.attention.shape.head_dim, self.pages.shape().page_len);
        let mut position = seen.start;
        while position < seen.end {
            let n = (page_len - position % page_len).min(seen.end - position).min(P::MOST_VALUES);
            let place = self.place(position)?;
            // SAFETY: nobody writes values while attention runs.
            let values = unsafe { self.pages.read_values(s, place, n, room) };
            let whole = head_dim / GROUP * GROUP;
            for column in (0..whole).step_by(GROUP) {
                let product = Product {
                    n_rows: weights.len(),
                    k: n,
                    a: &weights.as_flattened()[position - block..],
                    lda: BLOCK,
                    b: &values[column..],
                    ldb: head_dim,
                    ldc: head_dim,
                    add: true,
                };
                product.run(s, &mut acc[column..]);
            }
            for (weights, acc) in weights.iter().zip(acc.chunks_exact_mut(head_dim)) {
                for (weight, value) in weights[position - block..].iter().zip(values.chunks_exact(head_dim)) {
                    acc[whole..].iter_mut().zip(&value[whole..]).for_each(|(a, v)| *a += weight * v.to_f32());
                }
            }
            position += n;
        }
        Ok(())
    }

    fn write_result(&self, total: &mut [f32], states: &[State]) {
        for (total, &state) in total.chunks_exact_mut(self.attention.shape.head_dim).zip(states) {
            softmax::divide(total, state);
        }
        for (place, total) in self.places().zip(total.chunks_exact(self.query_len())) {
            // SAFETY: these queries and heads are this unit's.
            unsafe { self.call.out.get_mut(place..place + self.query_len()) }.copy_from_slice(total);
        }
    }

    fn write_partials(&self, stride: usize, offset: usize, acc: &[f32], states: &[State]) {
        let head_dim = self.attention.shape.head_dim;
        let heads = self.places().flat_map(|place| (0..self.attention.heads_per_kv).map(move |h| place / head_dim + h));
        for (head, (acc, state)) in heads.zip(acc.chunks_exact(head_dim).zip(states)) {
            let at = head * stride + offset;
            // SAFETY: this split of these queries and heads is this unit's.
            let partial = unsafe { self.call.partials.get_mut(at..at + head_dim + 2) };
            partial[..head_dim].copy_from_slice(acc);
            partial[head_dim..].copy_from_slice(state);
        }
    }

    /// Where the tile's queries stand in `[n_tokens, n_heads * head_dim]`: for each, the first of this unit's heads.
    fn places(&self) -> impl Iterator<Item = usize> {
        let &Attention { shape, heads_per_kv, .. } = self.attention;
        let (width, head) = (shape.n_kv_heads * self.query_len(), self.head * heads_per_kv * shape.head_dim);
        self.call.queries.tokens(self.tile).iter().map(move |&token| token as usize * width + head)
    }

    /// Values of one query that belong to this unit: those of the heads that share the key-value head.
    fn query_len(&self) -> usize {
        self.attention.heads_per_kv * self.attention.shape.head_dim
    }
}

//! Causal attention over paged keys and values, with grouped query heads.
//!
//! The work is cut into *units*: some queries of one sequence (a tile), all query heads that share one key-value head,
//! and, where there are few tiles, one *split* of the positions. Splits begin at multiples of [`SPLIT`], blocks at
//! multiples of [`BLOCK`], and splits are put together in their order; so a token's result depends neither on the
//! number of threads, nor on which tokens come with it.

mod queries;
mod softmax;
mod tile;
mod unit;

use std::sync::atomic::{AtomicUsize, Ordering};

use silhak_ops::{Batch, Error, KvId, KvLayer};

use crate::Caps;
use crate::executor::Shared;
use crate::kv::{KvAccess, KvStore, LayerView};
use crate::simd::{self, Kernel, Simd};

pub(crate) use queries::Queries;
use queries::Tile;
use unit::Unit;
pub(crate) use unit::Workspace;

/// Positions whose scores are weighed together.
const BLOCK: usize = 64;

/// Positions that are summed up by themselves before they are added to the rest.
const SPLIT: usize = 256;

/// Rows of a tile (queries times query heads per key-value head), unless one query has more.
const TILE_ROWS: usize = 48;

/// The attention of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    layer: KvId,
    shape: KvLayer,
    /// Query heads that share a key-value head.
    heads_per_kv: usize,
    scale: f32,
}

/// What the threads share in one call.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) caps: &'a Caps,
    pub(crate) kv: &'a KvStore,
    pub(crate) batch: &'a Batch,
    pub(crate) queries: &'a Queries,
    /// `[n_tokens, n_heads * head_dim]`.
    pub(crate) q: Shared<'a, f32>,
    /// Same shape as `q`.
    pub(crate) out: Shared<'a, f32>,
    /// Room for the splits of each token and head, of which [`Attention::n_partials`] are wanted at most.
    pub(crate) partials: Shared<'a, f32>,
    pub(crate) n_threads: usize,
}

impl Attention {
    /// The attention of queries of `width` values over a layer.
    pub(crate) fn new(layer: KvId, shape: KvLayer, width: usize, scale: f32) -> Self {
        Attention { layer, shape, heads_per_kv: width / shape.width(), scale }
    }

    /// Room that a thread needs.
    pub(crate) fn workspace(&self) -> Workspace {
        Workspace::new(self.tile_queries() * self.heads_per_kv, self.shape.head_dim)
    }

    /// Float32 values that the splits of one token take, if its sequence may have `n_positions`.
    pub(crate) fn n_partials(&self, n_positions: usize) -> usize {
        let seen = self.shape.window.map_or(n_positions, |w| w.min(n_positions));
        let n_splits = seen.div_ceil(SPLIT) + 1;
        self.n_heads() * n_splits * self.partial_len()
    }

    /// Works on units until none is left. `next` counts the units that threads have taken.
    ///
    /// # Safety
    /// Keys and values, `q`, and the batch's other parts are not written meanwhile; only other threads that run this
    /// same call read or write `out` and `partials`.
    pub(crate) unsafe fn run(&self, call: &Call, next: &AtomicUsize, room: &mut [f32]) -> Result<(), Error> {
        let (view, group) = call.kv.layer(self.layer);
        // SAFETY: the caller's promise.
        unsafe {
            match view {
                LayerView::F16(pages) => self.run_units(call, pages, group, next, room),
                LayerView::F32(pages) => self.run_units(call, pages, group, next, room),
                LayerView::Q8_0(pages) => self.run_units(call, pages, group, next, room),
            }
        }
    }

    /// Puts the splits of some tokens together, if [`Attention::run`] worked in splits.
    ///
    /// # Safety
    /// All units are done, and no other thread works on these tokens.
    pub(crate) unsafe fn merge(&self, call: &Call, tokens: std::ops::Range<usize>) {
        let Some(stride) = self.split_stride(call) else { return };
        for token in tokens {
            let Tile { splits, .. } = call.queries.tile_of(token, self.tile_queries(), self.shape.window);
            let first = token * self.n_heads();
            // SAFETY: these tokens' splits are complete, and nobody else writes their outputs.
            unsafe {
                let partials = call.partials.get(first * stride..(first + self.n_heads()) * stride);
                let head_dim = self.shape.head_dim;
                let out = call.out.get_mut(first * head_dim..(first + self.n_heads()) * head_dim);
                simd::run(call.caps, Merge { partials, stride, n_splits: splits.len(), head_dim, out });
            }
        }
    }

    unsafe fn run_units<P: KvAccess>(
        &self,
        call: &Call,
        pages: P,
        group: usize,
        next: &AtomicUsize,
        room: &mut [f32],
    ) -> Result<(), Error> {
        let n_kv_heads = self.shape.n_kv_heads;
        let stride = self.split_stride(call);
        let mut mine = next.fetch_add(1, Ordering::Relaxed);
        let mut first = 0;
        for tile in call.queries.tiles(self.tile_queries(), self.shape.window) {
            let n_parts = if stride.is_some() { tile.splits.len() } else { 1 };
            while mine < first + n_kv_heads * n_parts {
                let (head, part) = ((mine - first) % n_kv_heads, (mine - first) / n_kv_heads);
                let splits = match stride {
                    Some(_) => tile.splits.start + part..tile.splits.start + part + 1,
                    None => tile.splits.clone(),
                };
                let partial = stride.map(|stride| (stride, part * self.partial_len()));
                let table = call.batch.page_table(tile.sequence, group);
                let unit = Unit { attention: self, call, pages, table, tile: &tile, head, splits, partial, room };
                simd::run(call.caps, unit)?;
                mine = next.fetch_add(1, Ordering::Relaxed);
            }
            first += n_kv_heads * n_parts;
        }
        Ok(())
    }

    /// Values between the splits of one head and the next, or `None` where each unit does all splits: there are enough
    /// units without, or no room. Which it is changes no result.
    fn split_stride(&self, call: &Call) -> Option<usize> {
        let (mut n_units, mut most) = (0, 0);
        for tile in call.queries.tiles(self.tile_queries(), self.shape.window) {
            n_units += self.shape.n_kv_heads;
            most = most.max(tile.splits.len());
            if n_units >= 2 * call.n_threads {
                return None;
            }
        }
        let stride = most * self.partial_len();
        let fits = call.batch.n_tokens() * self.n_heads() * stride <= call.partials.len();
        (most > 1 && fits).then_some(stride)
    }

    fn n_heads(&self) -> usize {
        self.shape.n_kv_heads * self.heads_per_kv
    }

    fn tile_queries(&self) -> usize {
        (TILE_ROWS / self.heads_per_kv).max(1)
    }

    /// A split's sum, highest score and sum of weights.
    fn partial_len(&self) -> usize {
        self.shape.head_dim + 2
    }
}

/// Puts the splits of a token's heads together.
struct Merge<'a> {
    /// `[n_heads, stride]`, of which `[n_splits, head_dim + 2]` are used.
    partials: &'a [f32],
    stride: usize,
    n_splits: usize,
    head_dim: usize,
    /// `[n_heads, head_dim]`.
    out: &'a mut [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Merge { partials, stride, n_splits, head_dim, out } = self;
        for (partials, out) in partials.chunks_exact(stride).zip(out.chunks_exact_mut(head_dim)) {
            out.fill(0.0);
            let mut state = softmax::NOTHING;
            for partial in partials.chunks_exact(head_dim + 2).take(n_splits) {
                let (acc, other) = partial.split_at(head_dim);
                softmax::merge(s, (&mut state, out), ([other[0], other[1]], acc));
            }
            softmax::divide(out, state);
        }
    }
}

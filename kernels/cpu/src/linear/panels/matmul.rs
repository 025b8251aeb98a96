//! Many tokens times panels: tiles of some panels, unpacked to bytes once, times four tokens at a time.
//!
//! A tile's vector holds the same four columns of each of its rows, and meets these columns of a token, broadcast by a
//! load. So nothing is ever added up across lanes, and a scale multiplies all rows at once. The tile stays in the
//! first-level cache while all tokens pass over it.

use std::ops::Range;

use super::formats::{InLanes, Lines};
use super::lanes::{Lanes, pair};
use super::layout::{Cut, ROWS};
use super::{array, bytes_of_format};
use crate::linear::activations::{Activations, TOKENS, TokenGroup};
use crate::linear::output::Output;
use crate::policy::Storage;

/// Columns of a tile: whole blocks of any format.
const COLS: usize = 512;
/// Most rows of a tile; calls for parts of a matrix had better be for multiples of it.
pub(crate) const TILE_ROWS: usize = 64;
/// Tokens that pass over a tile in one go: so many that unpacking the weights is a small part of the work, so few that
/// their activations stay in the second-level cache while all tiles pass by.
const MIN_TOKENS: usize = 64;
const MAX_TOKENS: usize = 512;
/// What activations may take of a second-level cache.
const CACHED_BYTES: usize = 512 << 10;

/// Weights that tiles are made of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) weights: &'a [u8],
    pub(super) storage: Storage,
    pub(super) n_blocks: usize,
}

impl<'a> Source<'a> {
    /// Some blocks of panel `p`, repacked in `buffer` if they are not yet.
    fn blocks<B: InLanes>(self, p: usize, blocks: Range<usize>, buffer: &'a mut [u8]) -> &'a [u8] {
        let (bytes, row_bytes) = (ROWS * size_of::<B>(), self.n_blocks * size_of::<B>());
        let panel = &self.weights[p * ROWS * row_bytes..];
        match self.storage {
            Storage::Panels => &panel[blocks.start * bytes..blocks.end * bytes],
            Storage::Rows => {
                let rows = &panel[..panel.len().min(ROWS * row_bytes)][blocks.start * size_of::<B>()..];
                let buffer = &mut buffer[..blocks.len() * bytes];
                if let Some(cut) = const { Cut::of(B::FORMAT) } {
                    cut.repack(rows, row_bytes, buffer);
                }
                buffer
            }
        }
    }
}

/// All of a source times all `tokens`, in tiles of `V` vectors.
#[inline(always)]
pub(super) fn matmul<L: Lanes, B: InLanes, const V: usize>(
    l: L,
    source: Source<'_>,
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let tile_rows = V * L::N;
    let mut tile = Tile::new();
    let mut sums = [0.0; TILE_ROWS * MAX_TOKENS];
    let step = (CACHED_BYTES / cols).clamp(MIN_TOKENS, MAX_TOKENS) / TOKENS;
    // Groups of tokens are those of the activations, whatever part of them this call computes.
    let groups = tokens.start / TOKENS..tokens.end.div_ceil(TOKENS);
    for first in groups.clone().step_by(step) {
        let groups = first..groups.end.min(first + step);
        let sums = &mut sums[..groups.len() * TOKENS * tile_rows];
        for first_row in (0..out.n_rows()).step_by(tile_rows) {
            let n_panels = (out.n_rows() - first_row).min(tile_rows).div_ceil(ROWS);
            let panels = first_row / ROWS..first_row / ROWS + n_panels;
            tile.rows::<L, B, V>(l, source, panels, groups.clone().map(|group| acts.group(group)), sums);
            for (sums, t) in sums.chunks_exact(tile_rows).zip(groups.start * TOKENS..) {
                if tokens.contains(&t) {
                    let out = &mut out.token(t - tokens.start)[first_row..];
                    let n = out.len().min(tile_rows);
                    out[..n].copy_from_slice(&sums[..n]);
                }
            }
        }
    }
}

/// Some rows of some columns, unpacked. All parts count vectors: `V` of them stand side by side.
#[repr(align(64))]
struct Tile {
    /// For each four columns.
    bytes: [u8; TILE_ROWS * COLS],
    /// For each part of 32 columns.
    factors: [f32; TILE_ROWS * COLS / 32],
    /// For each part, if the format has offsets.
    offsets: [f32; TILE_ROWS * COLS / 32],
    /// For each half of a part, if the format is split.
    scales: [u8; TILE_ROWS * COLS / 16 * 4],
    /// For each part, if the format is split and has offsets.
    minima: [u8; TILE_ROWS * COLS / 32 * 4],
    /// Blocks of a panel that had to be repacked.
    repacked: [u8; 2 * ROWS * COLS],
}

impl Tile {
    fn new() -> Self {
        Tile { bytes: [0; _], factors: [0.0; _], offsets: [0.0; _], scales: [0; _], minima: [0; _], repacked: [0; _] }
    }

    /// Some panels times some groups of tokens: `sums` are `[token][row]`.
    #[inline(always)]
    fn rows<'a, L: Lanes, B: InLanes, const V: usize>(
        &mut self,
        l: L,
        source: Source<'_>,
        panels: Range<usize>,
        groups: impl Iterator<Item = TokenGroup<'a>> + Clone,
        sums: &mut [f32],
    ) {
        sums.fill(0.0);
        for first_block in (0..source.n_blocks).step_by(COLS / B::LEN) {
            let blocks = first_block..source.n_blocks.min(first_block + COLS / B::LEN);
            for (to, p) in panels.clone().enumerate() {
                self.unpack::<L, B, V>(l, source, p, to, blocks.clone());
            }
            for (sums, group) in sums.chunks_exact_mut(TOKENS * V * L::N).zip(groups.clone()) {
                self.multiply::<L, B, V>(l, &group, blocks.clone(), sums);
            }
        }
    }

    /// Unpacks `blocks` of panel `p` of the source, number `to` of the tile.
    #[inline(always)]
    fn unpack<L: Lanes, B: InLanes, const V: usize>(
        &mut self,
        l: L,
        source: Source<'_>,
        p: usize,
        to: usize,
        blocks: Range<usize>,
    ) {
        let parts = B::LEN / 32;
        let blocks = source.blocks::<B>(p, blocks, &mut self.repacked);
        for (b, block) in blocks.chunks_exact(ROWS * size_of::<B>()).enumerate() {
            for i in 0..ROWS / L::N {
                let v = to * (ROWS / L::N) + i;
                let block = Lines::new::<B>(l, block, i);
                let factors = B::factors(block);
                let offsets = if B::HAS_OFFSET { B::offsets(block) } else { factors };
                for p in 0..parts {
                    let part = b * parts + p;
                    let bytes = B::bytes_of(block, p);
                    for k in 0..8 {
                        l.store(bytes[k], &mut self.bytes, V * (8 * part + k) + v);
                    }
                    l.store_floats(B::part_scales(block, factors, p), &mut self.factors, V * part + v);
                    if B::HAS_OFFSET {
                        l.store_floats(B::part_offsets(block, offsets, p), &mut self.offsets, V * part + v);
                    }
                    if B::IS_SPLIT {
                        for half in 0..2 {
                            let scales = l.split_scales(B::scale_of(block, 2 * p + half));
                            l.store(scales, &mut self.scales, V * (2 * part + half) + v);
                        }
                        l.store(B::minima_of(block, p), &mut self.minima, V * part + v);
                    }
                }
            }
        }
    }

    /// Adds the tile, which holds `blocks` of its rows, times four tokens to their sums: `[token][row]`.
    #[inline(always)]
    fn multiply<L: Lanes, B: InLanes, const V: usize>(
        &self,
        l: L,
        acts: &TokenGroup<'_>,
        blocks: Range<usize>,
        sums: &mut [f32],
    ) {
        let first_act = blocks.start * (B::LEN / 32);
        for part in 0..blocks.len() * (B::LEN / 32) {
            let (act_scales, act_sums) = (&acts.scales[first_act + part], &acts.sums[first_act + part]);
            let dots = self.dots::<L, B, V>(l, acts, part, first_act + part);
            for t in 0..TOKENS {
                let act_scale = l.splat_float(act_scales[t]);
                for v in 0..V {
                    let factors = l.mul_float(l.load_floats(&self.factors, V * part + v), act_scale);
                    let mut sum = l.load_floats(sums, V * t + v);
                    sum = l.mul_add(dots[t][v], factors, sum);
                    if B::HAS_OFFSET {
                        let minima = if B::IS_SPLIT {
                            let halves = l.splat(pair(act_sums.halves(t)));
                            let minima = l.mul_halves(l.load(&self.minima, V * part + v), halves);
                            l.mul_float(l.float(minima), act_scale)
                        } else {
                            l.splat_float(act_sums.scaled[t])
                        };
                        sum = l.mul_add(l.load_floats(&self.offsets, V * part + v), minima, sum);
                    }
                    l.store_floats(sum, sums, V * t + v);
                }
            }
        }
    }

    /// The integer sums of part `part` of the tile and part `act` of the tokens, times integer scales if the format is
    /// split.
    #[inline(always)]
    fn dots<L: Lanes, B: InLanes, const V: usize>(
        &self,
        l: L,
        acts: &TokenGroup<'_>,
        part: usize,
        act: usize,
    ) -> [[L::F; V]; TOKENS] {
        let bytes = bytes_of_format::<B>();
        let (weights, sums) = (&self.bytes[32 * V * L::N * part..][..32 * V * L::N], &acts.sums[act]);
        let quads = array(acts.quads, 8 * act);
        if !B::IS_SPLIT {
            return l.products(bytes, weights, quads, sums);
        }
        let mut scales = [[l.splat(0); V]; 2];
        for half in 0..2 {
            for v in 0..V {
                scales[half][v] = l.load(&self.scales, V * (2 * part + half) + v);
            }
        }
        l.split_products(bytes, weights, scales, quads, sums)
    }
}

//! Many tokens times panels: tiles of some panels, unpacked to bytes once, times four tokens at a time.
//!
//! A tile's vector holds the same four columns of each of its rows, and meets these columns of a token, broadcast by a
//! load. So nothing is ever added up across lanes, and a scale multiplies all rows at once. The tile stays in the
//! first-level cache while all tokens pass over it.

use std::ops::Range;

use super::bytes_of_format;
use super::formats::{InLanes, Lines};
use super::lanes::{Lanes, Quad};
use super::layout::{Cut, ROWS};
use crate::linear::activations::{Activations, TOKENS, TokenGroup};
use crate::linear::output::Output;
use crate::policy::Storage;

/// Columns of a tile: whole blocks of any format.
const COLS: usize = 512;
/// Most rows of a tile.
const TILE_ROWS: usize = 64;
/// Tokens for which running sums are kept, so many that unpacking the weights is a small part of the work.
const MAX_TOKENS: usize = 512;

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
    let (n_blocks, tile_blocks, tile_rows) = (cols / B::LEN, COLS / B::LEN, V * L::N);
    let mut tile = Tile::new();
    let mut sums = [0.0; TILE_ROWS * MAX_TOKENS];
    // Groups of tokens are those of the activations, whatever part of them this call computes.
    let groups = tokens.start / TOKENS..tokens.end.div_ceil(TOKENS);
    for first_row in (0..out.n_rows()).step_by(tile_rows) {
        let n_panels = (out.n_rows() - first_row).min(tile_rows).div_ceil(ROWS);
        for first in groups.clone().step_by(MAX_TOKENS / TOKENS) {
            let groups = first..groups.end.min(first + MAX_TOKENS / TOKENS);
            let sums = &mut sums[..groups.len() * TOKENS * tile_rows];
            sums.fill(0.0);
            for first_block in (0..n_blocks).step_by(tile_blocks) {
                let blocks = first_block..n_blocks.min(first_block + tile_blocks);
                for p in 0..n_panels {
                    tile.unpack::<L, B, V>(l, source, first_row / ROWS + p, p, blocks.clone());
                }
                for (sums, group) in sums.chunks_exact_mut(TOKENS * tile_rows).zip(groups.clone()) {
                    tile.multiply::<L, B, V>(l, &acts.group(group), blocks.clone(), sums);
                }
            }
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
    /// For each integer scale.
    scales: [u8; TILE_ROWS * COLS / 16 * 4],
    /// For each part of 32 columns.
    minima: [u8; TILE_ROWS * COLS / 32 * 4],
    /// For each block.
    factors: [f32; TILE_ROWS * COLS / 32],
    /// For each block.
    offsets: [f32; TILE_ROWS * COLS / 32],
    /// Blocks of a panel that had to be repacked.
    repacked: [u8; 2 * ROWS * COLS],
}

impl Tile {
    fn new() -> Self {
        Tile { bytes: [0; _], scales: [0; _], minima: [0; _], factors: [0.0; _], offsets: [0.0; _], repacked: [0; _] }
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
                l.store_floats(B::factors(block), &mut self.factors, V * b + v);
                if B::HAS_OFFSET {
                    l.store_floats(B::offsets(block), &mut self.offsets, V * b + v);
                }
                for p in 0..parts {
                    let part = b * parts + p;
                    let bytes = B::bytes_of(block, p);
                    for k in 0..8 {
                        l.store(bytes[k], &mut self.bytes, V * (8 * part + k) + v);
                    }
                    let n_scales = B::SCALE_LEN.map_or(0, |len| 32 / len);
                    for i in 0..n_scales {
                        l.store(B::scale_of(block, n_scales * p + i), &mut self.scales, V * (n_scales * part + i) + v);
                    }
                    if B::HAS_OFFSET {
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
        let parts = B::LEN / 32;
        for b in 0..blocks.len() {
            for p in 0..parts {
                let (part, act) = (b * parts + p, (blocks.start + b) * parts + p);
                let dots = self.dots::<L, B, V>(l, acts, part, act);
                for t in 0..TOKENS {
                    let act_scale = l.splat_float(acts.scales[act][t]);
                    let [low, high] = acts.sums[act][t];
                    let pair = l.splat(i32::from(low) & 0xffff | i32::from(high) << 16);
                    for v in 0..V {
                        let factors = l.mul_float(l.load_floats(&self.factors, V * b + v), act_scale);
                        let mut sum = l.load_floats(sums, V * t + v);
                        sum = l.mul_add(l.float(dots[t][v]), factors, sum);
                        if B::HAS_OFFSET {
                            let minima = l.mul_halves(l.load(&self.minima, V * part + v), pair);
                            let offsets = l.mul_float(l.load_floats(&self.offsets, V * b + v), act_scale);
                            sum = l.mul_add(l.float(minima), offsets, sum);
                        }
                        l.store_floats(sum, sums, V * t + v);
                    }
                }
            }
        }
    }

    /// The integer sums of part `part` of the tile and part `act` of the tokens.
    #[inline(always)]
    fn dots<L: Lanes, B: InLanes, const V: usize>(
        &self,
        l: L,
        acts: &TokenGroup<'_>,
        part: usize,
        act: usize,
    ) -> [[L::I; V]; TOKENS] {
        let bytes = bytes_of_format::<B>();
        let (weights, quads) = (&self.bytes[32 * V * L::N * part..][..32 * V * L::N], &acts.quads[8 * act..][..8]);
        let (mut whole, mut low, mut high) = ([0; TOKENS], [0; TOKENS], [0; TOKENS]);
        for t in 0..TOKENS {
            (low[t], high[t]) = (i32::from(acts.sums[act][t][0]), i32::from(acts.sums[act][t][1]));
            whole[t] = low[t] + high[t];
        }
        match B::SCALE_LEN {
            None => l.products::<V, 8>(bytes, weights, quad_array(quads), whole),
            Some(32) => self.scaled::<L, V>(l, l.products::<V, 8>(bytes, weights, quad_array(quads), whole), part),
            Some(_) => {
                let first = l.products::<V, 4>(bytes, weights, quad_array(quads), low);
                let mut dots = self.scaled::<L, V>(l, first, 2 * part);
                let (weights, quads) = (&weights[16 * V * L::N..], quad_array(&quads[4..]));
                let second = self.scaled::<L, V>(l, l.products::<V, 4>(bytes, weights, quads, high), 2 * part + 1);
                for t in 0..TOKENS {
                    for v in 0..V {
                        dots[t][v] = l.add(dots[t][v], second[t][v]);
                    }
                }
                dots
            }
        }
    }

    /// Sums times the integer scales number `at`.
    #[inline(always)]
    fn scaled<L: Lanes, const V: usize>(&self, l: L, mut dots: [[L::I; V]; TOKENS], at: usize) -> [[L::I; V]; TOKENS] {
        for t in 0..TOKENS {
            for v in 0..V {
                dots[t][v] = l.mul(dots[t][v], l.load(&self.scales, V * at + v));
            }
        }
        dots
    }
}

/// The first `K` quads.
#[inline(always)]
fn quad_array<const K: usize>(quads: &[Quad]) -> &[Quad; K] {
    match quads.first_chunk() {
        Some(quads) => quads,
        None => panic!("{K} quads of {}", quads.len()),
    }
}

//! Matmul for every integer format: panels of rows, unpacked once, times four tokens at a time.
//!
//! A panel interleaves its rows: a vector holds the same few columns of some rows, and meets these columns of some tokens. So
//! nothing is ever added up across lanes, and one multiplication applies the scales of four results. The panel stays in
//! the first-level cache while all tokens pass over it.
//!
//! After the products all is float32. The integer sums of a part are exact in it, those of its halves times integer scales
//! too: at most 32 * 32 * 127 * 128 for Q6_K, which is below 2^24.
//!
//! [`Quads`] takes four columns at a time with `sdot`, [`Octs`] eight with `smmla`.

mod octs;
mod quads;

use std::arch::aarch64::*;
use std::marker::PhantomData;
use std::ops::Range;

use super::vectors::{four, load, load_floats, pin};
use crate::linear::activations::{Activations, GroupSums, TOKENS, TokenGroup};
use crate::linear::integers::Integers;
use crate::linear::output::Output;

pub(super) use octs::Octs;
pub(super) use quads::Quads;

/// Rows of a strip: its products with four tokens, in integers and in floats, fill half of the registers.
const ROWS: usize = 8;
/// Strips of a panel: activations that are read are used for all of them.
const STRIPS: usize = 2;
/// Columns of a panel: whole blocks of any format.
const COLS: usize = 1024;
/// Tokens for which running sums are kept, so many that unpacking the weights is a small part of the work.
const MAX_TOKENS: usize = 512;

/// A value for each row of a strip and each token of a group, in the order of a [`Tile`].
type Values = [[float32x4_t; 2]; 4];

/// How rows and tokens meet: which of them lie in the lanes of a vector.
pub(super) trait Tile {
    /// Puts the columns of rows side by side as [`Tile::dots`] takes them, less a zero point: what then fits a signed byte.
    ///
    /// # Safety
    /// The processor must have the tile's instructions.
    unsafe fn interleave(rows: &[[u8; 256]; ROWS], zero: u8, out: &mut [[i8; 4 * ROWS]]);

    /// The products of rows with tokens, summed over the columns of `N` items of each.
    ///
    /// # Safety
    /// As above.
    unsafe fn dots<const N: usize>(rows: &[[i8; 4 * ROWS]], acts: &[[[i8; 4]; TOKENS]]) -> Values;

    /// Each row's value for all tokens.
    ///
    /// # Safety
    /// As above.
    unsafe fn of_rows(values: &[f32; ROWS]) -> Values;

    /// Each token's value for all rows.
    ///
    /// # Safety
    /// As above.
    unsafe fn of_tokens(values: float32x4_t) -> Values;

    /// The values of each token.
    ///
    /// # Safety
    /// As above.
    unsafe fn by_token(values: &Values) -> [[float32x4_t; 2]; TOKENS];
}

/// Matmul for a format.
///
/// # Safety
/// The processor must have the tile's instructions.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn matmul<T: Tile, B: Integers>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let (n_blocks, panel_blocks) = (cols / B::LEN, COLS / B::LEN);
    let row_bytes = n_blocks * size_of::<B>();
    let mut strips: [Strip<T, B>; STRIPS] = [Strip::new(), Strip::new()];
    let zeros = [[vdupq_n_f32(0.0); 2]; 4];
    let mut sums = [[zeros; STRIPS]; MAX_TOKENS / TOKENS];
    // Groups of tokens are those of the activations, whatever part of them this call computes.
    let groups = tokens.start / TOKENS..tokens.end.div_ceil(TOKENS);
    for (p, rows) in rows.chunks(STRIPS * ROWS * row_bytes).enumerate() {
        let n_strips = rows.len().div_ceil(ROWS * row_bytes);
        for first in groups.clone().step_by(sums.len()) {
            let groups = first..groups.end.min(first + sums.len());
            sums[..groups.len()].fill([zeros; STRIPS]);
            for first_block in (0..n_blocks).step_by(panel_blocks) {
                let blocks = first_block..n_blocks.min(first_block + panel_blocks);
                for (s, rows) in rows.chunks(ROWS * row_bytes).enumerate() {
                    strips[s].unpack(rows, row_bytes, blocks.clone());
                }
                for (g, group) in groups.clone().enumerate() {
                    let acts = acts.group(group);
                    for s in 0..n_strips {
                        strips[s].multiply(&acts, blocks.clone(), &mut sums[g][s]);
                    }
                }
            }
            for (g, group) in groups.enumerate() {
                for s in 0..n_strips {
                    // SAFETY: the caller's promise.
                    let sums = unsafe { T::by_token(&sums[g][s]) };
                    for i in 0..TOKENS {
                        let t = group * TOKENS + i;
                        if tokens.contains(&t) {
                            write(&sums[i], &mut out.token(t - tokens.start)[(p * STRIPS + s) * ROWS..]);
                        }
                    }
                }
            }
        }
    }
}

/// A few rows times the columns of a panel, unpacked. Only [`matmul`] makes one, so the processor has the tile's instructions.
#[repr(align(64))]
struct Strip<T, B> {
    /// The rows' columns, in the order of the tile.
    quants: [[i8; 4 * ROWS]; COLS / 4],
    /// `[32 columns][row]`: the factor of the quants.
    factors: [[f32; ROWS]; COLS / 32],
    /// `[32 columns][row]`: the factor of the minima, where the format has such.
    offsets: [[f32; ROWS]; COLS / 32],
    /// `[16 columns][row]`: the integer scales, where the format is split.
    scales: [[f32; ROWS]; COLS / 16],
    /// `[16 columns][row]`: the minima, where the format is split.
    minima: [[f32; ROWS]; COLS / 16],
    kind: PhantomData<(T, B)>,
}

impl<T: Tile, B: Integers> Strip<T, B> {
    /// Parts of 32 in a block.
    const PARTS: usize = B::LEN / 32;

    fn new() -> Self {
        Strip {
            quants: [[0; 4 * ROWS]; COLS / 4],
            factors: [[0.0; ROWS]; COLS / 32],
            offsets: [[0.0; ROWS]; COLS / 32],
            scales: [[0.0; ROWS]; COLS / 16],
            minima: [[0.0; ROWS]; COLS / 16],
            kind: PhantomData,
        }
    }

    /// Unpacks `blocks` of up to [`ROWS`] rows. Rows that are not there get scales of zero.
    #[target_feature(enable = "neon,dotprod")]
    fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>) {
        let mut bytes = [[0u8; 256]; ROWS];
        for (i, b) in blocks.enumerate() {
            let parts = i * Self::PARTS..(i + 1) * Self::PARTS;
            self.factors[parts.clone()].fill([0.0; ROWS]);
            self.offsets[parts.clone()].fill([0.0; ROWS]);
            for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(&row[b * size_of::<B>()..][..size_of::<B>()]);
                block.bytes(&mut bytes[r]);
                let (mut scales, mut minima) = ([1; 16], [1; 16]);
                block.scales(&mut scales);
                block.minima(&mut minima);
                for (p, at) in parts.clone().enumerate() {
                    (self.factors[at][r], self.offsets[at][r]) = (block.scale(), block.offset());
                    if B::IS_SPLIT {
                        for half in 0..2 {
                            self.scales[2 * at + half][r] = f32::from(scales[2 * p + half]);
                            self.minima[2 * at + half][r] = f32::from(minima[2 * p + half]);
                        }
                    } else {
                        self.factors[at][r] *= f32::from(scales[p]);
                        self.offsets[at][r] *= f32::from(minima[2 * p]);
                    }
                }
            }
            let out = &mut self.quants[i * B::LEN / 4..][..B::LEN / 4];
            // SAFETY: the processor has the instructions, as the type says.
            unsafe { T::interleave(&bytes, B::ZERO as u8, out) }
        }
    }

    /// Adds the strip, which holds `blocks` of its rows, times four tokens.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn multiply(&self, acts: &TokenGroup<'_>, blocks: Range<usize>, out: &mut Values) {
        let mut sums = *out;
        let first = blocks.start * Self::PARTS;
        for part in 0..blocks.len() * Self::PARTS {
            let (act_scales, act_sums) = (load_floats(&acts.scales[first + part], 0), &acts.sums[first + part]);
            let dots = self.dots(part, &acts.quads[8 * (first + part)..][..8]);
            sums = multiply_add(sums, dots, scales::<T>(&self.factors[part], act_scales));
            if B::HAS_OFFSET {
                // SAFETY: the processor has the instructions, as the type says.
                let (offsets, minima) = unsafe {
                    let minima = if B::IS_SPLIT {
                        multiply(self.minimum_dots(part, act_sums), T::of_tokens(act_scales))
                    } else {
                        T::of_tokens(load_floats(&act_sums.scaled, 0))
                    };
                    (T::of_rows(&self.offsets[part]), minima)
                };
                sums = multiply_add(sums, offsets, minima);
            }
        }
        *out = sums;
    }

    /// The products of a part; where its halves have integer scales of their own, times these.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn dots(&self, part: usize, acts: &[[[i8; 4]; TOKENS]]) -> Values {
        let quants = &self.quants[8 * part..][..8];
        // SAFETY: the processor has the instructions, as the type says.
        unsafe {
            if !B::IS_SPLIT {
                return T::dots::<8>(quants, acts);
            }
            let first = T::dots::<4>(&quants[..4], &acts[..4]);
            let first = pinned(multiply(first, T::of_rows(&self.scales[2 * part])));
            let second = T::dots::<4>(&quants[4..], &acts[4..]);
            multiply_add(first, second, T::of_rows(&self.scales[2 * part + 1]))
        }
    }

    /// The minima of a part's halves times the sums of the activations.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn minimum_dots(&self, part: usize, act_sums: &GroupSums) -> Values {
        let halves = four!(T => act_sums.halves(T));
        let sums = vreinterpretq_s16_u8(load(bytemuck::cast_ref(&halves)));
        let half = |sums| pin(vcvtq_f32_s32(vmovl_s16(vget_low_s16(sums))));
        let (first, second) = (half(vuzp1q_s16(sums, sums)), half(vuzp2q_s16(sums, sums)));
        // SAFETY: as above.
        unsafe {
            let first = multiply(T::of_rows(&self.minima[2 * part]), T::of_tokens(first));
            multiply_add(first, T::of_rows(&self.minima[2 * part + 1]), T::of_tokens(second))
        }
    }
}

/// The scales of rows times those of tokens.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn scales<T: Tile>(rows: &[f32; ROWS], tokens: float32x4_t) -> Values {
    // SAFETY: only strips call this.
    unsafe { multiply(T::of_rows(rows), T::of_tokens(tokens)) }
}

/// `a * b`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn multiply(a: Values, b: Values) -> Values {
    four!(I => [vmulq_f32(a[I][0], b[I][0]), vmulq_f32(a[I][1], b[I][1])])
}

/// `sums + a * b`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn multiply_add(sums: Values, a: Values, b: Values) -> Values {
    four!(I => [vfmaq_f32(sums[I][0], a[I][0], b[I][0]), vfmaq_f32(sums[I][1], a[I][1], b[I][1])])
}

/// The same values, computed no later than here.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn pinned(values: Values) -> Values {
    four!(I => [pin(values[I][0]), pin(values[I][1])])
}

/// Writes the sums of a token, as many as there are rows.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn write(sums: &[float32x4_t; 2], out: &mut [f32]) {
    let mut values = [0.0f32; ROWS];
    // SAFETY: the array has two times four values.
    unsafe {
        vst1q_f32(values.as_mut_ptr(), sums[0]);
        vst1q_f32(values.as_mut_ptr().add(4), sums[1]);
    }
    let n = out.len().min(ROWS);
    out[..n].copy_from_slice(&values[..n]);
}

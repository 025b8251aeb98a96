//! Matmul for every integer format: panels of rows, unpacked once, times four tokens at a time.
//!
//! A panel interleaves its rows: a vector holds the same few columns of some rows, and meets these columns of some tokens. So
//! nothing is ever added up across lanes, and one multiplication applies the scales of four results. The panel stays in
//! the first-level cache while all tokens pass over it.
//!
//! After the products all is float32. The integer sums of a part are exact in it, times integer scales too: at most
//! 32 * 127 * 127 * 32 for IQ4_XS and 32 * 32 * 127 * 128 for Q6_K, which is below 2^24.
//!
//! [`Quads`] takes four columns at a time with `sdot`, [`Octs`] eight with `smmla`.

mod octs;
mod quads;

use std::arch::aarch64::*;
use std::marker::PhantomData;
use std::ops::Range;

use super::vectors::{four, load, load_floats, pin};
use crate::linear::activations::{Activations, TOKENS, TokenGroup};
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
    /// `[16 or 32 columns][row]`: the integer scales, where the format has such.
    scales: [[f32; ROWS]; COLS / 16],
    /// `[16 columns][row]`: the minima, where the format has such.
    minima: [[f32; ROWS]; COLS / 16],
    /// `[block][row]`: the factor of the scales.
    scale: [[f32; ROWS]; COLS / 32],
    /// `[block][row]`: the factor of the minima.
    offset: [[f32; ROWS]; COLS / 32],
    kind: PhantomData<(T, B)>,
}

impl<T: Tile, B: Integers> Strip<T, B> {
    /// Parts of 32 in a block.
    const PARTS: usize = B::LEN / 32;

    /// Integer scales of a part: 0, 1 or 2.
    const SCALES: usize = match B::SCALE_LEN {
        Some(len) => 32 / len,
        None => 0,
    };

    fn new() -> Self {
        Strip {
            quants: [[0; 4 * ROWS]; COLS / 4],
            scales: [[0.0; ROWS]; COLS / 16],
            minima: [[0.0; ROWS]; COLS / 16],
            scale: [[0.0; ROWS]; COLS / 32],
            offset: [[0.0; ROWS]; COLS / 32],
            kind: PhantomData,
        }
    }

    /// Unpacks `blocks` of up to [`ROWS`] rows. Rows that are not there get scales of zero.
    #[target_feature(enable = "neon,dotprod")]
    fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>) {
        let mut bytes = [[0u8; 256]; ROWS];
        for (i, b) in blocks.enumerate() {
            (self.scale[i], self.offset[i]) = ([0.0; ROWS], [0.0; ROWS]);
            for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(&row[b * size_of::<B>()..][..size_of::<B>()]);
                block.bytes(&mut bytes[r]);
                self.scale[i][r] = block.scale();
                let mut integers = [0; 16];
                block.scales(&mut integers);
                for s in 0..Self::SCALES * Self::PARTS {
                    self.scales[i * Self::SCALES * Self::PARTS + s][r] = f32::from(integers[s]);
                }
                if B::HAS_OFFSET {
                    self.offset[i][r] = block.offset();
                    block.minima(&mut integers);
                    for m in 0..2 * Self::PARTS {
                        self.minima[2 * i * Self::PARTS + m][r] = f32::from(integers[m]);
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
        let first = blocks.start;
        for b in blocks {
            for p in 0..Self::PARTS {
                let (part, act) = ((b - first) * Self::PARTS + p, b * Self::PARTS + p);
                let act_scales = load_floats(&acts.scales[act], 0);
                let dots = self.dots(part, &acts.quads[8 * act..][..8]);
                sums = multiply_add(sums, dots, scales::<T>(&self.scale[b - first], act_scales));
                if B::HAS_OFFSET {
                    let dots = self.minimum_dots(part, &acts.sums[act]);
                    sums = multiply_add(sums, dots, scales::<T>(&self.offset[b - first], act_scales));
                }
            }
        }
        *out = sums;
    }

    /// The products of a part, times their integer scales.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn dots(&self, part: usize, acts: &[[[i8; 4]; TOKENS]]) -> Values {
        let quants = &self.quants[8 * part..][..8];
        // SAFETY: the processor has the instructions, as the type says.
        unsafe {
            match Self::SCALES {
                0 => T::dots::<8>(quants, acts),
                1 => multiply(T::dots::<8>(quants, acts), T::of_rows(&self.scales[part])),
                _ => {
                    let first = T::dots::<4>(&quants[..4], &acts[..4]);
                    let first = pinned(multiply(first, T::of_rows(&self.scales[2 * part])));
                    let second = T::dots::<4>(&quants[4..], &acts[4..]);
                    multiply_add(first, second, T::of_rows(&self.scales[2 * part + 1]))
                }
            }
        }
    }

    /// The minima of a part times the sums of the activations.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn minimum_dots(&self, part: usize, act_sums: &[[i16; 2]; TOKENS]) -> Values {
        let sums = vreinterpretq_s16_u8(load(bytemuck::cast_ref(act_sums)));
        // SAFETY: as above.
        unsafe {
            if B::SCALE_LEN == Some(16) {
                let half = |sums| pin(vcvtq_f32_s32(vmovl_s16(vget_low_s16(sums))));
                let (first, second) = (half(vuzp1q_s16(sums, sums)), half(vuzp2q_s16(sums, sums)));
                let first = multiply(T::of_rows(&self.minima[2 * part]), T::of_tokens(first));
                multiply_add(first, T::of_rows(&self.minima[2 * part + 1]), T::of_tokens(second))
            } else {
                let sums = pin(vcvtq_f32_s32(vpaddlq_s16(sums)));
                multiply(T::of_rows(&self.minima[2 * part]), T::of_tokens(sums))
            }
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

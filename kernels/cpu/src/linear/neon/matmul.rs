//! Matmul for every integer format: panels of rows, unpacked once, times four tokens at a time.
//!
//! A panel interleaves its rows: a vector holds the same four columns of each of four rows, and meets these columns of a
//! token, which are one lane of a vector of four tokens. So nothing is ever added up across lanes, and a scale multiplies
//! four rows at once. The panel stays in the first-level cache while all tokens pass over it.
//!
//! After the products all is float32. The integer sums of a part are exact in it, times integer scales too: at most
//! 32 * 127 * 127 * 32 for IQ4_XS and 32 * 32 * 127 * 128 for Q6_K, which is below 2^24.

use std::arch::aarch64::*;
use std::marker::PhantomData;
use std::ops::Range;

use super::vectors::{bytes, dot_lane, four, load, load_acts, load_floats, pin};
use crate::linear::activations::{Activations, TOKENS, TokenGroup};
use crate::linear::integers::Integers;
use crate::linear::output::Output;

/// Rows of a strip: the sums of two vectors of four rows times four tokens, in integers and in floats, fill half of the
/// registers.
const ROWS: usize = 8;
/// Strips of a panel: activations that are read are used for all of them.
const STRIPS: usize = 2;
/// Columns of a panel: whole blocks of any format.
const COLS: usize = 1024;
/// Tokens for which running sums are kept, so many that unpacking the weights is a small part of the work.
const MAX_TOKENS: usize = 512;

/// The running sums of a group of tokens times a strip: `[token][half of the rows]`.
type Sums = [[float32x4_t; 2]; TOKENS];

/// Matmul for a format.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn matmul<B: Integers>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let (n_blocks, panel_blocks) = (cols / B::LEN, COLS / B::LEN);
    let row_bytes = n_blocks * size_of::<B>();
    let mut strips: [Strip<B>; STRIPS] = [Strip::new(), Strip::new()];
    let zeros = [[vdupq_n_f32(0.0); 2]; TOKENS];
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
                for i in 0..TOKENS {
                    let t = group * TOKENS + i;
                    if tokens.contains(&t) {
                        for s in 0..n_strips {
                            write(&sums[g][s][i], &mut out.token(t - tokens.start)[(p * STRIPS + s) * ROWS..]);
                        }
                    }
                }
            }
        }
    }
}

/// A few rows times the columns of a panel, unpacked.
#[repr(align(64))]
struct Strip<B> {
    /// `[four columns][row][4]`.
    quants: [[[i8; 4]; ROWS]; COLS / 4],
    /// `[16 or 32 columns][row]`: the integer scales, where the format has such.
    scales: [[f32; ROWS]; COLS / 16],
    /// `[16 columns][row]`: the minima, where the format has such.
    minima: [[f32; ROWS]; COLS / 16],
    /// `[block][row]`: the factor of the scales.
    scale: [[f32; ROWS]; COLS / 32],
    /// `[block][row]`: the factor of the minima.
    offset: [[f32; ROWS]; COLS / 32],
    block: PhantomData<B>,
}

impl<B: Integers> Strip<B> {
    /// Parts of 32 in a block.
    const PARTS: usize = B::LEN / 32;

    /// Integer scales of a part: 0, 1 or 2.
    const SCALES: usize = match B::SCALE_LEN {
        Some(len) => 32 / len,
        None => 0,
    };

    fn new() -> Self {
        Strip {
            quants: [[[0; 4]; ROWS]; COLS / 4],
            scales: [[0.0; ROWS]; COLS / 16],
            minima: [[0.0; ROWS]; COLS / 16],
            scale: [[0.0; ROWS]; COLS / 32],
            offset: [[0.0; ROWS]; COLS / 32],
            block: PhantomData,
        }
    }

    /// Unpacks `blocks` of up to [`ROWS`] rows. Rows that are not there get scales of zero.
    #[target_feature(enable = "neon,dotprod")]
    fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>) {
        let mut quants = [[0u8; 256]; ROWS];
        for (i, b) in blocks.enumerate() {
            (self.scale[i], self.offset[i]) = ([0.0; ROWS], [0.0; ROWS]);
            for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(&row[b * size_of::<B>()..][..size_of::<B>()]);
                block.bytes(&mut quants[r]);
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
            interleave::<B>(&quants, &mut self.quants[i * B::LEN / 4..][..B::LEN / 4]);
        }
    }

    /// Adds the strip, which holds `blocks` of its rows, times four tokens.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn multiply(&self, acts: &TokenGroup<'_>, blocks: Range<usize>, out: &mut Sums) {
        let mut sums = *out;
        let first = blocks.start;
        for b in blocks {
            let scale = eight(&self.scale[b - first]);
            let offset = eight(&self.offset[b - first]);
            for p in 0..Self::PARTS {
                let (part, act) = ((b - first) * Self::PARTS + p, b * Self::PARTS + p);
                let act_scales = load_floats(&acts.scales[act], 0);
                let dots = self.dots(part, &acts.quads[8 * act..][..8]);
                add_scaled(&mut sums, dots, scale, act_scales);
                if B::HAS_OFFSET {
                    let dots = self.minimum_dots(part, &acts.sums[act]);
                    add_scaled(&mut sums, dots, offset, act_scales);
                }
            }
        }
        *out = sums;
    }

    /// The products of a part, times their integer scales.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn dots(&self, part: usize, acts: &[[[i8; 4]; TOKENS]]) -> Sums {
        let quants = &self.quants[8 * part..][..8];
        match Self::SCALES {
            0 => dot_quads::<8>(quants, acts),
            1 => {
                let scales = eight(&self.scales[part]);
                let dots = dot_quads::<8>(quants, acts);
                four!(T => [vmulq_f32(dots[T][0], scales[0]), vmulq_f32(dots[T][1], scales[1])])
            }
            _ => {
                let scales = [eight(&self.scales[2 * part]), eight(&self.scales[2 * part + 1])];
                let dots = dot_quads::<4>(&quants[..4], &acts[..4]);
                let first =
                    four!(T => [pin(vmulq_f32(dots[T][0], scales[0][0])), pin(vmulq_f32(dots[T][1], scales[0][1]))]);
                let dots = dot_quads::<4>(&quants[4..], &acts[4..]);
                four!(T => [
                    vfmaq_f32(first[T][0], dots[T][0], scales[1][0]),
                    vfmaq_f32(first[T][1], dots[T][1], scales[1][1]),
                ])
            }
        }
    }

    /// The minima of a part times the sums of the activations.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn minimum_dots(&self, part: usize, act_sums: &[[i16; 2]; TOKENS]) -> Sums {
        let act_sums = vreinterpretq_s16_u8(load(bytemuck::cast_ref(act_sums)));
        if B::SCALE_LEN == Some(16) {
            let minima = [eight(&self.minima[2 * part]), eight(&self.minima[2 * part + 1])];
            let first = pin(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vuzp1q_s16(act_sums, act_sums)))));
            let second = vcvtq_f32_s32(vmovl_s16(vget_low_s16(vuzp2q_s16(act_sums, act_sums))));
            four!(T => {
                let add = |half: usize| {
                    let product = vmulq_laneq_f32::<{ T as i32 }>(minima[0][half], first);
                    vfmaq_laneq_f32::<{ T as i32 }>(product, minima[1][half], second)
                };
                [add(0), add(1)]
            })
        } else {
            let minima = eight(&self.minima[2 * part]);
            let sums = pin(vcvtq_f32_s32(vpaddlq_s16(act_sums)));
            four!(T => [
                vmulq_laneq_f32::<{ T as i32 }>(minima[0], sums),
                vmulq_laneq_f32::<{ T as i32 }>(minima[1], sums),
            ])
        }
    }
}

/// The products of a strip's rows with four tokens, summed over `N` times four columns.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_quads<const N: usize>(rows: &[[[i8; 4]; ROWS]], acts: &[[[i8; 4]; TOKENS]]) -> Sums {
    let mut dots = [[vdupq_n_s32(0); 2]; TOKENS];
    for i in 0..N {
        let rows: &[i8; 4 * ROWS] = bytemuck::cast_ref(&rows[i]);
        let rows = [load_acts(rows, 0), load_acts(rows, 1)];
        let acts: &[i8; 4 * TOKENS] = bytemuck::cast_ref(&acts[i]);
        let acts = load_acts(acts, 0);
        dots = four!(T => [dot_lane::<T>(dots[T][0], rows[0], acts), dot_lane::<T>(dots[T][1], rows[1], acts)]);
    }
    four!(T => [vcvtq_f32_s32(dots[T][0]), vcvtq_f32_s32(dots[T][1])])
}

/// `sums += row_scales * token_scales * dots`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_scaled(sums: &mut Sums, dots: Sums, row_scales: [float32x4_t; 2], token_scales: float32x4_t) {
    *sums = four!(T => {
        let add = |half: usize| {
            let scales = vmulq_laneq_f32::<{ T as i32 }>(row_scales[half], token_scales);
            vfmaq_f32(sums[T][half], dots[T][half], scales)
        };
        [add(0), add(1)]
    });
}

/// Puts four columns of each row side by side, less the zero point: what fits a signed byte.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn interleave<B: Integers>(rows: &[[u8; 256]; ROWS], out: &mut [[[i8; 4]; ROWS]]) {
    let zero = vdupq_n_u8(B::ZERO as u8);
    for (c, out) in out.chunks_exact_mut(4).enumerate() {
        for half in 0..2 {
            let [a, b, c, d] = four!(R => {
                vreinterpretq_u32_u8(vsubq_u8(load(bytes(&rows[4 * half + R], 16 * c)), zero))
            });
            let wide = vreinterpretq_u64_u32;
            let (ab, cd) = (wide(vtrn1q_u32(a, b)), wide(vtrn1q_u32(c, d)));
            let (ab_odd, cd_odd) = (wide(vtrn2q_u32(a, b)), wide(vtrn2q_u32(c, d)));
            let columns =
                [vtrn1q_u64(ab, cd), vtrn1q_u64(ab_odd, cd_odd), vtrn2q_u64(ab, cd), vtrn2q_u64(ab_odd, cd_odd)];
            for i in 0..4 {
                let out = &mut out[i][4 * half..][..4];
                // SAFETY: the slice has four items of four bytes.
                unsafe { vst1q_u64(out.as_mut_ptr().cast(), columns[i]) }
            }
        }
    }
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

/// A value for each row.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn eight(rows: &[f32; ROWS]) -> [float32x4_t; 2] {
    [load_floats(rows, 0), load_floats(rows, 4)]
}

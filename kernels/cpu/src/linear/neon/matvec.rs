//! The loops around the matvec kernels: rows, tokens, streams.
//!
//! The sums of four rows come to lie side by side where the lanes of each are added up, so all that follows, scales and
//! float sums, is done for four rows at once.

use std::arch::aarch64::*;
use std::ops::Range;

use super::vectors::{dot, four, halves, lane_sums, lanes, load_acts, pin};
use crate::linear::activations::Activations;
use crate::linear::output::Output;

/// Rows that are read at once.
pub(super) const STREAMS: usize = 4;

/// A format with blocks of 32 in `BYTES`, the scale in the first two and an offset in the next.
pub(super) trait Dot32<const BYTES: usize> {
    /// The zero point of what [`Dot32::quants`] returns.
    const ZERO: i32 = 0;
    /// Whether the format has an offset.
    const HAS_OFFSET: bool = false;

    /// The quants of a block.
    ///
    /// # Safety
    /// The processor must have NEON and dot products.
    unsafe fn quants(block: &[u8; BYTES]) -> [int8x16_t; 2];
}

/// A format with blocks of 256 in `BYTES`.
pub(super) trait Dot256<const BYTES: usize> {
    /// The byte of the scale.
    const SCALE_AT: usize;
    /// The byte of the minima's scale, if there are such.
    const OFFSET_AT: Option<usize> = None;
    /// Quants that share an integer scale and a minimum: 16 or 32.
    const SCALE_LEN: usize;
    /// The zero point of what [`Dot256::quants`] returns.
    const ZERO: i32 = 0;

    /// The quants of a part of 32.
    ///
    /// # Safety
    /// The processor must have NEON and dot products.
    unsafe fn quants(block: &[u8; BYTES], part: usize) -> [int8x16_t; 2];

    /// The integer scales, beginning in the lowest lane.
    ///
    /// # Safety
    /// As for [`Dot256::quants`].
    unsafe fn scales(block: &[u8; BYTES]) -> int8x16_t;

    /// The minima, where there are such.
    ///
    /// # Safety
    /// As for [`Dot256::quants`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn minima(_block: &[u8; BYTES]) -> int8x16_t {
        vdupq_n_s8(0)
    }
}

/// Matvec for a format with blocks of 32. The order of float operations is that of every other kernel.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn blocks_of_32<const BYTES: usize, D: Dot32<BYTES>>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let row_bytes = cols / 32 * BYTES;
    for (i, t) in tokens.enumerate() {
        let act = acts.row(t);
        let (qs, sums) = (act.qs.as_chunks::<32>().0, act.sums.as_chunks::<2>().0);
        for_each_stream(rows, row_bytes, out.token(i), |streams| {
            let mut sum = vdupq_n_f32(0.0);
            let streams = four!(S => streams[S].as_chunks::<BYTES>().0);
            for b in 0..qs.len() {
                let blocks = four!(S => &streams[S][b]);
                let acts = [load_acts(&qs[b], 0), load_acts(&qs[b], 1)];
                let act_sum = i32::from(sums[b][0]) + i32::from(sums[b][1]);
                let act_scale = act.scales[b];
                let mut dots = lane_sums(four!(S => {
                    // SAFETY: this function has the features.
                    let quants = unsafe { D::quants(blocks[S]) };
                    dot(dot(vdupq_n_s32(0), quants[0], acts[0]), quants[1], acts[1])
                }));
                if D::ZERO != 0 {
                    dots = vsubq_s32(dots, vdupq_n_s32(D::ZERO * act_sum));
                }
                sum = vfmaq_f32(sum, vcvtq_f32_s32(dots), vmulq_n_f32(halves(blocks, 0), act_scale));
                if D::HAS_OFFSET {
                    sum = vfmaq_n_f32(sum, halves(blocks, 2), act_sum as f32 * act_scale);
                }
            }
            sum
        });
    }
}

/// Matvec for a format with blocks of 256.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn blocks_of_256<const BYTES: usize, D: Dot256<BYTES>>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let row_bytes = cols / 256 * BYTES;
    for (i, t) in tokens.enumerate() {
        let act = acts.row(t);
        let (qs, act_scales) = (act.qs.as_chunks::<256>().0, act.scales.as_chunks::<8>().0);
        let sums = act.sums.as_chunks::<16>().0;
        for_each_stream(rows, row_bytes, out.token(i), |streams| {
            let mut sum = vdupq_n_f32(0.0);
            let streams = four!(S => streams[S].as_chunks::<BYTES>().0);
            for b in 0..qs.len() {
                let blocks = four!(S => &streams[S][b]);
                let (qs, act_scales, sums) = (&qs[b], &act_scales[b], &sums[b]);
                let scale = halves(blocks, D::SCALE_AT);
                // SAFETY: this function has the features.
                let scales = columns(four!(S => unsafe { D::scales(blocks[S]) }));
                // SAFETY: as above.
                let minima = columns(four!(S => unsafe { D::minima(blocks[S]) }));
                let offset = match D::OFFSET_AT {
                    Some(at) => halves(blocks, at),
                    None => vdupq_n_f32(0.0),
                };
                macro_rules! part {
                    ($part:literal) => {
                        // SAFETY: as above.
                        let quants = four!(S => unsafe { D::quants(blocks[S], $part) });
                        let acts = [load_acts(qs, 2 * $part), load_acts(qs, 2 * $part + 1)];
                        let act_sums = [i32::from(sums[2 * $part]), i32::from(sums[2 * $part + 1])];
                        let dots = vcvtq_f32_s32(dots::<BYTES, D>(quants, acts, act_sums, &scales, $part));
                        let scale = of_part::<BYTES, D>(scale, &scales, $part);
                        sum = vfmaq_f32(sum, dots, vmulq_n_f32(scale, act_scales[$part]));
                        if D::OFFSET_AT.is_some() {
                            let offset = of_part::<BYTES, D>(offset, &minima, $part);
                            let sums = minimum_dots::<BYTES, D>(act_sums, &minima, $part);
                            sum = vfmsq_f32(sum, offset, vmulq_n_f32(vcvtq_f32_s32(sums), act_scales[$part]));
                        }
                        if D::SCALE_LEN == 16 {
                            // These formats fill the registers with one part.
                            sum = pin(sum);
                        }
                    };
                }
                part!(0);
                part!(1);
                part!(2);
                part!(3);
                part!(4);
                part!(5);
                part!(6);
                part!(7);
            }
            sum
        });
    }
}

/// The factor of a part of four rows, given the blocks' and the integers of the parts.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn of_part<const BYTES: usize, D: Dot256<BYTES>>(
    of_block: float32x4_t,
    integers: &[int8x16_t; 4],
    part: usize,
) -> float32x4_t {
    if D::SCALE_LEN == 32 { vmulq_f32(of_block, vcvtq_f32_s32(column(integers, part))) } else { of_block }
}

/// The products of a part of four rows; where its halves have integer scales of their own, times these.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dots<const BYTES: usize, D: Dot256<BYTES>>(
    quants: [[int8x16_t; 2]; STREAMS],
    acts: [int8x16_t; 2],
    act_sums: [i32; 2],
    scales: &[int8x16_t; 4],
    part: usize,
) -> int32x4_t {
    let zero = vdupq_n_s32(0);
    let less = |dots, act_sum: i32| match D::ZERO {
        0 => dots,
        zero => vsubq_s32(dots, vdupq_n_s32(zero * act_sum)),
    };
    if D::SCALE_LEN == 32 {
        let dots = lane_sums(four!(S => dot(dot(zero, quants[S][0], acts[0]), quants[S][1], acts[1])));
        less(dots, act_sums[0] + act_sums[1])
    } else {
        let first = less(lane_sums(four!(S => dot(zero, quants[S][0], acts[0]))), act_sums[0]);
        let second = less(lane_sums(four!(S => dot(zero, quants[S][1], acts[1]))), act_sums[1]);
        vmlaq_s32(vmulq_s32(first, column(scales, 2 * part)), second, column(scales, 2 * part + 1))
    }
}

/// The sums of a part's activations; where its halves have minima of their own, times these.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn minimum_dots<const BYTES: usize, D: Dot256<BYTES>>(
    act_sums: [i32; 2],
    minima: &[int8x16_t; 4],
    part: usize,
) -> int32x4_t {
    if D::SCALE_LEN == 32 {
        vdupq_n_s32(act_sums[0] + act_sums[1])
    } else {
        let first = vmulq_n_s32(column(minima, 2 * part), act_sums[0]);
        vmlaq_n_s32(first, column(minima, 2 * part + 1), act_sums[1])
    }
}

/// Sixteen columns of four rows of bytes, four columns in each vector.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn columns([a, b, c, d]: [int8x16_t; STREAMS]) -> [int8x16_t; 4] {
    let pairs = |a, b| vreinterpretq_s16_s8(vzip1q_s8(a, b));
    let pairs_high = |a, b| vreinterpretq_s16_s8(vzip2q_s8(a, b));
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    let (ab_high, cd_high) = (pairs_high(a, b), pairs_high(c, d));
    [
        vreinterpretq_s8_s16(vzip1q_s16(ab, cd)),
        vreinterpretq_s8_s16(vzip2q_s16(ab, cd)),
        vreinterpretq_s8_s16(vzip1q_s16(ab_high, cd_high)),
        vreinterpretq_s8_s16(vzip2q_s16(ab_high, cd_high)),
    ]
}

/// Column `i` in 32 bits.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn column(columns: &[int8x16_t; 4], i: usize) -> int32x4_t {
    let bytes = columns[i / 4];
    let eight = vmovl_s8(if (i / 2).is_multiple_of(2) { vget_low_s8(bytes) } else { vget_high_s8(bytes) });
    vmovl_s16(if i.is_multiple_of(2) { vget_low_s16(eight) } else { vget_high_s16(eight) })
}

/// Calls `product` with four rows at a time, a quarter of all rows apart, and writes its results. Where four do not come
/// together, at the end, rows stand in twice.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn for_each_stream<'a>(
    rows: &'a [u8],
    row_bytes: usize,
    out: &mut [f32],
    product: impl Fn([&'a [u8]; STREAMS]) -> float32x4_t,
) {
    let distance = out.len().div_ceil(STREAMS);
    for r in 0..distance {
        let at = four!(S => (r + S * distance).min(out.len() - 1));
        let sums = lanes(product(four!(S => &rows[at[S] * row_bytes..][..row_bytes])));
        for (r, sum) in at.into_iter().zip(sums) {
            out[r] = sum;
        }
    }
}

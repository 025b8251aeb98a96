//! Float weights: F32, F16, BF16, in fused multiply-adds of float32.
//!
//! Eight running sums for a row, in two vectors, as in every other kernel.

use std::arch::aarch64::*;
use std::ops::Range;

use half::{bf16, f16};

use super::matvec::{STREAMS, for_each_stream};
use super::vectors::{bytes, four, load, load_floats, widen};
use crate::linear::activations::Activations;
use crate::linear::generic::Float;
use crate::linear::output::Output;

/// A float format that is loaded eight values at a time.
pub(super) trait Load: Float {
    /// The bytes of eight values.
    type Eight;

    /// A row's values in eights.
    fn eights(row: &[u8]) -> &[Self::Eight];

    /// Eight values.
    ///
    /// # Safety
    /// The processor must have NEON.
    unsafe fn load(eight: &Self::Eight) -> [float32x4_t; 2];
}

/// Matvec for a float format.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn matvec<F: Load>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    for (i, t) in tokens.enumerate() {
        let x = acts.values(t);
        for_each_stream(rows, cols * size_of::<F>(), out.token(i), |streams| {
            let results = tile::<F, 1>(streams, [x]);
            load_floats(results.as_flattened(), 0)
        });
    }
}

/// Matmul for a float format: four rows times some tokens in registers, 32 rows in the second-level cache while all
/// tokens pass over them.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn matmul<F: Load>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let row_bytes = cols * size_of::<F>();
    let n_rows = out.n_rows();
    for first_row in (0..n_rows).step_by(CACHED_ROWS) {
        for t in (0..tokens.len()).step_by(TOKENS) {
            // At the edges, rows and tokens stand in twice.
            let ts: [usize; TOKENS] = [t, (t + 1).min(tokens.len() - 1)];
            let xs = [acts.values(tokens.start + ts[0]), acts.values(tokens.start + ts[1])];
            for r in (first_row..n_rows.min(first_row + CACHED_ROWS)).step_by(STREAMS) {
                let at = four!(S => (r + S).min(n_rows - 1));
                let results = tile::<F, TOKENS>(four!(S => &rows[at[S] * row_bytes..][..row_bytes]), xs);
                for s in 0..STREAMS {
                    for i in 0..TOKENS {
                        out.token(ts[i])[at[s]] = results[s][i];
                    }
                }
            }
        }
    }
}

/// Tokens that share a loaded weight.
const TOKENS: usize = 2;
/// Rows that all tokens pass over before the next come.
const CACHED_ROWS: usize = 32;

/// Four rows times `T` tokens.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn tile<F: Load, const T: usize>(rows: [&[u8]; STREAMS], xs: [&[f32]; T]) -> [[f32; T]; STREAMS] {
    let n = xs[0].len();
    let mut sums = [[[vdupq_n_f32(0.0); 2]; T]; STREAMS];
    let eights = four!(S => F::eights(rows[S]));
    let mut x_eights = [&[][..]; T];
    for i in 0..T {
        x_eights[i] = xs[i].as_chunks::<8>().0;
    }
    for c in 0..n / 8 {
        let mut x = [[vdupq_n_f32(0.0); 2]; T];
        for i in 0..T {
            x[i] = [load_floats(&x_eights[i][c], 0), load_floats(&x_eights[i][c], 4)];
        }
        for s in 0..STREAMS {
            // SAFETY: this function has the features.
            let w = unsafe { F::load(&eights[s][c]) };
            for i in 0..T {
                sums[s][i] = [vfmaq_f32(sums[s][i][0], w[0], x[i][0]), vfmaq_f32(sums[s][i][1], w[1], x[i][1])];
            }
        }
    }
    let mut results = [[0.0; T]; STREAMS];
    for s in 0..STREAMS {
        for i in 0..T {
            results[s][i] = sum_of_lanes(sums[s][i]);
            for at in n / 8 * 8..n {
                results[s][i] = F::read(rows[s], at).mul_add(xs[i][at], results[s][i]);
            }
        }
    }
    results
}

/// The sum of all lanes, always in the same order: halves, quarters, pairs.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sum_of_lanes([low, high]: [float32x4_t; 2]) -> f32 {
    let four = vaddq_f32(low, high);
    vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
}

impl Load for f32 {
    type Eight = [u8; 32];

    #[inline(always)]
    fn eights(row: &[u8]) -> &[[u8; 32]] {
        row.as_chunks().0
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn load(eight: &[u8; 32]) -> [float32x4_t; 2] {
        [vreinterpretq_f32_u8(load(bytes(eight, 0))), vreinterpretq_f32_u8(load(bytes(eight, 16)))]
    }
}

impl Load for f16 {
    type Eight = [u8; 16];

    #[inline(always)]
    fn eights(row: &[u8]) -> &[[u8; 16]] {
        row.as_chunks().0
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn load(eight: &[u8; 16]) -> [float32x4_t; 2] {
        let halves = vreinterpretq_u16_u8(load(eight));
        [widen(vget_low_u16(halves)), widen(vget_high_u16(halves))]
    }
}

impl Load for bf16 {
    type Eight = [u8; 16];

    #[inline(always)]
    fn eights(row: &[u8]) -> &[[u8; 16]] {
        row.as_chunks().0
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn load(eight: &[u8; 16]) -> [float32x4_t; 2] {
        // The upper half of a float32 of the same value.
        let (upper, zero) = (vreinterpretq_u16_u8(load(eight)), vdupq_n_u16(0));
        [vreinterpretq_f32_u16(vzip1q_u16(zero, upper)), vreinterpretq_f32_u16(vzip2q_u16(zero, upper))]
    }
}

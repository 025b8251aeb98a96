//! Float weights: F32, F16, BF16, in fused multiply-adds of float32.

use std::arch::x86_64::*;
use std::ops::Range;

use half::{bf16, f16};

use super::matvec::{STREAMS, for_each_stream};
use super::vectors::{bytes, four, load_16, load_32, sum_of_lanes};
use crate::linear::activations::Activations;
use crate::linear::generic::Float;
use crate::linear::output::Output;

/// A float format that is loaded eight values at a time.
pub(super) trait Load: Float {
    /// The values `i .. i + 8` of a row.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and F16C.
    unsafe fn load(row: &[u8], i: usize) -> __m256;
}

/// Matvec for a float format.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matvec<F: Load>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    for (i, t) in tokens.enumerate() {
        let x = acts.values(t);
        let n = x.len();
        for_each_stream(rows, cols * size_of::<F>(), out.token(i), |streams| {
            let mut sums = [_mm256_setzero_ps(); STREAMS];
            for c in 0..n / 8 {
                let x = load(x, 8 * c);
                for s in 0..STREAMS {
                    // SAFETY: this function has the features.
                    let w = unsafe { F::load(streams[s], 8 * c) };
                    sums[s] = _mm256_fmadd_ps(w, x, sums[s]);
                }
            }
            let mut results = four!(S => sum_of_lanes(sums[S]));
            for s in 0..STREAMS {
                for at in n / 8 * 8..n {
                    results[s] = F::read(streams[s], at).mul_add(x[at], results[s]);
                }
            }
            let [a, b, c, d] = results;
            _mm_setr_ps(a, b, c, d)
        });
    }
}

/// Matmul for a float format: four rows times three tokens in registers, 32 rows in the second-level cache while all
/// tokens pass over them.
#[target_feature(enable = "avx2,fma,f16c")]
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
            let ts: [usize; TOKENS] = [t, (t + 1).min(tokens.len() - 1), (t + 2).min(tokens.len() - 1)];
            let xs = [
                acts.values(tokens.start + ts[0]),
                acts.values(tokens.start + ts[1]),
                acts.values(tokens.start + ts[2]),
            ];
            for r in (first_row..n_rows.min(first_row + CACHED_ROWS)).step_by(STREAMS) {
                let at = four!(S => (r + S).min(n_rows - 1));
                let results = tile::<F>(four!(S => &rows[at[S] * row_bytes..][..row_bytes]), xs);
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
const TOKENS: usize = 3;
/// Rows that all tokens pass over before the next come.
const CACHED_ROWS: usize = 32;

/// Four rows times three tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tile<F: Load>(rows: [&[u8]; STREAMS], xs: [&[f32]; TOKENS]) -> [[f32; TOKENS]; STREAMS] {
    let n = xs[0].len();
    let mut sums = [[_mm256_setzero_ps(); TOKENS]; STREAMS];
    for c in 0..n / 8 {
        let x = [load(xs[0], 8 * c), load(xs[1], 8 * c), load(xs[2], 8 * c)];
        for s in 0..STREAMS {
            // SAFETY: this function has the features.
            let w = unsafe { F::load(rows[s], 8 * c) };
            for i in 0..TOKENS {
                sums[s][i] = _mm256_fmadd_ps(w, x[i], sums[s][i]);
            }
        }
    }
    let mut results = [[0.0; TOKENS]; STREAMS];
    for s in 0..STREAMS {
        for i in 0..TOKENS {
            results[s][i] = sum_of_lanes(sums[s][i]);
            for at in n / 8 * 8..n {
                results[s][i] = F::read(rows[s], at).mul_add(xs[i][at], results[s][i]);
            }
        }
    }
    results
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(row: &[u8], i: usize) -> __m256 {
        _mm256_castsi256_ps(load_32(bytes(row, 4 * i)))
    }
}

impl Load for f16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(row: &[u8], i: usize) -> __m256 {
        _mm256_cvtph_ps(load_16(bytes(row, 2 * i)))
    }
}

impl Load for bf16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(row: &[u8], i: usize) -> __m256 {
        let wide = _mm256_cvtepu16_epi32(load_16(bytes(row, 2 * i)));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
    }
}

/// The values `i .. i + 8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(x: &[f32], i: usize) -> __m256 {
    _mm256_castsi256_ps(load_32(bytes(bytemuck::cast_slice(x), 4 * i)))
}

//! The loops around the matvec kernels: rows, tokens, streams.

use std::arch::x86_64::*;
use std::ops::Range;

use super::vectors::{four, lanes};
use crate::linear::activations::Activations;
use crate::linear::output::Output;

/// Rows that are read at once.
pub(super) const STREAMS: usize = 4;

/// Four blocks of 32 of one row, times their activations.
#[derive(Clone, Copy)]
pub(super) struct Dots32 {
    /// The integer sums of the four blocks.
    pub(super) dots: __m128i,
    /// Their scales.
    pub(super) scales: __m128,
    /// What the activations' sums are multiplied by; zeros where the format has no offset.
    pub(super) offsets: __m128,
}

/// A block of 256 of one row, in eight parts of 32, times its activations.
#[derive(Clone, Copy)]
pub(super) struct Dots256 {
    /// The integer sums of the parts.
    pub(super) dots: __m256i,
    /// Where parts have two minima, the integer sums of these.
    pub(super) minima: __m256i,
    /// The parts' scales.
    pub(super) scales: __m256,
    /// What is multiplied by the minima's sums, or else by the activations', and subtracted.
    pub(super) offsets: __m256,
}

/// Four blocks of 32 activations.
#[derive(Clone, Copy)]
pub(super) struct Acts32<'a> {
    pub(super) qs: &'a [i8; 128],
    pub(super) scales: &'a [f32; 4],
    pub(super) sums: &'a [i16; 8],
}

/// Eight blocks of 32 activations.
#[derive(Clone, Copy)]
pub(super) struct Acts256<'a> {
    pub(super) qs: &'a [i8; 256],
    pub(super) scales: &'a [f32; 8],
    pub(super) sums: &'a [i16; 16],
}

/// A format with blocks of 32, of which `BYTES` hold four.
pub(super) trait Dot32<const BYTES: usize> {
    /// Whether the format has an offset.
    const HAS_OFFSET: bool = false;

    /// Multiplies four blocks with their activations.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and F16C.
    unsafe fn dots(blocks: &[u8; BYTES], acts: Acts32<'_>) -> Dots32;
}

/// A format with blocks of 256 in `BYTES`.
pub(super) trait Dot256<const BYTES: usize> {
    /// Whether the format has minima.
    const HAS_OFFSET: bool = false;
    /// Whether the halves of a part have integer scales and minima of their own; parts then share the float ones.
    const IS_SPLIT: bool = false;

    /// Multiplies a block with its activations.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and F16C.
    unsafe fn dots(block: &[u8; BYTES], acts: Acts256<'_>) -> Dots256;
}

/// Matvec for a format with blocks of 32, four blocks at a time. What is left at the end of a row is filled up with
/// zeros: scales of zero on both sides add nothing.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn blocks_of_32<const BYTES: usize, D: Dot32<BYTES>>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let row_bytes = cols / 32 * (BYTES / 4);
    for (i, t) in tokens.enumerate() {
        let act = acts.row(t);
        let (qs, qs_tail) = act.qs.as_chunks::<128>();
        let (scales, scales_tail) = act.scales.as_chunks::<4>();
        let (sums, sums_tail) = act.sums.as_chunks::<8>();
        let (mut last_qs, mut last_scales, mut last_sums) = ([0; 128], [0.0; 4], [0; 8]);
        last_qs[..qs_tail.len()].copy_from_slice(qs_tail);
        last_scales[..scales_tail.len()].copy_from_slice(scales_tail);
        last_sums[..sums_tail.len()].copy_from_slice(sums_tail);
        let last = Acts32 { qs: &last_qs, scales: &last_scales, sums: &last_sums };

        for_each_stream(rows, row_bytes, out.token(i), |streams| {
            let mut sum = _mm_setzero_ps();
            let blocks = four!(S => streams[S].as_chunks::<BYTES>().0);
            for b in 0..qs.len() {
                let acts = Acts32 { qs: &qs[b], scales: &scales[b], sums: &sums[b] };
                // SAFETY: this function has the features.
                let rows = four!(S => unsafe { D::dots(&blocks[S][b], acts) });
                sum = add_32::<BYTES, D>(sum, rows, acts);
            }
            if !qs_tail.is_empty() {
                let mut blocks = [[0; BYTES]; STREAMS];
                for s in 0..STREAMS {
                    let tail = streams[s].as_chunks::<BYTES>().1;
                    blocks[s][..tail.len()].copy_from_slice(tail);
                }
                // SAFETY: as above.
                let rows = four!(S => unsafe { D::dots(&blocks[S], last) });
                sum = add_32::<BYTES, D>(sum, rows, last);
            }
            sum
        });
    }
}

/// Matvec for a format with blocks of 256.
#[target_feature(enable = "avx2,fma,f16c")]
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
        let (qs, scales) = (act.qs.as_chunks::<256>().0, act.scales.as_chunks::<8>().0);
        let sums = act.sums.as_chunks::<16>().0;
        for_each_stream(rows, row_bytes, out.token(i), |streams| {
            let mut sum = _mm_setzero_ps();
            let blocks = four!(S => streams[S].as_chunks::<BYTES>().0);
            for b in 0..qs.len() {
                let acts = Acts256 { qs: &qs[b], scales: &scales[b], sums: &sums[b] };
                // SAFETY: this function has the features.
                let rows = four!(S => unsafe { D::dots(&blocks[S][b], acts) });
                sum = add_256::<BYTES, D>(sum, rows, acts);
            }
            sum
        });
    }
}

/// Adds four blocks of each row, one after the other, to the rows' sums: the order of float operations of the matmul
/// kernels, so that a token's result does not depend on how many others came with it.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_32<const BYTES: usize, D: Dot32<BYTES>>(mut sum: __m128, rows: [Dots32; STREAMS], acts: Acts32<'_>) -> __m128 {
    let dots = columns(four!(S => _mm_castsi128_ps(rows[S].dots)));
    let scales = columns(four!(S => rows[S].scales));
    let offsets = columns(four!(S => rows[S].offsets));
    for b in 0..4 {
        let act_scale = _mm_set1_ps(acts.scales[b]);
        let dots = _mm_cvtepi32_ps(_mm_castps_si128(dots[b]));
        sum = _mm_fmadd_ps(dots, _mm_mul_ps(scales[b], act_scale), sum);
        if D::HAS_OFFSET {
            let act_sum = f32::from(acts.sums[2 * b] + acts.sums[2 * b + 1]);
            sum = _mm_fmadd_ps(offsets[b], _mm_set1_ps(act_sum * acts.scales[b]), sum);
        }
    }
    sum
}

/// Adds the eight parts of a block of each row to the rows' sums, in the order of the matmul kernels.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_256<const BYTES: usize, D: Dot256<BYTES>>(
    mut sum: __m128,
    rows: [Dots256; STREAMS],
    acts: Acts256<'_>,
) -> __m128 {
    let dots = integer_columns(four!(S => rows[S].dots));
    let minima = integer_columns(four!(S => rows[S].minima));
    let scales = factor_columns::<BYTES, D>(four!(S => rows[S].scales));
    let offsets = factor_columns::<BYTES, D>(four!(S => rows[S].offsets));
    macro_rules! part {
        ($part:literal, $half:literal) => {
            let of_part = |columns: [__m256; 4]| _mm256_extractf128_ps::<$half>(columns[$part % 4]);
            let act_scale = _mm_set1_ps(acts.scales[$part]);
            sum = _mm_fmadd_ps(of_part(dots), _mm_mul_ps(of_part(scales), act_scale), sum);
            if D::HAS_OFFSET {
                let minimum = if D::IS_SPLIT {
                    _mm_mul_ps(of_part(minima), act_scale)
                } else {
                    let act_sum = f32::from(acts.sums[2 * $part] + acts.sums[2 * $part + 1]);
                    _mm_set1_ps(act_sum * acts.scales[$part])
                };
                sum = _mm_fnmadd_ps(of_part(offsets), minimum, sum);
            }
        };
    }
    part!(0, 0);
    part!(1, 0);
    part!(2, 0);
    part!(3, 0);
    part!(4, 1);
    part!(5, 1);
    part!(6, 1);
    part!(7, 1);
    sum
}

/// Eight parts of four rows: the four rows of part `c` in the lower half of result `c`, of part `c + 4` in the upper.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn part_columns([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let pairs = |a, b| [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)].map(|x| _mm256_castps_pd(x));
    let ([ab, ab_high], [cd, cd_high]) = (pairs(a, b), pairs(c, d));
    [
        _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
        _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)),
    ]
}

/// [`part_columns`] of integers, as floats.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn integer_columns(rows: [__m256i; 4]) -> [__m256; 4] {
    let columns = part_columns(four!(S => _mm256_castsi256_ps(rows[S])));
    four!(C => _mm256_cvtepi32_ps(_mm256_castps_si256(columns[C])))
}

/// [`part_columns`] of factors, which are the same for all parts if the format is split.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn factor_columns<const BYTES: usize, D: Dot256<BYTES>>(rows: [__m256; 4]) -> [__m256; 4] {
    if !D::IS_SPLIT {
        return part_columns(rows);
    }
    let low = four!(S => _mm256_castps256_ps128(rows[S]));
    let column = _mm_movelh_ps(_mm_unpacklo_ps(low[0], low[1]), _mm_unpacklo_ps(low[2], low[3]));
    [_mm256_set_m128(column, column); 4]
}

/// Rows of four lanes as columns: lane `r` of result `c` is lane `c` of row `r`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn columns([a, b, c, d]: [__m128; 4]) -> [__m128; 4] {
    let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
    let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
    [_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab), _mm_movelh_ps(ab_high, cd_high), _mm_movehl_ps(cd_high, ab_high)]
}

/// Calls `dot` with four rows at a time, a quarter of all rows apart, and writes its results. Where four do not come
/// together, at the end, rows stand in twice.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn for_each_stream<'a>(
    rows: &'a [u8],
    row_bytes: usize,
    out: &mut [f32],
    dot: impl Fn([&'a [u8]; STREAMS]) -> __m128,
) {
    let distance = out.len().div_ceil(STREAMS);
    for r in 0..distance {
        let at = four!(S => (r + S * distance).min(out.len() - 1));
        let sums = lanes(dot(four!(S => &rows[at[S] * row_bytes..][..row_bytes])));
        for (r, sum) in at.into_iter().zip(sums) {
            out[r] = sum;
        }
    }
}

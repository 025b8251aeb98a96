//! Activations to 8 bits with AVX2.
#![allow(
    clippy::needless_range_loop,
    reason = "functions of the standard library lack the instruction set: adapters with closures are not always inlined"
)]

use std::arch::x86_64::*;

use super::{Quants, scale_and_factor};

/// Quantizes whole blocks; the caller has checked the lengths.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn quantize(x: &[f32], out: Quants<'_>) {
    let (x, _) = x.as_chunks::<32>();
    let (qs, _) = out.qs.as_chunks_mut::<32>();
    let (sums, _) = out.sums.as_chunks_mut::<2>();
    for b in 0..out.scales.len() {
        let (scale, factor) = scale_and_factor(f32::from_bits(largest_lane(magnitudes(&x[b]))));
        out.scales[b] = scale;
        (sums[b], qs[b]) = match factor {
            Some(factor) => round(&x[b], factor),
            None => ([0; 2], [0; 32]),
        };
    }
}

/// The bits of the largest magnitudes, which order like these, with infinity and then NaN on top.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn magnitudes(x: &[f32; 32]) -> __m256i {
    let mut largest = _mm256_setzero_si256();
    for i in 0..4 {
        let bits = _mm256_castps_si256(load(x, 8 * i));
        largest = _mm256_max_epi32(largest, _mm256_and_si256(bits, _mm256_set1_epi32(i32::MAX)));
    }
    largest
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn largest_lane(x: __m256i) -> u32 {
    let four = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    let one = _mm_max_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
    _mm_cvtsi128_si32(one).cast_unsigned()
}

/// The sums of the two halves, and `x * factor`, rounded to the nearest, ties to even.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn round(x: &[f32; 32], factor: f32) -> ([i16; 2], [i8; 32]) {
    let factor = _mm256_set1_ps(factor);
    let a = _mm256_cvtps_epi32(_mm256_mul_ps(load(x, 0), factor));
    let b = _mm256_cvtps_epi32(_mm256_mul_ps(load(x, 8), factor));
    let c = _mm256_cvtps_epi32(_mm256_mul_ps(load(x, 16), factor));
    let d = _mm256_cvtps_epi32(_mm256_mul_ps(load(x, 24), factor));
    let packed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    // Packing interleaves the halves of its sources, in runs of four.
    let packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    let mut qs = [0i8; 32];
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_storeu_si256(qs.as_mut_ptr().cast(), packed) }
    let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), packed);
    let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    let eights = _mm256_hadd_epi32(fours, fours);
    let sixteens = _mm256_hadd_epi32(eights, eights);
    let low = _mm_cvtsi128_si32(_mm256_castsi256_si128(sixteens));
    let high = _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(sixteens));
    ([low as i16, high as i16], qs)
}

/// The values `i .. i + 8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(x: &[f32; 32], i: usize) -> __m256 {
    let x = &x[i..][..8];
    // SAFETY: the slice has eight values.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

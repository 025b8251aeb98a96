//! Loads, conversions and sums that several kernels need.

use std::arch::asm;
use std::arch::x86_64::*;

pub(super) use crate::linear::constant::{bytes, four};

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has the 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the array has the 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Quants 32 `i` to 32 `i` + 32 of a row of activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_acts<const N: usize>(qs: &[i8; N], i: usize) -> __m256i {
    load_32(bytes(bytemuck::cast_slice(qs), 32 * i))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_sums(sums: &[i16; 16]) -> __m256i {
    load_32(bytes(bytemuck::cast_slice(sums), 0))
}

/// The low 4 bits of each byte in the lower, the high 4 bits in the upper half: a load into both halves costs nothing
/// more, and a shift that differs by lane saves putting halves together.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn nibbles(bytes: &[u8; 16]) -> __m256i {
    let both: __m256i;
    // SAFETY: reads the 16 bytes of the array. Written out because the compiler, given the intrinsic, puts these bytes
    // together from pieces of neighbouring loads.
    unsafe {
        asm!(
            "vbroadcasti128 {both}, xmmword ptr [{bytes}]",
            both = lateout(ymm_reg) both,
            bytes = in(reg) bytes.as_ptr(),
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    let shifted = _mm256_srlv_epi64(both, _mm256_setr_epi64x(0, 0, 4, 4));
    _mm256_and_si256(shifted, _mm256_set1_epi8(15))
}

/// Two half floats, each as float32 in all lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn two_halves(bytes: &[u8; 4]) -> [__m256; 2] {
    let both = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from_le_bytes(*bytes)));
    [_mm256_broadcastss_ps(both), _mm256_broadcastss_ps(_mm_movehdup_ps(both))]
}

/// A half float, as float32 in all lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn half(bytes: &[u8; 2]) -> __m256 {
    _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(u16::from_le_bytes(*bytes)))))
}

/// The two halves added up.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn both_halves(x: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
}

/// The four lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn lanes(x: __m128) -> [f32; 4] {
    let mut lanes = [0.0; 4];
    // SAFETY: the array has the four values.
    unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), x) }
    lanes
}

/// The sum of all lanes, always in the same order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sum_of_lanes(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

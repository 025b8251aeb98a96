//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
//!
//! Four blocks are multiplied before anything is added up across lanes: a few rounds of interleaving adds then give
//! the four sums side by side. With 4- and 5-bit
//! quants, the rounds stay in 16 bits: a lane holds at most 8 products of 31 * 127.

use std::arch::x86_64::*;

use super::matvec::{Acts32, Dot32, Dots32};
use super::vectors::{both_halves, bytes, four, load_16, load_32, load_acts, nibbles};

pub(super) struct Q4_0;
pub(super) struct Q4_1;
pub(super) struct Q5_0;
pub(super) struct Q5_1;
pub(super) struct Q8_0;

impl Dot32<72> for Q4_0 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 72], acts: Acts32<'_>) -> Dots32 {
        let quants = four!(B => nibbles(bytes(blocks, 18 * B + 2)));
        with_zero::<3>(unsigned_sums(quants, acts.qs), scales::<18, 0>(blocks), acts)
    }
}

impl Dot32<80> for Q4_1 {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 80], acts: Acts32<'_>) -> Dots32 {
        let quants = four!(B => nibbles(bytes(blocks, 20 * B + 4)));
        let dots = unsigned_sums(quants, acts.qs);
        Dots32 { dots, scales: scales::<20, 0>(blocks), offsets: scales::<20, 2>(blocks) }
    }
}

impl Dot32<88> for Q5_0 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 88], acts: Acts32<'_>) -> Dots32 {
        let quants = four!(B => five_bits(bytes(blocks, 22 * B + 2), bytes(blocks, 22 * B + 6)));
        with_zero::<4>(unsigned_sums(quants, acts.qs), scales::<22, 0>(blocks), acts)
    }
}

impl Dot32<96> for Q5_1 {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 96], acts: Acts32<'_>) -> Dots32 {
        let quants = four!(B => five_bits(bytes(blocks, 24 * B + 4), bytes(blocks, 24 * B + 8)));
        let dots = unsigned_sums(quants, acts.qs);
        Dots32 { dots, scales: scales::<24, 0>(blocks), offsets: scales::<24, 2>(blocks) }
    }
}

impl Dot32<136> for Q8_0 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 136], acts: Acts32<'_>) -> Dots32 {
        let quants = four!(B => load_32(bytes(blocks, 34 * B + 2)));
        Dots32 { dots: signed_sums(quants, acts.qs), scales: scales::<34, 0>(blocks), offsets: _mm_setzero_ps() }
    }
}

/// The half floats at byte `AT` of four blocks of `SIZE` bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn scales<const SIZE: usize, const AT: usize>(blocks: &[u8]) -> __m128 {
    let [a, b, c, d] = four!(B => u64::from(u16::from_le_bytes(*bytes(blocks, SIZE * B + AT))));
    _mm_cvtph_ps(_mm_cvtsi64_si128((a | (b << 16) | (c << 32) | (d << 48)).cast_signed()))
}

/// The low 4 bits of each quant from `qs`, the fifth from the bits of `qh`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn five_bits(qh: &[u8; 4], qs: &[u8; 16]) -> __m256i {
    // Each byte gets the byte of `qh` that holds its bit, and then all ones if the bit is set.
    let spread = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let others = _mm256_set1_epi64x(0x7fbf_dfef_f7fb_fdfe);
    let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(*qh)), spread);
    let set = _mm256_cmpeq_epi8(_mm256_or_si256(bits, others), _mm256_set1_epi8(-1));
    _mm256_or_si256(nibbles(qs), _mm256_and_si256(set, _mm256_set1_epi8(16)))
}

/// The dot products of four blocks of unsigned quants up to 31.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unsigned_sums(quants: [__m256i; 4], acts: &[i8; 128]) -> __m128i {
    let [a, b, c, d] = quants;
    let a = _mm256_maddubs_epi16(a, load_acts(acts, 0));
    let b = _mm256_maddubs_epi16(b, load_acts(acts, 1));
    let c = _mm256_maddubs_epi16(c, load_acts(acts, 2));
    let d = _mm256_maddubs_epi16(d, load_acts(acts, 3));
    let ab = _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi16(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let abcd = _mm256_add_epi16(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    both_halves(_mm256_madd_epi16(abcd, _mm256_set1_epi16(1)))
}

/// As [`unsigned_sums`], for signed quants of 8 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn signed_sums(quants: [__m256i; 4], acts: &[i8; 128]) -> __m128i {
    let [a, b, c, d] = quants;
    side_by_side([
        signed_pairs(a, load_acts(acts, 0)),
        signed_pairs(b, load_acts(acts, 1)),
        signed_pairs(c, load_acts(acts, 2)),
        signed_pairs(d, load_acts(acts, 3)),
    ])
}

/// The sums of the eight lanes of each of four vectors.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn side_by_side([a, b, c, d]: [__m256i; 4]) -> __m128i {
    let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    both_halves(_mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd)))
}

/// Sums of four products: the quants' signs go to the activations, since `vpmaddubsw` takes one side unsigned. Two
/// products are at most 2 * 128 * 127, which fits 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn signed_pairs(quants: __m256i, acts: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quants), _mm256_sign_epi8(acts, quants));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

/// Dot products of quants that stand `2^ZERO` too high.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn with_zero<const ZERO: i32>(dots: __m128i, scales: __m128, acts: Acts32<'_>) -> Dots32 {
    let dots = _mm_sub_epi32(dots, _mm_slli_epi32::<ZERO>(sums(acts)));
    Dots32 { dots, scales, offsets: _mm_setzero_ps() }
}

/// The four sums, in 32 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sums(acts: Acts32<'_>) -> __m128i {
    let halves = load_16(bytes(bytemuck::cast_slice(acts.sums), 0));
    _mm_madd_epi16(halves, _mm_set1_epi16(1))
}

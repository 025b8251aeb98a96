//! Blocks of 256 with two levels of scales: Q2_K to Q6_K.
//!
//! Four parts of 32 are multiplied before anything is added up across lanes, as in [`super::legacy`]. The integer scales
//! of a part's two halves go into the `vpmaddwd` that widens the sums anyway. Their zero points and minima meet the
//! activations' sums in one more `vpmaddwd` for the whole block.

use std::arch::x86_64::*;

use super::matvec::{Acts256, Dot256, Dots256};
use super::vectors::{both_halves, bytes, four, half, load_16, load_32, load_acts, load_sums, two_halves};

pub(super) struct Q2K;
pub(super) struct Q3K;
pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;

impl Dot256<144> for Q4K {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 144], acts: Acts256<'_>) -> Dots256 {
        let (scales, offsets) = scales_offsets(bytes(block, 0), bytes(block, 4));
        let ones = _mm256_set1_epi16(1);
        let pair = |qs| [low_bits(qs), low_bits(_mm256_srli_epi16::<4>(qs))];
        let quants = four!(C => pair(load_32(bytes(block, 16 + 32 * C))));
        let dots = _mm256_set_m128i(
            small_parts::<1>([quants[2][0], quants[2][1], quants[3][0], quants[3][1]], acts, ones),
            small_parts::<0>([quants[0][0], quants[0][1], quants[1][0], quants[1][1]], acts, ones),
        );
        Dots256 { dots, minima: _mm256_setzero_si256(), scales, offsets }
    }
}

impl Dot256<176> for Q5K {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 176], acts: Acts256<'_>) -> Dots256 {
        let (scales, offsets) = scales_offsets(bytes(block, 0), bytes(block, 4));
        let ones = _mm256_set1_epi16(1);
        let qh = load_32(bytes(block, 16));
        let low = |qs| [low_bits(qs), low_bits(_mm256_srli_epi16::<4>(qs))];
        let quants = four!(C => {
            let [a, b] = low(load_32(bytes(block, 48 + 32 * C)));
            [_mm256_or_si256(a, bit::<4>(qh, 2 * C)), _mm256_or_si256(b, bit::<4>(qh, 2 * C + 1))]
        });
        let dots = _mm256_set_m128i(
            small_parts::<1>([quants[2][0], quants[2][1], quants[3][0], quants[3][1]], acts, ones),
            small_parts::<0>([quants[0][0], quants[0][1], quants[1][0], quants[1][1]], acts, ones),
        );
        Dots256 { dots, minima: _mm256_setzero_si256(), scales, offsets }
    }
}

impl Dot256<210> for Q6K {
    const IS_SPLIT: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 210], acts: Acts256<'_>) -> Dots256 {
        let scales = load_16(bytes(block, 192));
        let pairs = scale_pairs(scales);
        let dots = _mm256_set_m128i(
            six_bit_parts::<1>(six_bits(block, 1), acts, pairs),
            six_bit_parts::<0>(six_bits(block, 0), acts, pairs),
        );
        let zero = _mm256_madd_epi16(_mm256_cvtepi8_epi16(scales), load_sums(acts.sums));
        let dots = _mm256_sub_epi32(dots, _mm256_slli_epi32::<5>(zero));
        Dots256 { dots, minima: _mm256_setzero_si256(), scales: half(bytes(block, 208)), offsets: _mm256_setzero_ps() }
    }
}

impl Dot256<110> for Q3K {
    const IS_SPLIT: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 110], acts: Acts256<'_>) -> Dots256 {
        let scales = q3_scales(bytes(block, 96));
        let pairs = scale_pairs(scales);
        let qh = load_32(bytes(block, 0));
        let quants = |h: usize| {
            let low = two_bits(load_32(bytes(block, 32 + 32 * h)));
            four!(S => _mm256_or_si256(low[S], bit::<2>(qh, 4 * h + S)))
        };
        let dots = _mm256_set_m128i(small_parts::<1>(quants(1), acts, pairs), small_parts::<0>(quants(0), acts, pairs));
        let zero = _mm256_madd_epi16(_mm256_cvtepi8_epi16(scales), load_sums(acts.sums));
        let dots = _mm256_sub_epi32(dots, _mm256_slli_epi32::<2>(zero));
        Dots256 { dots, minima: _mm256_setzero_si256(), scales: half(bytes(block, 108)), offsets: _mm256_setzero_ps() }
    }
}

impl Dot256<84> for Q2K {
    const HAS_OFFSET: bool = true;
    const IS_SPLIT: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 84], acts: Acts256<'_>) -> Dots256 {
        let both = load_16(bytes(block, 0));
        let scales = scale_pairs(_mm_and_si128(both, _mm_set1_epi8(15)));
        let minima = _mm_and_si128(_mm_srli_epi16::<4>(both), _mm_set1_epi8(15));
        let dots = _mm256_set_m128i(
            small_parts::<1>(two_bits(load_32(bytes(block, 48))), acts, scales),
            small_parts::<0>(two_bits(load_32(bytes(block, 16))), acts, scales),
        );
        let minima = _mm256_madd_epi16(_mm256_cvtepi8_epi16(minima), load_sums(acts.sums));
        let [scales, offsets] = two_halves(bytes(block, 80));
        Dots256 { dots, minima, scales, offsets }
    }
}

/// The dot products of parts `4 H .. 4 H + 4`, of quants up to 31, times their scales. The products are added up in 16
/// bits: a lane holds at most 8 of 31 * 127.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn small_parts<const H: usize>(quants: [__m256i; 4], acts: Acts256<'_>, scales: __m256i) -> __m128i {
    let [a, b, c, d] = four!(S => _mm256_maddubs_epi16(quants[S], load_acts(acts.qs, 4 * H + S)));
    let ab = _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi16(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let abcd = _mm256_add_epi16(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    both_halves(_mm256_madd_epi16(abcd, part_scales::<H>(scales)))
}

/// As [`small_parts`], for quants up to 63: of these, a lane of 16 bits holds at most 4 products.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn six_bit_parts<const H: usize>(quants: [__m256i; 4], acts: Acts256<'_>, scales: __m256i) -> __m128i {
    let [a, b, c, d] = four!(S => _mm256_maddubs_epi16(quants[S], load_acts(acts.qs, 4 * H + S)));
    let scales = part_scales::<H>(scales);
    let ab = _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let cd = _mm256_add_epi16(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let ab = _mm256_madd_epi16(ab, _mm256_unpacklo_epi64(scales, scales));
    let cd = _mm256_madd_epi16(cd, _mm256_unpackhi_epi64(scales, scales));
    both_halves(_mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd)))
}

/// Of the eight 16-bit scales in each half, numbers `4 H .. 4 H + 4`, each in the two lanes that `vpmaddwd` adds up.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn part_scales<const H: usize>(scales: __m256i) -> __m256i {
    if H == 0 { _mm256_unpacklo_epi16(scales, scales) } else { _mm256_unpackhi_epi16(scales, scales) }
}

/// The low 4 bits of each byte.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn low_bits(bytes: __m256i) -> __m256i {
    _mm256_and_si256(bytes, _mm256_set1_epi8(15))
}

/// The four parts that a byte holds two bits of each.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two_bits(bytes: __m256i) -> [__m256i; 4] {
    let low = |x| _mm256_and_si256(x, _mm256_set1_epi8(3));
    [
        low(bytes),
        low(_mm256_srli_epi16::<2>(bytes)),
        low(_mm256_srli_epi16::<4>(bytes)),
        low(_mm256_srli_epi16::<6>(bytes)),
    ]
}

/// Four parts of a half of Q6_K: low four bits in `ql`, high two in `qh`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn six_bits(block: &[u8; 210], half: usize) -> [__m256i; 4] {
    let (a, b) = (load_32(bytes(block, 64 * half)), load_32(bytes(block, 64 * half + 32)));
    let high = load_32(bytes(block, 128 + 32 * half));
    let top = |x| _mm256_and_si256(x, _mm256_set1_epi8(48));
    [
        _mm256_or_si256(low_bits(a), top(_mm256_slli_epi16::<4>(high))),
        _mm256_or_si256(low_bits(b), top(_mm256_slli_epi16::<2>(high))),
        _mm256_or_si256(low_bits(_mm256_srli_epi16::<4>(a)), top(high)),
        _mm256_or_si256(low_bits(_mm256_srli_epi16::<4>(b)), top(_mm256_srli_epi16::<2>(high))),
    ]
}

/// Sixteen scales of 16 values each, in 16 bits: those of the first half of each part in the lower half, those of the
/// second in the upper, where the sums of these values are.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scale_pairs(scales: __m128i) -> __m256i {
    let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, order))
}

/// Bit `from` of each byte, moved to bit `TO`. The position is a constant wherever this is called.
#[inline(always)]
fn bit<const TO: usize>(bytes: __m256i, from: usize) -> __m256i {
    // SAFETY: only called where the features are.
    unsafe {
        let shifted = if from >= TO {
            _mm256_srl_epi16(bytes, _mm_cvtsi32_si128((from - TO) as i32))
        } else {
            _mm256_sll_epi16(bytes, _mm_cvtsi32_si128((TO - from) as i32))
        };
        _mm256_and_si256(shifted, _mm256_set1_epi8(1 << TO))
    }
}

/// The scales and offsets of the eight parts of Q4_K and Q5_K: two half floats times 6-bit integers, decoded four at a
/// time as the table at [`silhak_quant::blocks::BlockQ4K`] lays them out.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scales_offsets(halves: &[u8; 4], packed: &[u8; 12]) -> (__m256, __m256) {
    let a = u32::from_le_bytes(*bytes(packed, 0));
    let b = u32::from_le_bytes(*bytes(packed, 4));
    let c = u32::from_le_bytes(*bytes(packed, 8));
    let low = |x: u32| x & 0x3f3f_3f3f;
    let high = |x: u32, top: u32| u64::from((x & 0x0f0f_0f0f) | ((top >> 2) & 0x3030_3030)) << 32;
    let scales = u64::from(low(a)) | high(c, a);
    let minima = u64::from(low(b)) | high(c >> 4, b);
    let floats = |x: u64| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(x.cast_signed())));
    let [scale, offset] = two_halves(halves);
    (_mm256_mul_ps(floats(scales), scale), _mm256_mul_ps(floats(minima), offset))
}

/// The sixteen 6-bit scales of Q3_K, less 32, decoded eight at a time as
/// [`silhak_quant::blocks::BlockQ3K::scale`] does one.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q3_scales(packed: &[u8; 12]) -> __m128i {
    let low = u64::from_le_bytes(*bytes(packed, 0));
    let high = u32::from_le_bytes(*bytes(packed, 8));
    let top = |shift: u32| u64::from((high >> shift) & 0x0303_0303);
    let eight = |low: u64, shift: u32| (low & 0x0f0f_0f0f_0f0f_0f0f) | ((top(shift) | (top(shift + 2) << 32)) << 4);
    let scales = _mm_set_epi64x(eight(low >> 4, 4).cast_signed(), eight(low, 0).cast_signed());
    _mm_sub_epi8(scales, _mm_set1_epi8(32))
}

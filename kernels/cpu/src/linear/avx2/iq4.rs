//! Quants that index 16 levels: IQ4_NL, IQ4_XS. One `vpshufb` looks 32 of them up.

use std::arch::x86_64::*;

use silhak_quant::blocks::IQ4_LEVELS;

use super::legacy::{scales, side_by_side, signed_pairs, signed_sums};
use super::matvec::{Acts32, Acts256, Dot32, Dot256, Dots32, Dots256};
use super::vectors::{bytes, four, half, load_16, load_acts, nibbles};

pub(super) struct Iq4Nl;
pub(super) struct Iq4Xs;

impl Dot32<72> for Iq4Nl {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(blocks: &[u8; 72], acts: Acts32<'_>) -> Dots32 {
        let levels = four!(B => levels(bytes(blocks, 18 * B + 2)));
        Dots32 { dots: signed_sums(levels, acts.qs), scales: scales::<18, 0>(blocks), offsets: _mm_setzero_ps() }
    }
}

impl Dot256<136> for Iq4Xs {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dots(block: &[u8; 136], acts: Acts256<'_>) -> Dots256 {
        let low = four!(S => products::<S>(bytes(block, 8 + 16 * S), acts));
        let high = four!(S => products::<{ S + 4 }>(bytes(block, 8 + 16 * (S + 4)), acts));
        let dots = _mm256_set_m128i(side_by_side(high), side_by_side(low));
        let scales = _mm256_mul_ps(xs_scales(bytes(block, 2), bytes(block, 4)), half(bytes(block, 0)));
        Dots256 { dots, minima: _mm256_setzero_si256(), scales, offsets: _mm256_setzero_ps() }
    }
}

/// The products of part `S`, in eight sums.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn products<const S: usize>(qs: &[u8; 16], acts: Acts256<'_>) -> __m256i {
    signed_pairs(levels(qs), load_acts(acts.qs, S))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn levels(qs: &[u8; 16]) -> __m256i {
    let table = load_16(bytes(bytemuck::cast_slice(&IQ4_LEVELS), 0));
    _mm256_shuffle_epi8(_mm256_set_m128i(table, table), nibbles(qs))
}

/// The eight 6-bit scales, less 32: their low 4 and high 2 bits are spread to a byte each.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn xs_scales(high: &[u8; 2], low: &[u8; 4]) -> __m256 {
    let low = u64::from(u32::from_le_bytes(*low));
    let low = (low | (low << 16)) & 0x0000_ffff_0000_ffff;
    let low = (low | (low << 8)) & 0x00ff_00ff_00ff_00ff;
    let low = (low | (low << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    let high = u64::from(u16::from_le_bytes(*high));
    let high = (high | (high << 24)) & 0x0000_00ff_0000_00ff;
    let high = (high | (high << 12)) & 0x000f_000f_000f_000f;
    let high = (high | (high << 6)) & 0x0303_0303_0303_0303;
    let scales = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((low | (high << 4)).cast_signed()));
    _mm256_cvtepi32_ps(_mm256_sub_epi32(scales, _mm256_set1_epi32(32)))
}

//! Blocks of 256 with two levels of scales: Q2_K to Q6_K.

use std::arch::aarch64::*;

use super::matvec::Dot256;
use super::vectors::{anew, bytes, load, low_nibbles, signed};

pub(super) struct Q2K;
pub(super) struct Q3K;
pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;

impl Dot256<84> for Q2K {
    const SCALE_AT: usize = 80;
    const OFFSET_AT: Option<usize> = Some(82);
    const SCALE_LEN: usize = 16;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 84], part: usize) -> [int8x16_t; 2] {
        signed(two_bits(pair(anew(block), 16 + 32 * (part / 4)), part))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 84]) -> int8x16_t {
        vreinterpretq_s8_u8(low_nibbles(load(bytes(block, 0))))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn minima(block: &[u8; 84]) -> int8x16_t {
        vreinterpretq_s8_u8(vshrq_n_u8::<4>(load(bytes(block, 0))))
    }
}

impl Dot256<110> for Q3K {
    const SCALE_AT: usize = 108;
    const SCALE_LEN: usize = 16;
    const ZERO: i32 = 4;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 110], part: usize) -> [int8x16_t; 2] {
        let block = anew(block);
        let [low, high] = two_bits(pair(block, 32 + 32 * (part / 4)), part);
        let [low_third, high_third] = pair(block, 0);
        signed([with_bits(low, low_third, part, 2, 1), with_bits(high, high_third, part, 2, 1)])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 110]) -> int8x16_t {
        q3_scales(bytes(block, 96))
    }
}

impl Dot256<144> for Q4K {
    const SCALE_AT: usize = 0;
    const OFFSET_AT: Option<usize> = Some(2);
    const SCALE_LEN: usize = 32;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 144], part: usize) -> [int8x16_t; 2] {
        signed(four_bits(pair(block, 16 + 32 * (part / 2)), part % 2))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 144]) -> int8x16_t {
        six_bit_scales(bytes(block, 4))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn minima(block: &[u8; 144]) -> int8x16_t {
        six_bit_minima(bytes(block, 4))
    }
}

impl Dot256<176> for Q5K {
    const SCALE_AT: usize = 0;
    const OFFSET_AT: Option<usize> = Some(2);
    const SCALE_LEN: usize = 32;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 176], part: usize) -> [int8x16_t; 2] {
        let block = anew(block);
        let [low, high] = four_bits(pair(block, 48 + 32 * (part / 2)), part % 2);
        let [low_fifth, high_fifth] = pair(block, 16);
        signed([with_bits(low, low_fifth, part, 4, 1), with_bits(high, high_fifth, part, 4, 1)])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 176]) -> int8x16_t {
        six_bit_scales(bytes(block, 4))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn minima(block: &[u8; 176]) -> int8x16_t {
        six_bit_minima(bytes(block, 4))
    }
}

impl Dot256<210> for Q6K {
    const SCALE_AT: usize = 208;
    const SCALE_LEN: usize = 16;
    const ZERO: i32 = 32;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 210], part: usize) -> [int8x16_t; 2] {
        let (block, half, quarter) = (anew(block), part / 4, part % 4);
        let [low, high] = four_bits(pair(block, 64 * half + 32 * (quarter % 2)), quarter / 2);
        let [low_top, high_top] = pair(block, 128 + 32 * half);
        signed([with_bits(low, low_top, 2 * quarter, 4, 3), with_bits(high, high_top, 2 * quarter, 4, 3)])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 210]) -> int8x16_t {
        vreinterpretq_s8_u8(load(bytes(block, 192)))
    }
}

/// The 32 bytes from byte `at`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn pair<const N: usize>(block: &[u8; N], at: usize) -> [uint8x16_t; 2] {
    [load(bytes(block, at)), load(bytes(block, at + 16))]
}

/// The low 4 bits of each byte if `nibble` is 0, else the high ones.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn four_bits([a, b]: [uint8x16_t; 2], nibble: usize) -> [uint8x16_t; 2] {
    [low_nibbles(shift(a, 4 * nibble, 0)), low_nibbles(shift(b, 4 * nibble, 0))]
}

/// Of the four parts that a byte holds two bits of each, number `part % 4`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn two_bits([a, b]: [uint8x16_t; 2], part: usize) -> [uint8x16_t; 2] {
    let low = |x| vandq_u8(shift(x, 2 * (part % 4), 0), vdupq_n_u8(3));
    [low(a), low(b)]
}

/// `quants` with the bits of `mask` from bit `from` of each byte of `bytes`, put in at bit `to`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn with_bits(quants: uint8x16_t, bytes: uint8x16_t, from: usize, to: usize, mask: u8) -> uint8x16_t {
    vbslq_u8(vdupq_n_u8(mask << to), shift(bytes, from, to), quants)
}

/// Each byte shifted so that bit `from` becomes bit `to`. Both are constants wherever this is called.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn shift(bytes: uint8x16_t, from: usize, to: usize) -> uint8x16_t {
    match from as isize - to as isize {
        -4 => vshlq_n_u8::<4>(bytes),
        -3 => vshlq_n_u8::<3>(bytes),
        -2 => vshlq_n_u8::<2>(bytes),
        -1 => vshlq_n_u8::<1>(bytes),
        1 => vshrq_n_u8::<1>(bytes),
        2 => vshrq_n_u8::<2>(bytes),
        3 => vshrq_n_u8::<3>(bytes),
        4 => vshrq_n_u8::<4>(bytes),
        5 => vshrq_n_u8::<5>(bytes),
        6 => vshrq_n_u8::<6>(bytes),
        _ => bytes,
    }
}

/// The eight 6-bit scales of Q4_K and Q5_K, decoded four at a time as the table at
/// [`silhak_quant::blocks::BlockQ4K`] lays them out.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn six_bit_scales(packed: &[u8; 12]) -> int8x16_t {
    let [first, _, low] = words(packed);
    six_bits(first, low)
}

/// The eight 6-bit minima, which are laid out alike.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn six_bit_minima(packed: &[u8; 12]) -> int8x16_t {
    let [_, first, low] = words(packed);
    six_bits(first, low >> 4)
}

/// Four numbers in the low bits of `first`, and four whose low bits are in `low` and whose high bits are those of `first`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn six_bits(first: u32, low: u32) -> int8x16_t {
    let second = (low & 0x0f0f_0f0f) | ((first >> 2) & 0x3030_3030);
    sixteen([u64::from(first & 0x3f3f_3f3f) | (u64::from(second) << 32), 0])
}

/// The sixteen 6-bit scales of Q3_K, less 32, decoded eight at a time as
/// [`silhak_quant::blocks::BlockQ3K::scale`] does one.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn q3_scales(packed: &[u8; 12]) -> int8x16_t {
    let [a, b, high] = words(packed);
    let low = u64::from(a) | (u64::from(b) << 32);
    let top = |shift: u32| u64::from((high >> shift) & 0x0303_0303);
    let eight = |low: u64, shift: u32| (low & 0x0f0f_0f0f_0f0f_0f0f) | ((top(shift) | (top(shift + 2) << 32)) << 4);
    vsubq_s8(sixteen([eight(low, 0), eight(low >> 4, 4)]), vdupq_n_s8(32))
}

#[inline(always)]
fn words(packed: &[u8; 12]) -> [u32; 3] {
    [0, 4, 8].map(|at| u32::from_le_bytes(*bytes(packed, at)))
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sixteen([low, high]: [u64; 2]) -> int8x16_t {
    vreinterpretq_s8_u64(vcombine_u64(vcreate_u64(low), vcreate_u64(high)))
}

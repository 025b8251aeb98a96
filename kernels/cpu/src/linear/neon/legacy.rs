//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use std::arch::aarch64::*;

use super::matvec::Dot32;
use super::vectors::{bytes, load, low_nibbles, signed};

pub(super) struct Q4_0;
pub(super) struct Q4_1;
pub(super) struct Q5_0;
pub(super) struct Q5_1;
pub(super) struct Q8_0;

impl Dot32<18> for Q4_0 {
    const ZERO: i32 = 8;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 18]) -> [int8x16_t; 2] {
        signed(nibbles(bytes(block, 2)))
    }
}

impl Dot32<20> for Q4_1 {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 20]) -> [int8x16_t; 2] {
        signed(nibbles(bytes(block, 4)))
    }
}

impl Dot32<22> for Q5_0 {
    const ZERO: i32 = 16;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 22]) -> [int8x16_t; 2] {
        signed(five_bits(bytes(block, 2), bytes(block, 6)))
    }
}

impl Dot32<24> for Q5_1 {
    const HAS_OFFSET: bool = true;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 24]) -> [int8x16_t; 2] {
        signed(five_bits(bytes(block, 4), bytes(block, 8)))
    }
}

impl Dot32<34> for Q8_0 {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 34]) -> [int8x16_t; 2] {
        signed([load(bytes(block, 2)), load(bytes(block, 18))])
    }
}

/// The low 4 bits of each byte, then the high ones.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn nibbles(qs: &[u8; 16]) -> [uint8x16_t; 2] {
    let qs = load(qs);
    [low_nibbles(qs), vshrq_n_u8::<4>(qs)]
}

/// The low 4 bits of each quant from `qs`, the fifth from the bits of `qh`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn five_bits(qh: &[u8; 4], qs: &[u8; 16]) -> [uint8x16_t; 2] {
    // Each byte gets the byte of `qh` that holds its bit, and then all ones if the bit is set.
    let bits = vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(*qh)));
    let place = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let spread = |first: u8| vcombine_u8(vdup_n_u8(first), vdup_n_u8(first + 1));
    let set = |first| vtstq_u8(vqtbl1q_u8(bits, spread(first)), place);
    let [low, high] = nibbles(qs);
    let fifth = vdupq_n_u8(16);
    [vbslq_u8(fifth, set(0), low), vbslq_u8(fifth, set(2), high)]
}

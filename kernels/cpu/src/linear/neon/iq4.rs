//! Quants that index 16 levels: IQ4_NL, IQ4_XS. One `tbl` looks 16 of them up.

use std::arch::aarch64::*;

use silhak_quant::blocks::IQ4_LEVELS;

use super::legacy::nibbles;
use super::matvec::{Dot32, Dot256};
use super::vectors::{bytes, load_acts};

pub(super) struct Iq4Nl;
pub(super) struct Iq4Xs;

impl Dot32<18> for Iq4Nl {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 18]) -> [int8x16_t; 2] {
        levels(bytes(block, 2))
    }
}

impl Dot256<136> for Iq4Xs {
    const SCALE_AT: usize = 0;
    const SCALE_LEN: usize = 32;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn quants(block: &[u8; 136], part: usize) -> [int8x16_t; 2] {
        levels(bytes(block, 8 + 16 * part))
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn scales(block: &[u8; 136]) -> int8x16_t {
        xs_scales(bytes(block, 2), bytes(block, 4))
    }
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn levels(qs: &[u8; 16]) -> [int8x16_t; 2] {
    let table = load_acts(&IQ4_LEVELS, 0);
    let [low, high] = nibbles(qs);
    [vqtbl1q_s8(table, low), vqtbl1q_s8(table, high)]
}

/// The eight 6-bit scales, less 32: their low 4 and high 2 bits are spread to a byte each.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn xs_scales(high: &[u8; 2], low: &[u8; 4]) -> int8x16_t {
    let low = vreinterpret_u8_u32(vdup_n_u32(u32::from_le_bytes(*low)));
    let low = vand_u8(vzip1_u8(low, vshr_n_u8::<4>(low)), vdup_n_u8(15));
    let high = u64::from(u16::from_le_bytes(*high));
    let high = (high | (high << 24)) & 0x0000_00ff_0000_00ff;
    let high = (high | (high << 12)) & 0x000f_000f_000f_000f;
    let high = (high | (high << 6)) & 0x0303_0303_0303_0303;
    let scales = vorr_u8(low, vcreate_u8(high << 4));
    let scales = vsub_s8(vreinterpret_s8_u8(scales), vdup_n_s8(32));
    vcombine_s8(scales, vdup_n_s8(0))
}

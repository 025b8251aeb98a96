//! Formats with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use std::array;

use half::f16;

use super::Encode;
use super::affine::{Line, Lines, fit_line};
use super::fit::{INT4_TARGETS, INT5_TARGETS, Integers, fit_scale, quants, to_f16};
use crate::blocks::{BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0};

const INT4: Integers<-8, 7> = Integers { targets: INT4_TARGETS };
const INT5: Integers<-16, 15> = Integers { targets: INT5_TARGETS };

impl Encode<32> for BlockQ4_0 {
    fn encode(x: &[f32; 32], w: &[f32; 32]) -> BlockQ4_0 {
        let d = fit_scale(x, w, INT4, half_precision);
        let q = quants(x, d, INT4).map(|q| (q + 8.0) as u8);
        BlockQ4_0 { d: f16::from_f32(d), qs: pack_nibbles(&q) }
    }
}

impl Encode<32> for BlockQ4_1 {
    fn encode(x: &[f32; 32], w: &[f32; 32]) -> BlockQ4_1 {
        let line = fit_line(x, w, 15.0, HalfPrecision);
        let q = line.quants(x, 15.0).map(|q| q as u8);
        BlockQ4_1 { d: f16::from_f32(line.scale), m: f16::from_f32(line.offset), qs: pack_nibbles(&q) }
    }
}

impl Encode<32> for BlockQ5_0 {
    fn encode(x: &[f32; 32], w: &[f32; 32]) -> BlockQ5_0 {
        let d = fit_scale(x, w, INT5, half_precision);
        let q = quants(x, d, INT5).map(|q| (q + 16.0) as u8);
        BlockQ5_0 { d: f16::from_f32(d), qh: pack_fifth_bits(&q), qs: pack_nibbles(&q) }
    }
}

impl Encode<32> for BlockQ5_1 {
    fn encode(x: &[f32; 32], w: &[f32; 32]) -> BlockQ5_1 {
        let line = fit_line(x, w, 31.0, HalfPrecision);
        let q = line.quants(x, 31.0).map(|q| q as u8);
        BlockQ5_1 {
            d: f16::from_f32(line.scale),
            m: f16::from_f32(line.offset),
            qh: pack_fifth_bits(&q),
            qs: pack_nibbles(&q),
        }
    }
}

impl Encode<32> for BlockQ8_0 {
    /// With 255 levels a search gains nothing that matters: the scale just reaches the greatest value. Values are divided by
    /// it as it was before it became a half float, so that blocks are, bit for bit, those of ggml.
    fn encode(x: &[f32; 32], _: &[f32; 32]) -> BlockQ8_0 {
        let amax = x.iter().fold(0.0, |amax: f32, x| amax.max(x.abs()));
        let d = amax / 127.0;
        // Of values too small to have an inverse of their scale, nothing is left in half precision either.
        let inverse = if (1.0 / d).is_finite() { 1.0 / d } else { 0.0 };
        BlockQ8_0 { d: f16::from_f32(d), qs: x.map(|x| (x * inverse).round() as i8) }
    }
}

/// Both numbers of a line are half floats.
#[derive(Clone, Copy)]
struct HalfPrecision;

impl Lines for HalfPrecision {
    fn admit(self, offset: f32) -> f32 {
        offset
    }

    fn round(self, line: Line) -> Line {
        Line { scale: half_precision(line.scale), offset: f16::from_f32(line.offset).to_f32() }
    }
}

/// The value that a half float has after storing `scale` in it.
pub(super) fn half_precision(scale: f32) -> f32 {
    to_f16(scale).to_f32()
}

/// The low 4 bits of quants `i` and `i + 16` in byte `i`.
pub(super) fn pack_nibbles(q: &[u8; 32]) -> [u8; 16] {
    array::from_fn(|i| (q[i] & 15) | ((q[i + 16] & 15) << 4))
}

/// Bit 4 of quant `i` as bit `i` of a little-endian `u32`.
fn pack_fifth_bits(q: &[u8; 32]) -> [u8; 4] {
    q.iter().enumerate().fold(0, |bits, (i, &q)| bits | (u32::from(q >> 4) & 1) << i).to_le_bytes()
}

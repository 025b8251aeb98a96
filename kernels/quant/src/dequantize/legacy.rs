//! Formats with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use super::Decode;
use crate::blocks::{BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0};

impl Decode for BlockQ4_0 {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        write_pairs(out, |i| nibbles(self.qs[i]).map(|q| d * f32::from(q as i8 - 8)));
    }
}

impl Decode for BlockQ4_1 {
    fn decode(&self, out: &mut [f32]) {
        let (d, m) = (self.d.to_f32(), self.m.to_f32());
        write_pairs(out, |i| nibbles(self.qs[i]).map(|q| d * f32::from(q) + m));
    }
}

impl Decode for BlockQ5_0 {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        write_pairs(out, |i| with_fifth_bits(self.qs[i], self.qh, i).map(|q| d * f32::from(q as i8 - 16)));
    }
}

impl Decode for BlockQ5_1 {
    fn decode(&self, out: &mut [f32]) {
        let (d, m) = (self.d.to_f32(), self.m.to_f32());
        write_pairs(out, |i| with_fifth_bits(self.qs[i], self.qh, i).map(|q| d * f32::from(q) + m));
    }
}

impl Decode for BlockQ8_0 {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        for (out, &q) in out.iter_mut().zip(&self.qs) {
            *out = f32::from(q) * d;
        }
    }
}

/// Fills both halves of a block: `pair(i)` gives the values `i` and `i + out.len() / 2`.
pub(super) fn write_pairs(out: &mut [f32], pair: impl Fn(usize) -> [f32; 2]) {
    let (low, high) = out.split_at_mut(out.len() / 2);
    for (i, (low, high)) in low.iter_mut().zip(high).enumerate() {
        [*low, *high] = pair(i);
    }
}

/// The low and the high 4 bits.
pub(super) fn nibbles(byte: u8) -> [u8; 2] {
    [byte & 15, byte >> 4]
}

/// The 5-bit quants `i` and `i + 16` of a block.
fn with_fifth_bits(byte: u8, qh: [u8; 4], i: usize) -> [u8; 2] {
    let qh = u32::from_le_bytes(qh) >> i;
    let [low, high] = nibbles(byte);
    [low | ((qh & 1) << 4) as u8, high | (((qh >> 16) & 1) << 4) as u8]
}

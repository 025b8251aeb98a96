//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use silhak_quant::blocks::{BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0};

use super::{Integers, Unsigned};

impl Integers for BlockQ4_0 {
    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        for (i, &q) in self.qs.iter().enumerate() {
            out[i] = i16::from(q & 15) - 8;
            out[i + 16] = i16::from(q >> 4) - 8;
        }
    }
}

impl Integers for BlockQ4_1 {
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn offset(&self) -> f32 {
        self.m.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        for (i, &q) in self.qs.iter().enumerate() {
            out[i] = i16::from(q & 15);
            out[i + 16] = i16::from(q >> 4);
        }
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        out[..2].fill(1);
    }
}

impl Integers for BlockQ5_0 {
    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        five_bits(&self.qs, self.qh, -16, out);
    }
}

impl Integers for BlockQ5_1 {
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn offset(&self) -> f32 {
        self.m.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        five_bits(&self.qs, self.qh, 0, out);
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        out[..2].fill(1);
    }
}

impl Integers for BlockQ8_0 {
    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        for (out, &q) in out.iter_mut().zip(&self.qs) {
            *out = i16::from(q);
        }
    }
}

impl Unsigned for BlockQ4_0 {
    const BITS: u32 = 4;
    const ZERO: i16 = 8;

    #[inline(always)]
    fn unsigned(&self, out: &mut [u8; 256]) {
        four_bit_bytes(&self.qs, out);
    }
}

impl Unsigned for BlockQ4_1 {
    const BITS: u32 = 4;

    #[inline(always)]
    fn unsigned(&self, out: &mut [u8; 256]) {
        four_bit_bytes(&self.qs, out);
    }
}

impl Unsigned for BlockQ5_0 {
    const BITS: u32 = 5;
    const ZERO: i16 = 16;

    #[inline(always)]
    fn unsigned(&self, out: &mut [u8; 256]) {
        five_bit_bytes(&self.qs, self.qh, out);
    }
}

impl Unsigned for BlockQ5_1 {
    const BITS: u32 = 5;

    #[inline(always)]
    fn unsigned(&self, out: &mut [u8; 256]) {
        five_bit_bytes(&self.qs, self.qh, out);
    }
}

#[inline(always)]
fn four_bit_bytes(qs: &[u8; 16], out: &mut [u8; 256]) {
    for (i, &q) in qs.iter().enumerate() {
        out[i] = q & 15;
        out[i + 16] = q >> 4;
    }
}

#[inline(always)]
fn five_bit_bytes(qs: &[u8; 16], qh: [u8; 4], out: &mut [u8; 256]) {
    four_bit_bytes(qs, out);
    for (i, out) in out[..32].iter_mut().enumerate() {
        *out |= ((qh[i / 8] >> (i % 8)) & 1) << 4;
    }
}

/// The quants of Q5_0 and Q5_1, plus `zero`.
#[inline(always)]
fn five_bits(qs: &[u8; 16], qh: [u8; 4], zero: i16, out: &mut [i16; 256]) {
    let qh = u32::from_le_bytes(qh);
    for (i, &q) in qs.iter().enumerate() {
        out[i] = (i16::from(q & 15) | (((qh >> i) & 1) << 4) as i16) + zero;
        out[i + 16] = (i16::from(q >> 4) | (((qh >> (i + 16)) & 1) << 4) as i16) + zero;
    }
}

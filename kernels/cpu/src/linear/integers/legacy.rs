//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use silhak_quant::blocks::{BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0};

use super::Integers;

impl Integers for BlockQ4_0 {
    const BITS: u32 = 4;
    const ZERO: i16 = 8;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        four_bits(&self.qs, out);
    }
}

impl Integers for BlockQ4_1 {
    const BITS: u32 = 4;
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
    fn bytes(&self, out: &mut [u8; 256]) {
        four_bits(&self.qs, out);
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        out[..2].fill(1);
    }
}

impl Integers for BlockQ5_0 {
    const BITS: u32 = 5;
    const ZERO: i16 = 16;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        five_bits(&self.qs, self.qh, out);
    }
}

impl Integers for BlockQ5_1 {
    const BITS: u32 = 5;
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
    fn bytes(&self, out: &mut [u8; 256]) {
        five_bits(&self.qs, self.qh, out);
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        out[..2].fill(1);
    }
}

impl Integers for BlockQ8_0 {
    const BITS: u32 = 8;
    const ZERO: i16 = 128;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        for (out, &q) in out.iter_mut().zip(&self.qs) {
            *out = q.cast_unsigned() ^ 128;
        }
    }
}

#[inline(always)]
fn four_bits(qs: &[u8; 16], out: &mut [u8; 256]) {
    for (i, &q) in qs.iter().enumerate() {
        out[i] = q & 15;
        out[i + 16] = q >> 4;
    }
}

#[inline(always)]
fn five_bits(qs: &[u8; 16], qh: [u8; 4], out: &mut [u8; 256]) {
    four_bits(qs, out);
    for (i, out) in out[..32].iter_mut().enumerate() {
        *out |= ((qh[i / 8] >> (i % 8)) & 1) << 4;
    }
}

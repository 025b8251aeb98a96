//! Blocks of 256 with two levels of scales: Q2_K to Q6_K.

use silhak_quant::blocks::{BlockQ2K, BlockQ3K, BlockQ4K, BlockQ5K, BlockQ6K};

use super::Integers;

impl Integers for BlockQ2K {
    const BITS: u32 = 2;
    const SCALE_LEN: Option<usize> = Some(16);
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn offset(&self) -> f32 {
        -self.dmin.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        two_bits(&self.qs, out);
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        *out = self.scales.map(|s| i16::from(s & 15));
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        *out = self.scales.map(|s| i16::from(s >> 4));
    }
}

impl Integers for BlockQ3K {
    const BITS: u32 = 3;
    const ZERO: i16 = 4;
    const SCALE_LEN: Option<usize> = Some(16);

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        two_bits(&self.qs, out);
        for (s, out) in out.chunks_exact_mut(32).enumerate() {
            for (out, &high) in out.iter_mut().zip(&self.hmask) {
                *out |= ((high >> s) & 1) << 2;
            }
        }
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = i16::from(BlockQ3K::scale(self, j));
        }
    }
}

impl Integers for BlockQ4K {
    const BITS: u32 = 4;
    const SCALE_LEN: Option<usize> = Some(32);
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn offset(&self) -> f32 {
        -self.dmin.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        four_bits(&self.qs, out);
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        for (j, out) in out[..8].iter_mut().enumerate() {
            *out = i16::from(self.scale_min(j).0);
        }
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = i16::from(self.scale_min(j / 2).1);
        }
    }
}

impl Integers for BlockQ5K {
    const BITS: u32 = 5;
    const SCALE_LEN: Option<usize> = Some(32);
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn offset(&self) -> f32 {
        -self.dmin.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        four_bits(&self.qs, out);
        for (s, out) in out.chunks_exact_mut(32).enumerate() {
            for (out, &high) in out.iter_mut().zip(&self.qh) {
                *out |= ((high >> s) & 1) << 4;
            }
        }
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        for (j, out) in out[..8].iter_mut().enumerate() {
            *out = i16::from(self.scale_min(j).0);
        }
    }

    #[inline(always)]
    fn minima(&self, out: &mut [i16; 16]) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = i16::from(self.scale_min(j / 2).1);
        }
    }
}

impl Integers for BlockQ6K {
    const BITS: u32 = 6;
    const ZERO: i16 = 32;
    const SCALE_LEN: Option<usize> = Some(16);

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        for (s, out) in out.chunks_exact_mut(32).enumerate() {
            let (half, s4) = (s / 4, s % 4);
            let low = &self.ql[64 * half + 32 * (s4 % 2)..][..32];
            let high = &self.qh[32 * half..][..32];
            for (out, (&low, &high)) in out.iter_mut().zip(low.iter().zip(high)) {
                *out = ((low >> (4 * (s4 / 2))) & 15) | (((high >> (2 * s4)) & 3) << 4);
            }
        }
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        *out = self.scales.map(i16::from);
    }
}

/// The low 2 bits of Q2_K and Q3_K.
#[inline(always)]
fn two_bits(qs: &[u8; 64], out: &mut [u8; 256]) {
    for (s, out) in out.chunks_exact_mut(32).enumerate() {
        for (out, &q) in out.iter_mut().zip(&qs[32 * (s / 4)..][..32]) {
            *out = (q >> (2 * (s % 4))) & 3;
        }
    }
}

/// The low 4 bits of Q4_K and Q5_K.
#[inline(always)]
fn four_bits(qs: &[u8; 128], out: &mut [u8; 256]) {
    for (out, qs) in out.chunks_exact_mut(64).zip(qs.chunks_exact(32)) {
        for (l, &q) in qs.iter().enumerate() {
            out[l] = q & 15;
            out[l + 32] = q >> 4;
        }
    }
}

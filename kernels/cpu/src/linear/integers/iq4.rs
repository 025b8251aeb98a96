//! Quants that index 16 levels: IQ4_NL, IQ4_XS.

use silhak_quant::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

use super::Integers;

impl Integers for BlockIq4Nl {
    const BITS: u32 = 8;
    const ZERO: i16 = 128;

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        levels(&self.qs, &mut out[..32]);
    }
}

impl Integers for BlockIq4Xs {
    const BITS: u32 = 8;
    const ZERO: i16 = 128;
    const SCALE_LEN: Option<usize> = Some(32);

    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn bytes(&self, out: &mut [u8; 256]) {
        for (qs, out) in self.qs.chunks_exact(16).zip(out.chunks_exact_mut(32)) {
            levels(qs, out);
        }
    }

    #[inline(always)]
    fn scales(&self, out: &mut [i16; 16]) {
        for (j, out) in out[..8].iter_mut().enumerate() {
            *out = i16::from(self.scale(j));
        }
    }
}

/// The levels of 32 quants, plus 128.
#[inline(always)]
fn levels(qs: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(16);
    for ((&q, low), high) in qs.iter().zip(low).zip(high) {
        *low = IQ4_LEVELS[usize::from(q & 15)].cast_unsigned() ^ 128;
        *high = IQ4_LEVELS[usize::from(q >> 4)].cast_unsigned() ^ 128;
    }
}

//! Quants that index 16 levels: IQ4_NL, IQ4_XS.

use silhak_quant::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

use super::Integers;

impl Integers for BlockIq4Nl {
    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        for (i, &q) in self.qs.iter().enumerate() {
            out[i] = level(q & 15);
            out[i + 16] = level(q >> 4);
        }
    }
}

impl Integers for BlockIq4Xs {
    #[inline(always)]
    fn scale(&self) -> f32 {
        self.d.to_f32()
    }

    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        for (j, out) in out.chunks_exact_mut(32).enumerate() {
            let scale = i16::from(self.scale(j));
            for (i, &q) in self.qs[16 * j..16 * j + 16].iter().enumerate() {
                out[i] = scale * level(q & 15);
                out[i + 16] = scale * level(q >> 4);
            }
        }
    }
}

#[inline(always)]
fn level(q: u8) -> i16 {
    i16::from(IQ4_LEVELS[usize::from(q & 15)])
}

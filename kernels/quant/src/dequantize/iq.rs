//! Formats whose quants index the uneven [`IQ4_LEVELS`]: IQ4_NL, IQ4_XS.

use super::Decode;
use super::legacy::{nibbles, write_pairs};
use crate::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

impl Decode for BlockIq4Nl {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        write_pairs(out, |i| nibbles(self.qs[i]).map(|q| d * level(q)));
    }
}

impl Decode for BlockIq4Xs {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        for (j, out) in out.chunks_exact_mut(32).enumerate() {
            let dl = d * f32::from(self.scale(j));
            write_pairs(out, |i| nibbles(self.qs[16 * j + i]).map(|q| dl * level(q)));
        }
    }
}

fn level(q: u8) -> f32 {
    f32::from(IQ4_LEVELS[usize::from(q)])
}

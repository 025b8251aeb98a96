//! Formats whose quants index the uneven [`IQ4_LEVELS`]: IQ4_NL, IQ4_XS.

use half::f16;

use super::Encode;
use super::fit::{Iq4, fit_scale, quants};
use super::legacy::{half_precision, pack_nibbles};
use super::two_level::fit_scales;
use crate::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

impl Encode<32> for BlockIq4Nl {
    fn encode(x: &[f32; 32], w: &[f32; 32]) -> BlockIq4Nl {
        let d = fit_scale(x, w, Iq4, half_precision);
        BlockIq4Nl { d: f16::from_f32(d), qs: pack_nibbles(&indices(x, d)) }
    }
}

impl Encode<256> for BlockIq4Xs {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockIq4Xs {
        let (x, w) = (x.as_chunks::<32>().0, w.as_chunks::<32>().0);
        let fit = fit_scales::<32, 8>(x, w, Iq4, -32, 31);
        let mut block = BlockIq4Xs { d: fit.d, scales_h: 0, scales_l: [0; 4], qs: [0; 128] };
        let qs = block.qs.as_chunks_mut::<16>().0;
        for (j, (x, qs)) in x.iter().zip(qs).enumerate() {
            let scale = (fit.scales[j] + 32) as u16;
            block.scales_l[j / 2] |= ((scale & 15) << (4 * (j % 2))) as u8;
            block.scales_h |= (scale >> 4) << (2 * j);
            *qs = pack_nibbles(&indices(x, fit.scale(j)));
        }
        block
    }
}

/// The indices of the levels nearest to `x / scale`.
fn indices(x: &[f32; 32], scale: f32) -> [u8; 32] {
    quants(x, scale, Iq4).map(|q| IQ4_LEVELS.iter().take_while(|&&level| f32::from(level) < q).count() as u8)
}

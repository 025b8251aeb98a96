//! Formats with blocks of 256 and two levels of scales: Q2_K to Q6_K.

use super::Encode;
use super::fit::{INT3_TARGETS, INT6_TARGETS, Integers, quants};
use super::two_level::{ScalesMins, fit_scales, fit_scales_mins};
use crate::blocks::{BlockQ2K, BlockQ3K, BlockQ4K, BlockQ5K, BlockQ6K};

const INT3: Integers<-4, 3> = Integers { targets: INT3_TARGETS };
const INT6: Integers<-32, 31> = Integers { targets: INT6_TARGETS };

impl Encode<256> for BlockQ2K {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockQ2K {
        let (x, w) = (x.as_chunks::<16>().0, w.as_chunks::<16>().0);
        let fit = fit_scales_mins::<16, 16>(x, w, 3.0, 15);
        let mut block = BlockQ2K { scales: [0; 16], qs: [0; 64], d: fit.d, dmin: fit.dmin };
        for (j, x) in x.iter().enumerate() {
            block.scales[j] = fit.scales[j] | (fit.mins[j] << 4);
            for (l, q) in fit.line(j).quants(x, 3.0).into_iter().enumerate() {
                put_two_bits(&mut block.qs, 16 * j + l, q as u8);
            }
        }
        block
    }
}

impl Encode<256> for BlockQ3K {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockQ3K {
        let (x, w) = (x.as_chunks::<16>().0, w.as_chunks::<16>().0);
        let fit = fit_scales::<16, 16>(x, w, INT3, -32, 31);
        let mut block = BlockQ3K { hmask: [0; 32], qs: [0; 64], scales: [0; 12], d: fit.d };
        for (j, x) in x.iter().enumerate() {
            let scale = (fit.scales[j] + 32) as u8;
            block.scales[j % 8] |= (scale & 15) << (4 * (j / 8));
            block.scales[8 + j % 4] |= (scale >> 4) << (2 * (j / 4));
            for (l, q) in quants(x, fit.scale(j), INT3).into_iter().enumerate() {
                let (i, q) = (16 * j + l, (q + 4.0) as u8);
                put_two_bits(&mut block.qs, i, q & 3);
                block.hmask[i % 32] |= (q >> 2) << (i / 32);
            }
        }
        block
    }
}

impl Encode<256> for BlockQ4K {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockQ4K {
        let (x, w) = (x.as_chunks::<32>().0, w.as_chunks::<32>().0);
        let fit = fit_scales_mins::<32, 8>(x, w, 15.0, 63);
        let mut block = BlockQ4K { d: fit.d, dmin: fit.dmin, scales: pack_scales_mins(&fit), qs: [0; 128] };
        for (j, x) in x.iter().enumerate() {
            for (l, q) in fit.line(j).quants(x, 15.0).into_iter().enumerate() {
                block.qs[32 * (j / 2) + l] |= (q as u8) << (4 * (j % 2));
            }
        }
        block
    }
}

impl Encode<256> for BlockQ5K {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockQ5K {
        let (x, w) = (x.as_chunks::<32>().0, w.as_chunks::<32>().0);
        let fit = fit_scales_mins::<32, 8>(x, w, 31.0, 63);
        let mut block =
            BlockQ5K { d: fit.d, dmin: fit.dmin, scales: pack_scales_mins(&fit), qh: [0; 32], qs: [0; 128] };
        for (j, x) in x.iter().enumerate() {
            for (l, q) in fit.line(j).quants(x, 31.0).into_iter().enumerate() {
                block.qs[32 * (j / 2) + l] |= (q as u8 & 15) << (4 * (j % 2));
                block.qh[l] |= (q as u8 >> 4) << j;
            }
        }
        block
    }
}

impl Encode<256> for BlockQ6K {
    fn encode(x: &[f32; 256], w: &[f32; 256]) -> BlockQ6K {
        let (x, w) = (x.as_chunks::<16>().0, w.as_chunks::<16>().0);
        let fit = fit_scales::<16, 16>(x, w, INT6, -128, 127);
        let mut block = BlockQ6K { ql: [0; 128], qh: [0; 64], scales: fit.scales.map(|s| s as i8), d: fit.d };
        for (j, x) in x.iter().enumerate() {
            for (l, q) in quants(x, fit.scale(j), INT6).into_iter().enumerate() {
                let (i, q) = (16 * j + l, (q + 32.0) as u8);
                block.ql[64 * (i / 128) + i % 64] |= (q & 15) << (4 * (i % 128 / 64));
                put_two_bits(&mut block.qh, i, q >> 4);
            }
        }
        block
    }
}

/// Sets the 2-bit field of value `i < 256`: four runs of 32 values share 32 bytes, twice.
fn put_two_bits(bytes: &mut [u8; 64], i: usize, bits: u8) {
    bytes[32 * (i / 128) + i % 32] |= bits << (2 * (i % 128 / 32));
}

/// Packs eight 6-bit scales and minima as `BlockQ4K::scale_min` reads them.
fn pack_scales_mins(fit: &ScalesMins<8>) -> [u8; 12] {
    let mut packed = [0; 12];
    for j in 0..4 {
        let (scale, min) = (fit.scales[j + 4], fit.mins[j + 4]);
        packed[j] = fit.scales[j] | ((scale >> 4) << 6);
        packed[j + 4] = fit.mins[j] | ((min >> 4) << 6);
        packed[j + 8] = (scale & 15) | ((min & 15) << 4);
    }
    packed
}

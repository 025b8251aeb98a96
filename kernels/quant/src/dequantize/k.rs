//! Formats with blocks of 256 and two levels of scales: Q2_K to Q6_K.

use super::Decode;
use super::legacy::{nibbles, write_pairs};
use crate::blocks::{BlockQ2K, BlockQ3K, BlockQ4K, BlockQ5K, BlockQ6K};

impl Decode for BlockQ2K {
    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (self.d.to_f32(), self.dmin.to_f32());
        for (j, out) in out.chunks_exact_mut(16).enumerate() {
            let [scale, min] = nibbles(self.scales[j]);
            let (dl, ml) = (d * f32::from(scale), dmin * f32::from(min));
            for (l, out) in out.iter_mut().enumerate() {
                *out = dl * f32::from(two_bits(&self.qs, 16 * j + l)) - ml;
            }
        }
    }
}

impl Decode for BlockQ3K {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        for (j, out) in out.chunks_exact_mut(16).enumerate() {
            let dl = d * f32::from(self.scale(j));
            for (l, out) in out.iter_mut().enumerate() {
                let i = 16 * j + l;
                let high = (self.hmask[i % 32] >> (i / 32)) & 1;
                *out = dl * f32::from((two_bits(&self.qs, i) | (high << 2)) as i8 - 4);
            }
        }
    }
}

impl Decode for BlockQ4K {
    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (self.d.to_f32(), self.dmin.to_f32());
        for (c, out) in out.chunks_exact_mut(64).enumerate() {
            let grids = [2 * c, 2 * c + 1].map(|j| Grid::new(d, dmin, self.scale_min(j)));
            write_pairs(out, |l| {
                let [low, high] = nibbles(self.qs[32 * c + l]);
                [grids[0].at(low), grids[1].at(high)]
            });
        }
    }
}

impl Decode for BlockQ5K {
    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (self.d.to_f32(), self.dmin.to_f32());
        for (c, out) in out.chunks_exact_mut(64).enumerate() {
            let grids = [2 * c, 2 * c + 1].map(|j| Grid::new(d, dmin, self.scale_min(j)));
            write_pairs(out, |l| {
                let [low, high] = nibbles(self.qs[32 * c + l]);
                let qh = self.qh[l] >> (2 * c);
                [grids[0].at(low | ((qh & 1) << 4)), grids[1].at(high | ((qh & 2) << 3))]
            });
        }
    }
}

impl Decode for BlockQ6K {
    fn decode(&self, out: &mut [f32]) {
        let d = self.d.to_f32();
        for (j, out) in out.chunks_exact_mut(16).enumerate() {
            let dl = d * f32::from(self.scales[j]);
            for (l, out) in out.iter_mut().enumerate() {
                let i = 16 * j + l;
                let low = nibbles(self.ql[64 * (i / 128) + i % 64])[i % 128 / 64];
                *out = dl * f32::from((low | (two_bits(&self.qh, i) << 4)) as i8 - 32);
            }
        }
    }
}

/// The values that one sub-block can take: `scale * q - min`.
struct Grid {
    scale: f32,
    min: f32,
}

impl Grid {
    fn new(d: f32, dmin: f32, (scale, min): (u8, u8)) -> Grid {
        Grid { scale: d * f32::from(scale), min: dmin * f32::from(min) }
    }

    fn at(&self, q: u8) -> f32 {
        self.scale * f32::from(q) - self.min
    }
}

/// The 2-bit field of value `i < 256`: four runs of 32 values share 32 bytes, twice.
fn two_bits(bytes: &[u8; 64], i: usize) -> u8 {
    (bytes[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32))) & 3
}

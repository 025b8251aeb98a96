//! Seeded random numbers for the cases.

use bytes::Bytes;
use silhak_quant::{Format, quantize};

/// SplitMix64 (Steele et al. 2014): small, and good enough for test data.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers depend on nothing but `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Uniform in `0..1`.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Normal with mean 0 and variance 1 (twelve uniforms: the tails end at 6).
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    /// `n` normal values, a few of them thirty times as large, as activations have them.
    pub fn activations(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal() * if self.below(200) == 0 { 30.0 } else { 1.0 }).collect()
    }

    /// `rows * cols` normal values with standard deviation `1 / sqrt(cols)`, in `format`.
    ///
    /// # Panics
    /// If `cols` is not a whole number of blocks.
    pub fn weights(&mut self, format: Format, rows: usize, cols: usize) -> Bytes {
        let scale = 1.0 / (cols as f32).sqrt();
        let values: Vec<f32> = (0..rows * cols).map(|_| self.normal() * scale).collect();
        let row_bytes = format.row_bytes(cols).expect("cases use whole blocks");
        let mut bytes = vec![0; rows * row_bytes];
        quantize(format, &values, &mut bytes).expect("normal values are finite");
        Bytes::from(bytes)
    }
}

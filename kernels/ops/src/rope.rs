//! Rotary position embedding: which values pair up, and how fast each pair turns.

use crate::WeightId;

/// Which two values of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// `(x[2i], x[2i+1])`: llama's files, whose Q and K rows were permuted for it.
    Adjacent,
    /// `(x[i], x[i + n_rot/2])`: "NEOX", all others.
    Halves,
}

/// How frequencies are changed to reach contexts longer than those trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// How many times longer the context gets.
        factor: f32,
    },
    /// YaRN (Peng et al. 2023): slow pairs are divided by `factor`, fast ones left alone, with a ramp in between.
    Yarn {
        /// How many times longer the context gets.
        factor: f32,
        /// Context length trained on.
        original_ctx: usize,
        /// Pairs that turn more often than this over the trained context are left alone (32 in the paper).
        beta_fast: f32,
        /// Pairs that turn less often than this are divided by `factor` (1 in the paper).
        beta_slow: f32,
        /// Multiplies the rotated values on top of the paper's `1 + 0.1 ln(factor)`; 1 unless a file says otherwise.
        attention_factor: f32,
    },
}

/// A rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Values of each head that turn; the rest pass unchanged. Even.
    pub n_rot: usize,
    /// Which values pair up.
    pub pairing: Pairing,
    /// `theta`: pair `i` turns by `position * base^(-2i / n_rot)`.
    pub base: f32,
    /// Changes for long contexts.
    pub scaling: RopeScaling,
    /// `[n_rot / 2]`, divides the frequencies (`rope_freqs.weight`, llama 3's scaling).
    pub factors: Option<WeightId>,
}

/// The angles of a [`Rope`], worked out once.
#[derive(Clone, Debug)]
pub struct RopeTable {
    /// Radians per position of each pair: `[n_rot / 2]`.
    pub frequencies: Vec<f32>,
    /// Multiplies cosine and sine.
    pub magnitude: f32,
}

impl RopeTable {
    /// Works out the frequencies; `factors` are the values of [`Rope::factors`] where it has them.
    pub fn new(rope: &Rope, factors: Option<&[f32]>) -> Self {
        let frequency = |i: usize| {
            let plain = f64::from(rope.base).powf(-((2 * i) as f64) / rope.n_rot as f64);
            plain / factors.and_then(|f| f.get(i)).map_or(1.0, |&f| f64::from(f))
        };
        let plain = (0..rope.n_rot / 2).map(frequency);
        match rope.scaling {
            RopeScaling::None => RopeTable { frequencies: plain.map(|f| f as f32).collect(), magnitude: 1.0 },
            RopeScaling::Linear { factor } => {
                let frequencies = plain.map(|f| (f / f64::from(factor)) as f32).collect();
                RopeTable { frequencies, magnitude: 1.0 }
            }
            RopeScaling::Yarn { factor, original_ctx, beta_fast, beta_slow, attention_factor } => {
                let low = yarn_pair(rope, original_ctx, beta_fast).floor().max(0.0);
                let high = yarn_pair(rope, original_ctx, beta_slow).ceil().min((rope.n_rot - 1) as f64);
                let stretch = |(i, f): (usize, f64)| {
                    let ramp = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                    (f * (1.0 - ramp) + f / f64::from(factor) * ramp) as f32
                };
                RopeTable {
                    frequencies: plain.enumerate().map(stretch).collect(),
                    magnitude: attention_factor * (1.0 + 0.1 * factor.ln()),
                }
            }
        }
    }

    /// Cosine and sine of each pair at `position`, times the magnitude: `[n_rot / 2]`.
    ///
    /// The angle is rounded to float32, as in the implementations that the models were trained with.
    pub fn at(&self, position: u32) -> impl Iterator<Item = (f32, f32)> + '_ {
        self.frequencies.iter().map(move |f| {
            let (sin, cos) = f64::from(position as f32 * f).sin_cos();
            (cos as f32 * self.magnitude, sin as f32 * self.magnitude)
        })
    }
}

/// The pair that turns `turns` times over the trained context, as a real number.
fn yarn_pair(rope: &Rope, original_ctx: usize, turns: f32) -> f64 {
    let ratio = original_ctx as f64 / (f64::from(turns) * 2.0 * std::f64::consts::PI);
    rope.n_rot as f64 * ratio.ln() / (2.0 * f64::from(rope.base).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { n_rot: 128, pairing: Pairing::Halves, base: 1e6, scaling, factors: None }
    }

    /// Values of `transformers` 5.23 for Qwen2 with YaRN 4 from 32768 (`_compute_yarn_parameters`).
    #[test]
    fn yarn_keeps_fast_pairs_and_divides_slow_ones() {
        let plain = RopeTable::new(&rope(RopeScaling::None), None);
        let yarn = RopeScaling::Yarn {
            factor: 4.0,
            original_ctx: 32768,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: 1.0,
        };
        let yarn = RopeTable::new(&rope(yarn), None);
        assert!((yarn.magnitude - 1.138_629_4).abs() < 1e-6);
        assert_eq!(yarn.frequencies[..24], plain.frequencies[..24]);
        for i in 40..64 {
            assert!((yarn.frequencies[i] * 4.0 / plain.frequencies[i] - 1.0).abs() < 1e-6, "pair {i}");
        }
        assert!(yarn.frequencies[30] < plain.frequencies[30] && yarn.frequencies[30] > plain.frequencies[30] / 4.0);
    }

    #[test]
    fn factors_divide() {
        let factors: Vec<f32> = (0..64).map(|i| 1.0 + i as f32).collect();
        let plain = RopeTable::new(&rope(RopeScaling::None), None);
        let divided = RopeTable::new(&rope(RopeScaling::None), Some(&factors));
        for ((divided, factor), plain) in divided.frequencies.iter().zip(&factors).zip(&plain.frequencies) {
            assert!((divided * factor / plain - 1.0).abs() < 1e-6);
        }
    }
}

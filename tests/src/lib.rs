//! Helpers shared by the cross-crate tests.

pub mod fixtures;
pub mod gpu;
pub mod log;
pub mod models;
pub mod tiny;

use std::num::NonZero;

use silhak_cpu::{Caps, Cpu, CpuOptions, Isa, Repack};

/// How far a result is from the one that is expected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distance {
    /// Largest difference, relative to the largest expected value.
    pub max: f64,
    /// Sum of squared differences, relative to the sum of the expected squares.
    pub nmse: f64,
}

impl Distance {
    /// Compares `found` with `expected`. A value that is not finite in one and differs in the other is infinitely far.
    pub fn between(found: &[f32], expected: &[f32]) -> Self {
        let (mut most, mut top, mut squares, mut expected_squares) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        if found.len() != expected.len() {
            return Distance { max: f64::INFINITY, nmse: f64::INFINITY };
        }
        for (&a, &b) in found.iter().zip(expected) {
            let (a, b) = (f64::from(a), f64::from(b));
            let difference = if a == b { 0.0 } else { (a - b).abs() };
            // A NaN difference must not vanish in `max`.
            most = if difference.is_nan() { f64::INFINITY } else { most.max(difference) };
            top = top.max(b.abs());
            squares += difference * difference;
            expected_squares += b * b;
        }
        let relative = |part: f64, whole: f64| if part == 0.0 { 0.0 } else { part / whole };
        Distance { max: relative(most, top), nmse: relative(squares, expected_squares) }
    }
}

/// The CPU backend with each instruction set that this machine has, and `threads` threads. It repacks weights, which gives
/// the bits of those in place.
pub fn cpus(threads: usize) -> Vec<Cpu> {
    let threads = NonZero::new(threads);
    let caps = Isa::ALL.iter().filter_map(|&isa| Caps::with_isa(isa));
    let repack = Some(Repack::default());
    caps.map(|caps| Cpu::new(CpuOptions { threads, caps: Some(caps), repack: repack.clone() })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_see_what_is_wrong() {
        assert_eq!(Distance::between(&[1.0, -2.0], &[1.0, -2.0]).max, 0.0);
        assert_eq!(Distance::between(&[1.0, -1.0], &[1.0, -2.0]).max, 0.5);
        assert_eq!(Distance::between(&[f32::NAN, 0.0], &[1.0, 0.0]).max, f64::INFINITY);
        assert_eq!(Distance::between(&[1.0], &[1.0, 2.0]).max, f64::INFINITY);
    }
}

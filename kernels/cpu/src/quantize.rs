//! Activations to 8 bits, with the same bits from every instruction set.
//!
//! The rule is that of [`silhak_quant::activations`]; only the layout differs: quants, scales and sums stand in arrays
//! of their own, so that kernels load them with whole vectors.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

use silhak_quant::activations::{BlockA8, quantize_a8};

use crate::Caps;

/// Quantizes rows of activations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantizer {
    run: Run,
}

/// Calling it is sound where the processor has its instructions.
type Run = unsafe fn(x: &[f32], out: Quants<'_>);

/// Values that share a scale.
pub(crate) const BLOCK_LEN: usize = 32;

/// Quants that one sum covers: weights with two scales for 32 values need the sums of both halves.
pub(crate) const SUM_LEN: usize = 16;

/// Where quantized activations go; for `n` values, `n` quants, `n / BLOCK_LEN` scales and `n / SUM_LEN` sums.
#[derive(Debug)]
pub(crate) struct Quants<'a> {
    pub(crate) qs: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i16],
}

impl Quantizer {
    /// The fastest that `caps` allows.
    pub(crate) fn new(caps: &Caps) -> Quantizer {
        #[cfg(target_arch = "x86_64")]
        if caps.avx2().is_some() {
            return Quantizer { run: avx2::quantize };
        }
        #[cfg(target_arch = "aarch64")]
        if caps.dotprod().is_some() {
            return Quantizer { run: neon::quantize };
        }
        let _ = caps;
        Quantizer { run: generic }
    }

    /// Quantizes whole blocks.
    ///
    /// # Panics
    /// If a length in `out` does not fit `x`, which is a fault of the caller.
    pub(crate) fn run(&self, x: &[f32], out: Quants<'_>) {
        assert!(x.len().is_multiple_of(BLOCK_LEN), "{} values in blocks of {BLOCK_LEN}", x.len());
        assert_eq!(out.qs.len(), x.len());
        assert_eq!(out.scales.len(), x.len() / BLOCK_LEN);
        assert_eq!(out.sums.len(), x.len() / SUM_LEN);
        // SAFETY: `new` looked for the proof that the processor has the instructions.
        unsafe { (self.run)(x, out) }
    }
}

fn generic(x: &[f32], out: Quants<'_>) {
    let blocks = out.qs.chunks_exact_mut(BLOCK_LEN).zip(out.scales).zip(out.sums.chunks_exact_mut(2));
    for (x, ((qs, scale), sums)) in x.chunks_exact(BLOCK_LEN).zip(blocks) {
        let mut block = [BlockA8 { d: 0.0, sum: 0, qs: [0; 32] }];
        // The lengths are those of one block, the only thing that is checked.
        if quantize_a8(x, &mut block).is_ok() {
            let [block] = block;
            qs.copy_from_slice(&block.qs);
            *scale = block.d;
            for (sum, qs) in sums.iter_mut().zip(block.qs.chunks_exact(SUM_LEN)) {
                *sum = qs.iter().map(|&q| i16::from(q)).sum();
            }
        }
    }
}

/// The scale, and what to multiply values with; nothing if all quants are zero.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
fn scale_and_factor(largest: f32) -> (f32, Option<f32>) {
    if !largest.is_finite() {
        return (f32::NAN, None);
    }
    let factor = 127.0 / largest;
    if factor.is_finite() { (largest / 127.0, Some(factor)) } else { (0.0, None) }
}

#[cfg(test)]
mod tests {
    use silhak_ops::cases::Random;

    use super::*;

    /// Bits of quants, scales and sums, on poisoned memory. All NaN are one.
    fn run(quantizer: Quantizer, x: &[f32]) -> (Vec<i8>, Vec<u32>, Vec<i16>) {
        let mut qs = vec![99; x.len()];
        let mut scales = vec![99.0; x.len() / BLOCK_LEN];
        let mut sums = vec![99; x.len() / SUM_LEN];
        quantizer.run(x, Quants { qs: &mut qs, scales: &mut scales, sums: &mut sums });
        let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
        (qs, scales.into_iter().map(bits).collect(), sums)
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut random = Random::new(1);
        let special = [0.0, -0.0, 1e-45, -1e-40, 3.7e-37, 3.9e-37, 1.5, -127.0, f32::MAX, f32::MIN];
        let broken = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::from_bits(0xffc0_0001)];
        for case in 0..400 {
            let n_blocks = 1 + case % 3;
            let scale = (random.normal() * 20.0).exp2();
            let mut x: Vec<f32> = (0..256 * n_blocks).map(|_| random.normal() * scale).collect();
            if case % 5 == 1 {
                x.iter_mut().for_each(|x| *x = special[random.below(special.len())]);
            }
            if case % 5 == 2 {
                // Ties: multiples of a half with a largest magnitude of 127.
                x.iter_mut().for_each(|x| *x = (random.below(509) as f32 - 254.0) / 2.0);
                x.chunks_mut(32).for_each(|x| x[7] = -127.0);
            }
            if case % 5 == 3 {
                let at = random.below(x.len());
                x[at] = broken[random.below(broken.len())];
            }
            let detected = run(Quantizer::new(&Caps::detect()), &x);
            assert_eq!(detected, run(Quantizer { run: generic }, &x), "case {case}");
        }
    }
}

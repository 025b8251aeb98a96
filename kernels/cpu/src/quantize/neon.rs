//! Activations to 8 bits with NEON.
#![allow(
    clippy::needless_range_loop,
    reason = "functions of the standard library lack the instruction set: adapters with closures are not always inlined"
)]

use std::arch::aarch64::*;

use super::{Quants, scale_and_factor};

/// Quantizes whole blocks; the caller has checked the lengths.
#[target_feature(enable = "neon")]
pub(super) fn quantize(x: &[f32], out: Quants<'_>) {
    let (x, _) = x.as_chunks::<32>();
    let (qs, _) = out.qs.as_chunks_mut::<32>();
    let (sums, _) = out.sums.as_chunks_mut::<2>();
    for b in 0..out.scales.len() {
        let (scale, factor) = scale_and_factor(largest_magnitude(&x[b]));
        out.scales[b] = scale;
        (sums[b], qs[b]) = match factor {
            Some(factor) => round(&x[b], factor),
            None => ([0; 2], [0; 32]),
        };
    }
}

/// The largest magnitude. The bits of magnitudes order like these, with infinity and then NaN on top.
#[inline]
#[target_feature(enable = "neon")]
fn largest_magnitude(x: &[f32; 32]) -> f32 {
    let mut largest = vdupq_n_u32(0);
    for i in 0..8 {
        largest = vmaxq_u32(largest, vreinterpretq_u32_f32(vabsq_f32(load(x, 4 * i))));
    }
    f32::from_bits(vmaxvq_u32(largest))
}

/// The sums of the two halves, and `x * factor`, rounded to the nearest, ties to even.
#[inline]
#[target_feature(enable = "neon")]
fn round(x: &[f32; 32], factor: f32) -> ([i16; 2], [i8; 32]) {
    let (mut qs, mut sums) = ([0i8; 32], [0; 2]);
    for half in 0..2 {
        let four = |i: usize| vcvtnq_s32_f32(vmulq_n_f32(load(x, 16 * half + 4 * i), factor));
        let low = vcombine_s16(vmovn_s32(four(0)), vmovn_s32(four(1)));
        let high = vcombine_s16(vmovn_s32(four(2)), vmovn_s32(four(3)));
        let packed = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
        // SAFETY: the slice has 16 bytes.
        unsafe { vst1q_s8(qs[16 * half..][..16].as_mut_ptr(), packed) }
        sums[half] = vaddlvq_s8(packed);
    }
    (sums, qs)
}

/// The values `i .. i + 4`.
#[inline]
#[target_feature(enable = "neon")]
fn load(x: &[f32; 32], i: usize) -> float32x4_t {
    let x = &x[i..][..4];
    // SAFETY: the slice has four values.
    unsafe { vld1q_f32(x.as_ptr()) }
}

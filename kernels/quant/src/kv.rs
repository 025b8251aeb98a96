//! Keys and values in 8 bits: the layout of [`BlockQ8_0`], by a rule that is fast enough to run as they are written.
//!
//! Quants are those of [`crate::activations`], and the scale is its scale, rounded to half precision. So a block with an
//! infinite value or a NaN in it is NaN all over, and so is one with a value beyond 8.3 million, which half precision alone
//! would not hold either.

use half::f16;

use crate::activations::quantize_block;
use crate::blocks::BlockQ8_0;

/// 32 values to a block.
pub fn quantize_kv(x: &[f32; 32]) -> BlockQ8_0 {
    let (d, qs) = quantize_block(x);
    BlockQ8_0 { d: f16::from_f32(d), qs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(x: &[f32; 32]) -> [f32; 32] {
        let BlockQ8_0 { d, qs } = quantize_kv(x);
        qs.map(|q| d.to_f32() * f32::from(q))
    }

    #[test]
    fn values_come_back_within_half_a_step() {
        let x: [f32; 32] = std::array::from_fn(|i| (i as f32 * 0.7).sin() * 3.0);
        let largest = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        // Half precision moves the ends of the scale a little further.
        let most = largest / 127.0 * 0.5 + largest / 2048.0;
        assert!(x.iter().zip(back(&x)).all(|(x, y)| (x - y).abs() <= most));
        assert_eq!(back(&[0.0; 32]), [0.0; 32]);
    }

    #[test]
    fn what_is_no_number_shows() {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e7] {
            let mut x = [1.0; 32];
            x[9] = broken;
            assert!(back(&x)[9].is_nan() || back(&x)[9].is_infinite(), "{broken}");
        }
    }
}

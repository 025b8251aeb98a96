//! The 8-bit activation blocks.

use bytemuck::Zeroable;
use silhak_quant::Error;
use silhak_quant::activations::{BlockA8, BlockA8K, dequantize_a8, dequantize_a8k, quantize_a8, quantize_a8k};

use crate::data::gaussian;

fn a8(x: &[f32; 32]) -> BlockA8 {
    let mut out = [BlockA8::zeroed()];
    quantize_a8(x, &mut out).unwrap();
    out[0]
}

#[test]
fn quants_round_ties_to_even_and_reach_127() {
    let mut x = [0.0; 32];
    x[..8].copy_from_slice(&[127.0, -127.0, 0.5, 1.5, -0.5, -2.5, 3.49, 126.5]);
    let block = a8(&x);
    assert_eq!(block.d, 1.0);
    assert_eq!(block.qs[..8], [127, -127, 0, 2, 0, -2, 3, 126]);
    assert_eq!(block.sum, 129);
}

#[test]
fn both_widths_agree_on_one_scale_and_carry_their_sums() {
    let mut x = gaussian(1024);
    for block in x.chunks_exact_mut(32) {
        // The same greatest magnitude in each 32 gives the same scale for 32 and for 256.
        block[5] = -7.25;
    }
    let (mut narrow, mut wide) = ([BlockA8::zeroed(); 32], [BlockA8K::zeroed(); 4]);
    quantize_a8(&x, &mut narrow).unwrap();
    quantize_a8k(&x, &mut wide).unwrap();
    let (mut from_narrow, mut from_wide) = (vec![0.0; 1024], vec![0.0; 1024]);
    dequantize_a8(&narrow, &mut from_narrow).unwrap();
    dequantize_a8k(&wide, &mut from_wide).unwrap();
    assert_eq!(from_narrow, from_wide);
    for (x, y) in x.iter().zip(&from_narrow) {
        assert!((x - y).abs() <= 0.5001 * 7.25 / 127.0, "{x} became {y}");
    }
    for block in &narrow {
        assert_eq!(block.sum, block.qs.iter().map(|&q| i32::from(q)).sum::<i32>());
    }
    for block in &wide {
        for (j, &sum) in block.sums.iter().enumerate() {
            assert_eq!(i32::from(sum), block.qs[16 * j..16 * j + 16].iter().map(|&q| i32::from(q)).sum::<i32>());
        }
    }
}

#[test]
fn what_is_not_finite_makes_the_scale_nan() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = [1.0; 256];
        x[200] = bad;
        let mut wide = [BlockA8K::zeroed()];
        quantize_a8k(&x, &mut wide).unwrap();
        assert!(wide[0].d.is_nan() && wide[0].qs == [0; 256] && wide[0].sums == [0; 16]);
        let mut narrow = [BlockA8::zeroed(); 8];
        quantize_a8(&x, &mut narrow).unwrap();
        for (j, block) in narrow.iter().enumerate() {
            assert_eq!(block.d.is_nan(), j == 200 / 32);
        }
    }
}

#[test]
fn zeros_and_magnitudes_without_an_inverse_become_zero() {
    for x in [0.0, -0.0, 1e-45, 3.7e-37] {
        assert_eq!(a8(&[x; 32]), BlockA8::zeroed());
    }
    let least = a8(&[3.8e-37; 32]);
    assert!(least.d > 0.0 && least.qs == [127; 32]);
    let greatest = a8(&[f32::MAX; 32]);
    assert!(greatest.d.is_finite() && greatest.qs == [127; 32]);
}

#[test]
fn lengths_must_agree() {
    assert_eq!(
        quantize_a8(&[0.0; 33], &mut [BlockA8::zeroed()]),
        Err(Error::ActivationLength { n_values: 33, n_blocks: 1, block_len: 32 })
    );
    assert!(quantize_a8k(&[0.0; 256], &mut []).is_err());
    assert!(dequantize_a8(&[BlockA8::zeroed()], &mut [0.0; 31]).is_err());
    assert!(dequantize_a8k(&[BlockA8K::zeroed()], &mut [0.0; 255]).is_err());
}

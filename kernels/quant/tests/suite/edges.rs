//! Values and arguments at the edges of what the quantizers take.

use silhak_quant::{Error, Format, dequantize, quantize, quantize_weighted};

use crate::data::{gaussian, random_bits, rmse};

const BLOCK_FORMATS: &[Format] = Format::ALL.split_at(3).1;

fn round_trip(format: Format, values: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
    quantize(format, values, &mut bytes).unwrap();
    let mut decoded = vec![f32::NAN; values.len()];
    dequantize(format, &bytes, &mut decoded).unwrap();
    decoded
}

#[test]
fn zeros_stay_zeros() {
    for &format in Format::ALL {
        assert!(round_trip(format, &[0.0; 512]).iter().all(|&x| x == 0.0), "{format}");
    }
}

#[test]
fn constants_are_kept_to_half_precision() {
    for &format in BLOCK_FORMATS {
        for c in [1.0, -1.0, 0.1, -0.3, -1000.0, 65504.0, -65504.0] {
            let decoded = round_trip(format, &[c; 256]);
            // 2^-11 for each of the two roundings at most: the scale of the scales, and a minimum.
            assert!(decoded.iter().all(|&x| ((x - c) / c).abs() < 1.0 / 1024.0), "{format}: {c} became {}", decoded[0]);
        }
    }
}

#[test]
fn one_large_value_among_zeros_survives() {
    for &format in BLOCK_FORMATS {
        for c in [1.0, -1.0, 65504.0, -65504.0, 0.01] {
            let mut values = [0.0; 256];
            values[77] = c;
            let decoded = round_trip(format, &values);
            assert!(((decoded[77] - c) / c).abs() < 0.01, "{format}: {c} became {}", decoded[77]);
            assert!(decoded.iter().enumerate().all(|(i, &x)| i == 77 || x.abs() < 0.01 * c.abs()), "{format}: {c}");
        }
    }
}

/// Nothing is made worse than by writing zeros, down to values that no half float holds.
#[test]
fn tiny_values_never_grow() {
    for &format in BLOCK_FORMATS {
        for exponent in -149..0 {
            let scale = 2f64.powi(exponent);
            let values: Vec<f32> = gaussian(512).iter().map(|&x| (f64::from(x) * scale) as f32).collect();
            let decoded = round_trip(format, &values);
            for (x, y) in values.chunks(format.block_len()).zip(decoded.chunks(format.block_len())) {
                let (error, zeros) = (counted_error(x, y), counted_error(x, &[0.0; 256]));
                assert!(error <= zeros * 1.000_001, "{format} at 2^{exponent}: {error:e} > {zeros:e}");
            }
            if exponent >= -14 {
                let (error, zeros) = (rmse(&values, &decoded), rmse(&values, &[0.0; 512]));
                assert!(error < 0.35 * zeros, "{format} at 2^{exponent}: {error:e} of {zeros:e}");
            }
        }
    }
}

/// Any bits that are a value of permitted size, from denormals to 65504 in one block.
#[test]
fn wild_values_decode_to_finite_ones_and_no_worse_than_zeros() {
    let values: Vec<f32> =
        (0..).map(|i| f32::from_bits(random_bits(i) as u32)).filter(|x| x.abs() <= 65504.0).take(1 << 15).collect();
    let importance: Vec<f32> = (0..256).map(|c| f32::from_bits(random_bits(c) as u32 >> 2)).collect();
    for &format in BLOCK_FORMATS {
        let block_len = format.block_len();
        let decoded = round_trip(format, &values);
        for (x, y) in values.chunks(block_len).zip(decoded.chunks(block_len)) {
            let (error, zeros) = (counted_error(x, y), counted_error(x, &[0.0; 256]));
            assert!(error <= zeros * 1.000_001, "{format}: {error:e} > {zeros:e}");
        }
        let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
        quantize_weighted(format, &values, 256, &importance, &mut bytes).unwrap();
        let mut decoded = vec![f32::NAN; values.len()];
        dequantize(format, &bytes, &mut decoded).unwrap();
        assert!(decoded.iter().all(|x| x.is_finite()), "{format}");
    }
}

#[test]
fn values_that_no_block_holds_are_refused_and_nothing_is_written() {
    for &format in BLOCK_FORMATS {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65505.0, -1e30] {
            let mut values = gaussian(512);
            values[300] = bad;
            let mut bytes = vec![0xa5; format.row_bytes(512).unwrap()];
            match quantize(format, &values, &mut bytes) {
                Err(Error::Unrepresentable { format: f, index: 300, .. }) => assert_eq!(f, format),
                other => panic!("{format}, {bad}: {other:?}"),
            }
            assert!(bytes.iter().all(|&b| b == 0xa5));
        }
    }
}

#[test]
fn floats_keep_what_is_not_finite() {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -0.0];
    let f16 = round_trip(Format::F16, &values);
    assert!(f16[0].is_nan() && f16[1..4] == [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]);
    let bf16 = round_trip(Format::Bf16, &values);
    assert!(bf16[0].is_nan() && bf16[1..3] == values[1..3] && ((bf16[3] - 1e38) / 1e38).abs() < 0.004);
    for decoded in [f16, bf16, round_trip(Format::F32, &values)] {
        assert_eq!(decoded[4].to_bits(), (-0f32).to_bits());
    }
}

#[test]
fn encoding_a_decoded_tensor_again_hardly_changes_it() {
    for &format in BLOCK_FORMATS {
        let once = round_trip(format, &gaussian(1 << 14));
        let twice = round_trip(format, &once);
        let (first, second) = (rmse(&gaussian(1 << 14), &once), rmse(&once, &twice));
        assert!(second < 0.25 * first, "{format}: {second} after {first}");
    }
}

#[test]
fn importance_moves_error_away_from_important_columns() {
    let values = gaussian(1 << 14);
    let row_len = 512;
    let importance: Vec<f32> = (0..row_len).map(|c| if c % 8 == 0 { 100.0 } else { 1.0 }).collect();
    let important = |x: &[f32]| x.iter().copied().step_by(8).collect::<Vec<_>>();
    for &format in BLOCK_FORMATS.iter().filter(|&&f| f != Format::Q8_0) {
        let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
        quantize_weighted(format, &values, row_len, &importance, &mut bytes).unwrap();
        let mut weighted = vec![0.0; values.len()];
        dequantize(format, &bytes, &mut weighted).unwrap();
        let even = round_trip(format, &values);
        let [weighted, even] = [weighted, even].map(|x| rmse(&important(&values), &important(&x)));
        assert!(weighted < 0.95 * even, "{format}: {weighted} against {even}");
    }
}

/// Columns that no calibration text touched are still encoded.
#[test]
fn columns_of_no_importance_are_not_erased() {
    let values = gaussian(1 << 13);
    let importance: Vec<f32> = (0..256).map(|c| if c < 32 { 0.0 } else { 1.0 }).collect();
    for &format in BLOCK_FORMATS {
        let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
        quantize_weighted(format, &values, 256, &importance, &mut bytes).unwrap();
        let mut decoded = vec![0.0; values.len()];
        dequantize(format, &bytes, &mut decoded).unwrap();
        for (x, y) in values.chunks(256).zip(decoded.chunks(256)) {
            assert!(rmse(&x[..32], &y[..32]) < 0.6, "{format}: {}", rmse(&x[..32], &y[..32]));
        }
    }
}

#[test]
fn only_ratios_of_importance_count() {
    let values = gaussian(1024);
    for &format in Format::ALL {
        let mut plain = vec![0; format.row_bytes(1024).unwrap()];
        quantize(format, &values, &mut plain).unwrap();
        for importance in [1.0, 0.0, 1e-40, 1e38] {
            let mut weighted = vec![0; plain.len()];
            quantize_weighted(format, &values, 256, &[importance; 256], &mut weighted).unwrap();
            assert!(plain == weighted, "{format}, importance {importance}");
        }
    }
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let values = [0.0; 512];
    let mut out = [0; 288];
    let q4_k =
        |row_len, importance: &[f32], out: &mut [u8]| quantize_weighted(Format::Q4K, &values, row_len, importance, out);
    assert!(matches!(q4_k(256, &[1.0; 512], &mut out), Err(Error::ImportanceLength { .. })));
    assert!(matches!(q4_k(300, &[1.0; 300], &mut out), Err(Error::ImportanceLength { .. })));
    assert!(matches!(q4_k(0, &[], &mut out), Err(Error::ImportanceLength { .. })));
    assert!(matches!(q4_k(128, &[1.0; 128], &mut out), Err(Error::PartialBlock { n_values: 128, .. })));
    assert!(matches!(q4_k(256, &[1.0; 256], &mut out[1..]), Err(Error::ByteLength { expected: 288, .. })));
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let mut importance = [1.0; 256];
        importance[9] = bad;
        assert!(matches!(q4_k(256, &importance, &mut out), Err(Error::Importance { index: 9, .. })));
    }
    assert_eq!(q4_k(512, &[1.0; 512], &mut out), Ok(()));
    assert_eq!(quantize_weighted(Format::Q4K, &[], 256, &[1.0; 256], &mut []), Ok(()));
}

/// The squared error of the block `x` as `quantize` counts it.
fn counted_error(x: &[f32], decoded: &[f32]) -> f64 {
    let square = |x: &f32| f64::from(*x).powi(2);
    let mean = x.iter().map(square).sum::<f64>() / x.len() as f64;
    x.iter().zip(decoded).map(|(x, y)| (mean + square(x)).sqrt() * (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

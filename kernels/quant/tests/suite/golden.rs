//! Comparison with data that gguf-py and libgguf made; see `../python/make_fixtures.py`.

use std::path::{Path, PathBuf};

use silhak_quant::{Format, dequantize, quantize};

use crate::data::{gaussian, rmse};

#[test]
fn dequantization_is_bit_exact() {
    for &format in Format::ALL.iter().filter(|&&f| f != Format::F32) {
        let data = std::fs::read(golden(&format!("{}.bin", format.name().to_lowercase()))).unwrap();
        let n_blocks = data.len() / (format.block_bytes() + 4 * format.block_len());
        assert!(n_blocks > 8, "{format}: {n_blocks} blocks");
        let (blocks, expected) = data.split_at(n_blocks * format.block_bytes());
        let mut values = vec![0.0; n_blocks * format.block_len()];
        dequantize(format, blocks, &mut values).unwrap();
        assert_eq!(4 * values.len(), expected.len());
        for (i, (value, expected)) in values.iter().zip(expected.as_chunks().0).enumerate() {
            let expected = f32::from_le_bytes(*expected);
            let same = value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
            assert!(same, "{format} value {i}: {value:e}, gguf-py has {expected:e}");
        }
    }
}

/// The error of our quantizers on gaussian values is no greater than that of ggml's.
#[test]
fn quantization_error_is_no_worse_than_ggml() {
    let table = std::fs::read_to_string(golden("libgguf_rmse.txt")).unwrap();
    let values = gaussian(1 << 16);
    let mut decoded = vec![0.0; values.len()];
    for line in table.lines() {
        let (name, ggml) = line.split_once(' ').unwrap();
        let (format, ggml): (Format, f64) = (name.parse().unwrap(), ggml.parse().unwrap());
        let mut bytes = vec![0; format.row_bytes(values.len()).unwrap()];
        quantize(format, &values, &mut bytes).unwrap();
        dequantize(format, &bytes, &mut decoded).unwrap();
        let ours = rmse(&values, &decoded);
        println!("{name:7} rmse {ours:.6}, ggml {ggml:.6}, ratio {:.4}", ours / ggml);
        // The golden numbers have nine decimals.
        assert!(ours <= ggml + 1e-9, "{name}: rmse {ours}, ggml {ggml}");
    }
    assert_eq!(table.lines().count(), Format::ALL.len() - 1, "every format but F32 is in the table");
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

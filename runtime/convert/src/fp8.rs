//! Weights in 8-bit floating point (E4M3), and the scales that stand beside them.

use std::ops::Range;

use crate::Error;
use crate::config::Config;

/// The values of a block share a scale; so do those of a row, or all, where blocks are that large.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scales {
    /// Block by block, row by row.
    values: Vec<f32>,
    /// Rows and columns of a block.
    block: [usize; 2],
    blocks_per_row: usize,
}

impl Scales {
    /// The scales of a matrix of this `shape`: one for all, one per row, or one per block of the size in the configuration.
    /// `None` if there are not as many as that, or there is nothing to scale.
    pub(crate) fn new(values: Vec<f32>, scales: &[usize], shape: &[usize], block: [usize; 2]) -> Option<Scales> {
        let &[rows, cols] = shape else { return None };
        if rows == 0 || cols == 0 {
            return None;
        }
        let [height, width] = match *scales {
            [] | [1] | [1, 1] => [rows, cols],
            [n] | [n, 1] if n == rows => [1, cols],
            [n, m] if [n, m] == [rows.div_ceil(block[0]), cols.div_ceil(block[1])] => block,
            _ => return None,
        };
        let blocks_per_row = cols.div_ceil(width);
        (values.len() == rows.div_ceil(height) * blocks_per_row).then_some(Scales {
            values,
            block: [height, width],
            blocks_per_row,
        })
    }

    /// Multiplies the values of these rows, each `cols` long.
    pub(crate) fn apply(&self, rows: Range<usize>, cols: usize, values: &mut [f32]) {
        for (row, values) in rows.zip(values.chunks_exact_mut(cols)) {
            let scales = &self.values[row / self.block[0] * self.blocks_per_row..][..self.blocks_per_row];
            for (values, scale) in values.chunks_mut(self.block[1]).zip(scales) {
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
    }
}

/// What makers take who do not say.
const BLOCK: [usize; 2] = [128, 128];

/// Rows and columns of values that share a scale, where neither all nor those of a row do.
pub(crate) fn block_size(config: &Config) -> Result<[usize; 2], Error> {
    let Some(quantization) = config.inside("quantization_config") else {
        return Ok(BLOCK);
    };
    let Some(block) = quantization.get("weight_block_size") else {
        return Ok(BLOCK);
    };
    let sizes: Option<Vec<usize>> = block.as_array().and_then(|sizes| {
        sizes.iter().map(|size| size.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0)).collect()
    });
    let wrong = || quantization.wrong("weight_block_size", "two whole numbers, rows and columns");
    sizes.and_then(|sizes| sizes.try_into().ok()).ok_or_else(wrong)
}

/// A value: a sign, four bits of exponent, three of mantissa; no infinities, and all ones are not a number.
pub(crate) fn from_e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (u32::from(byte >> 3 & 15), u32::from(byte & 7));
    let magnitude = match (exponent, mantissa) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa as f32 / 512.0,
        _ => f32::from_bits((exponent + 127 - 7) << 23 | mantissa << 20),
    };
    if byte & 128 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_values_that_the_format_says() {
        for (byte, value) in [
            (0x00, 0.0),
            (0x01, 1.0 / 512.0),
            (0x07, 7.0 / 512.0),
            (0x08, 1.0 / 64.0),
            (0x38, 1.0),
            (0x3c, 1.5),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(from_e4m3(byte), value, "{byte:#x}");
        }
        assert!(from_e4m3(0x7f).is_nan() && from_e4m3(0xff).is_nan());
    }

    #[test]
    fn scales_are_of_all_of_a_row_or_of_a_block() {
        let scaled = |scales: &[usize], n: usize| {
            let values = (1..=n).map(|i| i as f32).collect();
            let scales = Scales::new(values, scales, &[3, 5], [2, 3])?;
            let mut ones = vec![1.0; 10];
            scales.apply(1..3, 5, &mut ones);
            Some(ones)
        };
        assert_eq!(scaled(&[], 1), Some(vec![1.0; 10]));
        assert_eq!(scaled(&[3, 1], 3).unwrap(), [2., 2., 2., 2., 2., 3., 3., 3., 3., 3.]);
        assert_eq!(scaled(&[2, 2], 4).unwrap(), [1., 1., 1., 2., 2., 3., 3., 3., 4., 4.]);
        for (scales, n) in [(&[2][..], 2), (&[2, 3], 6), (&[4, 1], 4), (&[3, 1], 2)] {
            assert_eq!(scaled(scales, n), None, "{scales:?}");
        }
        for shape in [&[0, 5][..], &[3, 0], &[3], &[3, 5, 2]] {
            assert_eq!(Scales::new(vec![1.0], &[], shape, [2, 3]), None, "{shape:?}");
        }
    }
}

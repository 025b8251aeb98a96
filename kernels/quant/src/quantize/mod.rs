//! Values to blocks.
//!
//! A format fixes what a block means, not how its scales are chosen. Here they are chosen by search:
//! several scales around the one that just reaches the greatest value are tried, each is refitted to the
//! rounded quants by least squares, and the one of least error *as it will be decoded* is kept. Errors of
//! great values count for more than those of small ones: a plain least-squares fit clips the few great
//! values of a block for the sake of the many, and answers of models suffer from that more than they gain
//! (`docs/performance.md`, "What quantizers lose", has the figures).

mod affine;
mod fit;
mod iq;
mod k;
mod legacy;
mod two_level;

use std::array;

use half::{bf16, f16};

use crate::blocks::{self, Block};
use crate::dequantize::check_lengths;
use crate::{Error, Format};

/// The greatest magnitude that a block format takes: that of a half float, which holds the scales.
pub(crate) const MAX_MAGNITUDE: f32 = 65504.0;

/// The longest block of any format.
const MAX_BLOCK_LEN: usize = 256;

/// Encodes `values` into `out`, with the least squared error that the search finds. The error of a value `x`
/// counts `sqrt(m + x²)`, where `m` is the mean square of its block.
///
/// Every block is encoded by itself, so threads may share a tensor between them at any block border.
///
/// F16 and BF16 round to nearest even, as IEEE 754 does: what is too large becomes infinite, and NaN stays
/// NaN. The block formats take finite values up to 65504; magnitudes below about `3e-8` become zero.
///
/// # Errors
/// [`Error::PartialBlock`] if `values` is not a whole number of blocks, [`Error::ByteLength`] if `out` is
/// not exactly as long as they need, [`Error::Unrepresentable`] for a value that no block can hold.
/// `out` is untouched then.
pub fn quantize(format: Format, values: &[f32], out: &mut [u8]) -> Result<(), Error> {
    let weights = [1.0; MAX_BLOCK_LEN];
    encode_tensor(format, values, out, &weights[..format.block_len()])
}

/// Encodes `values`, rows of `row_len`, into `out`, counting the squared error of column `c`
/// `importance[c]` times what [`quantize`] counts it.
///
/// The weights say how much each input of a matrix matters, such as the mean square of the activations
/// that meet it; only their ratios count. They change nothing for F32, F16, BF16 and
/// Q8_0. A weight counts for no less than a millionth of the greatest in its block; where all are zero,
/// all values count alike.
///
/// # Errors
/// Those of [`quantize`], [`Error::ImportanceLength`] if `values` is not rows of `row_len` or `importance`
/// is not `row_len` long, [`Error::Importance`] if a weight is negative, infinite or NaN.
pub fn quantize_weighted(
    format: Format,
    values: &[f32],
    row_len: usize,
    importance: &[f32],
    out: &mut [u8],
) -> Result<(), Error> {
    // Zero is a multiple of zero and of everything, so an empty tensor may have rows of any length.
    if importance.len() != row_len || !values.len().is_multiple_of(row_len) {
        return Err(Error::ImportanceLength { row_len, found: importance.len(), n_values: values.len() });
    }
    if let Some((index, &value)) = importance.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::Importance { index, value });
    }
    if !row_len.is_multiple_of(format.block_len()) {
        return Err(Error::PartialBlock { format, n_values: row_len });
    }
    let mut weights = importance.to_vec();
    for block in weights.chunks_mut(format.block_len()) {
        scale_to_one(block);
    }
    encode_tensor(format, values, out, &weights)
}

/// The least weight of a value, where the greatest in its block is one. Without it, values that never
/// mattered to whoever measured would be free to decode to anything.
const LEAST_WEIGHT: f32 = 1e-6;

/// Scales the weights of a block so that the greatest is one, for the sake of their products' range.
fn scale_to_one(weights: &mut [f32]) {
    let max = weights.iter().copied().fold(0.0, f32::max);
    for w in weights {
        *w = if max > 0.0 { (*w / max).max(LEAST_WEIGHT) } else { 1.0 };
    }
}

/// `weights` is a whole number of blocks, repeated over the tensor.
fn encode_tensor(format: Format, values: &[f32], out: &mut [u8], weights: &[f32]) -> Result<(), Error> {
    check_lengths(format, values.len(), out.len())?;
    match format {
        Format::F32 => floats(values, out, f32::to_le_bytes),
        Format::F16 => floats(values, out, |x| f16::from_f32(x).to_le_bytes()),
        Format::Bf16 => floats(values, out, |x| bf16::from_f32(x).to_le_bytes()),
        Format::Q4_0 => return each::<32, blocks::BlockQ4_0>(values, weights, out),
        Format::Q4_1 => return each::<32, blocks::BlockQ4_1>(values, weights, out),
        Format::Q5_0 => return each::<32, blocks::BlockQ5_0>(values, weights, out),
        Format::Q5_1 => return each::<32, blocks::BlockQ5_1>(values, weights, out),
        Format::Q8_0 => return each::<32, blocks::BlockQ8_0>(values, weights, out),
        Format::Q2K => return each::<256, blocks::BlockQ2K>(values, weights, out),
        Format::Q3K => return each::<256, blocks::BlockQ3K>(values, weights, out),
        Format::Q4K => return each::<256, blocks::BlockQ4K>(values, weights, out),
        Format::Q5K => return each::<256, blocks::BlockQ5K>(values, weights, out),
        Format::Q6K => return each::<256, blocks::BlockQ6K>(values, weights, out),
        Format::Iq4Nl => return each::<32, blocks::BlockIq4Nl>(values, weights, out),
        Format::Iq4Xs => return each::<256, blocks::BlockIq4Xs>(values, weights, out),
    }
    Ok(())
}

/// A block of `N` values that can be made from them.
trait Encode<const N: usize>: Block {
    /// Chooses scales and quants for `x`. The values are finite, at most [`MAX_MAGNITUDE`]; the weights `w`
    /// of their squared errors lie in `0..=1` and are not all zero.
    fn encode(x: &[f32; N], w: &[f32; N]) -> Self;
}

fn each<const N: usize, B: Encode<N>>(values: &[f32], weights: &[f32], out: &mut [u8]) -> Result<(), Error> {
    let unfit = |x: &f32| x.is_nan() || x.abs() > MAX_MAGNITUDE;
    if let Some((index, &value)) = values.iter().enumerate().find(|(_, x)| unfit(x)) {
        return Err(Error::Unrepresentable { format: B::FORMAT, index, value });
    }
    let (values, _) = values.as_chunks::<N>();
    let weights = weights.as_chunks::<N>().0.iter().cycle();
    for ((x, w), out) in values.iter().zip(weights).zip(out.chunks_exact_mut(size_of::<B>())) {
        out.copy_from_slice(bytemuck::bytes_of(&B::encode(x, &weigh(x, w))));
    }
    Ok(())
}

/// How much the squared errors of a block count, where `w` is the importance of its columns.
fn weigh<const N: usize>(x: &[f32; N], w: &[f32; N]) -> [f32; N] {
    let greatest = x.iter().fold(0.0, |greatest: f32, x| greatest.max(x.abs()));
    if greatest == 0.0 {
        return *w;
    }
    // Relative to the greatest, whose own square may be too small for a float.
    let squares = x.map(|x| (x / greatest) * (x / greatest));
    let mean = fit::sum(squares) / N as f32;
    let mut weights = array::from_fn(|i| w[i] * (mean + squares[i]).sqrt());
    scale_to_one(&mut weights);
    weights
}

fn floats<const N: usize>(values: &[f32], out: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
    for (out, &x) in out.chunks_exact_mut(N).zip(values) {
        out.copy_from_slice(&convert(x));
    }
}

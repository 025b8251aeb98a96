//! Ops on each head alone.

use std::ops::Range;

use super::linear::linear as plain_linear;
use crate::{Error, Weight};

/// `x` is `[n, n_heads, cols]`, the result `[n, n_heads, rows / n_heads]`.
pub(super) fn linear(
    x: &[f32],
    n_heads: usize,
    weight: &Weight,
    data: &[u8],
    quantize_activations: bool,
) -> Result<Vec<f32>, Error> {
    let matrix = Weight { rows: weight.rows / n_heads, ..weight.clone() };
    let bytes = matrix.bytes()?;
    let mut out = Vec::with_capacity(x.len() / weight.cols * matrix.rows);
    for (i, x) in x.chunks_exact(weight.cols).enumerate() {
        let data = &data[i % n_heads * bytes..][..bytes];
        out.extend(plain_linear(x, &matrix, data, None, quantize_activations)?);
    }
    Ok(out)
}

/// `x` has heads of `dim` values.
pub(super) fn slice(x: &[f32], dim: usize, range: Range<usize>) -> Vec<f32> {
    x.chunks_exact(dim).flat_map(|head| &head[range.clone()]).copied().collect()
}

/// `a` has heads of `dim` values, `b` of `more`.
pub(super) fn concat(a: &[f32], dim: usize, b: &[f32], more: usize) -> Vec<f32> {
    a.chunks_exact(dim).zip(b.chunks_exact(more)).flat_map(|(a, b)| a.iter().chain(b)).copied().collect()
}

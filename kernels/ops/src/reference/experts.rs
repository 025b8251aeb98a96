//! Mixtures of experts, token by token.

use super::linear::linear;
use crate::{Error, Routing, Weight};

/// `logits` are `[n, n_experts]`, the result `[n, 2 * n_used]`.
pub(super) fn route(logits: &[f32], n_experts: usize, bias: Option<&[f32]>, routing: &Routing) -> Vec<f32> {
    let n = logits.len() / n_experts;
    let mut out = vec![0.0; n * 2 * routing.n_used];
    for (logits, out) in logits.chunks_exact(n_experts).zip(out.chunks_exact_mut(2 * routing.n_used)) {
        routing.choose(logits, bias, out);
    }
    out
}

/// The experts that the tokens of a batch use.
pub(super) struct Experts<'a> {
    /// How many there are.
    pub(super) n: usize,
    /// How many a token uses.
    pub(super) n_used: usize,
    /// `[n_tokens, 2 * n_used]`.
    pub(super) chosen: &'a [f32],
}

/// `x` is `[n_tokens, cols]` or `[n_tokens, n_used, cols]`, the result `[n_tokens, n_used, rows / experts.n]`.
pub(super) fn expert_linear(
    x: &[f32],
    experts: &Experts<'_>,
    weight: &Weight,
    data: &[u8],
    quantize_activations: bool,
) -> Result<Vec<f32>, Error> {
    let matrix = Weight { rows: weight.rows / experts.n, ..weight.clone() };
    let bytes = matrix.bytes()?;
    let (n_tokens, cols) = (experts.chosen.len() / (2 * experts.n_used), weight.cols);
    let is_shared = x.len() == n_tokens * cols;
    let mut out = Vec::with_capacity(n_tokens * experts.n_used * matrix.rows);
    for (token, chosen) in experts.chosen.chunks_exact(2 * experts.n_used).enumerate() {
        for (slot, &expert) in chosen[..experts.n_used].iter().enumerate() {
            let row = if is_shared { token } else { token * experts.n_used + slot };
            let data = &data[expert as usize * bytes..][..bytes];
            out.extend(linear(&x[row * cols..][..cols], &matrix, data, None, quantize_activations)?);
        }
    }
    Ok(out)
}

/// `x` is `[n_tokens, n_used, width]`, the result `[n_tokens, width]`.
pub(super) fn expert_sum(x: &[f32], chosen: &[f32], n_used: usize) -> Vec<f32> {
    let n_tokens = chosen.len() / (2 * n_used);
    let width = x.len() / (n_tokens * n_used).max(1);
    let mut out = vec![0.0; n_tokens * width];
    for ((out, x), chosen) in
        out.chunks_exact_mut(width).zip(x.chunks_exact(n_used * width)).zip(chosen.chunks_exact(2 * n_used))
    {
        for (x, weight) in x.chunks_exact(width).zip(&chosen[n_used..]) {
            out.iter_mut().zip(x).for_each(|(out, x)| *out += weight * x);
        }
    }
    out
}

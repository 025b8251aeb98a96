//! Kernels in plain Rust, for any processor: integers where the weights are quantized, else float32.
//!
//! Each weight block is unpacked once for several tokens. The order of the float operations is that of every other
//! instruction set, so that a text does not depend on the processor.

use std::ops::Range;

use half::{bf16, f16};

use super::activations::Activations;
use super::integers::{Integers, block_sums};
use super::output::Output;
use crate::simd::{Generic, LANES, Simd, fused};

/// Tokens that share an unpacked block.
const TOKENS: usize = 8;

/// Rows of integer blocks times 8-bit activations.
pub(super) fn integers<B: Integers>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    for (r, row) in rows.chunks_exact(cols / B::LEN * size_of::<B>()).enumerate() {
        for first in tokens.clone().step_by(TOKENS) {
            let n = TOKENS.min(tokens.end - first);
            let mut sums = [0.0; TOKENS];
            for (b, bytes) in row.chunks_exact(size_of::<B>()).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(bytes);
                let parts = block.parts();
                for (i, sum) in sums[..n].iter_mut().enumerate() {
                    let a = acts.row(first + i);
                    for p in 0..B::LEN / 32 {
                        let at = b * (B::LEN / 32) + p;
                        let (quants, minima) = (&parts.quants[32 * p..][..32], &parts.minima[2 * p..][..2]);
                        let (dot, min) = block_sums(quants, minima, &a.qs[32 * at..][..32], &a.sums[2 * at..][..2]);
                        *sum = fused(dot as f32, parts.scales[p] * a.scales[at], *sum);
                        if B::HAS_OFFSET {
                            *sum = fused(parts.offsets[p], min as f32 * a.scales[at], *sum);
                        }
                    }
                }
            }
            for (i, &sum) in sums[..n].iter().enumerate() {
                out.token(first - tokens.start + i)[r] = sum;
            }
        }
    }
}

/// Rows of floats times float32 activations.
pub(super) fn floats<F: Float>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    for (r, row) in rows.chunks_exact(cols * size_of::<F>()).enumerate() {
        for (i, t) in tokens.clone().enumerate() {
            let x = acts.values(t);
            let mut lanes = [0.0; LANES];
            let (vectors, tail) = x.as_chunks::<LANES>();
            for (row, x) in row.chunks_exact(LANES * size_of::<F>()).zip(vectors) {
                for (l, lane) in lanes.iter_mut().enumerate() {
                    *lane = fused(F::read(row, l), x[l], *lane);
                }
            }
            let at = cols - tail.len();
            let tail = tail.iter().enumerate();
            out.token(i)[r] = tail.fold(Generic.sum(lanes), |sum, (l, &x)| fused(F::read(row, at + l), x, sum));
        }
    }
}

/// A float format of weights.
pub(super) trait Float: Sized {
    /// Value `i` of a row, `i * size_of::<Self>()` bytes from its start.
    fn read(row: &[u8], i: usize) -> f32;
}

impl Float for f32 {
    fn read(row: &[u8], i: usize) -> f32 {
        bytemuck::pod_read_unaligned(&row[4 * i..4 * i + 4])
    }
}

impl Float for f16 {
    fn read(row: &[u8], i: usize) -> f32 {
        f16::from_le_bytes([row[2 * i], row[2 * i + 1]]).to_f32()
    }
}

impl Float for bf16 {
    fn read(row: &[u8], i: usize) -> f32 {
        bf16::from_le_bytes([row[2 * i], row[2 * i + 1]]).to_f32()
    }
}

//! 8-bit activations: the right-hand side of the integer dot products.
//!
//! A block of values `x` becomes `d * qs`, and carries the sums of its quants, which weights with an
//! offset or a minimum need (`y = d_w d_a (sum(u a) - z sum(a)) - m_w d_a sum(a)`).
//!
//! Every implementation, scalar or SIMD, must give the same bits. In float32, with round to nearest even
//! and no fused operations:
//!
//! ```text
//! amax = max |x[i]|                     a NaN anywhere counts as NaN
//! amax infinite or NaN                  d = NaN, qs = 0, sums = 0
//! otherwise   d  = amax / 127
//!             id = 127 / amax
//! id infinite (amax up to 3.7e-37)      d = 0, qs = 0, sums = 0
//!             qs[i] = round_ties_even(x[i] * id)      in -127..=127
//! ```
//!
//! The NaN is [`f32::NAN`]. It makes every dot product with the block NaN, so that a fault upstream shows itself at once.

use bytemuck::{Pod, Zeroable};

use crate::Error;
use crate::round::round;

/// 32 activations, for weights with blocks of 32.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct BlockA8 {
    /// Scale: `x[i]` is about `d * qs[i]`.
    pub d: f32,
    /// Sum of `qs`.
    pub sum: i32,
    /// Quants in `-127..=127`.
    pub qs: [i8; 32],
}

/// 256 activations, for weights with blocks of 256.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct BlockA8K {
    /// Scale: `x[i]` is about `d * qs[i]`.
    pub d: f32,
    /// Quants in `-127..=127`.
    pub qs: [i8; 256],
    /// Sum of each 16 quants.
    pub sums: [i16; 16],
}

impl BlockA8 {
    /// Values per block.
    pub const LEN: usize = 32;
}

impl BlockA8K {
    /// Values per block.
    pub const LEN: usize = 256;
}

/// Quantizes `x` into blocks of 32, as the module's rule says.
///
/// # Errors
/// [`Error::ActivationLength`] if `x.len()` is not `32 * out.len()`.
pub fn quantize_a8(x: &[f32], out: &mut [BlockA8]) -> Result<(), Error> {
    check_length(x.len(), out.len(), 32)?;
    for (x, out) in x.as_chunks::<32>().0.iter().zip(out) {
        let (d, qs) = quantize_block(x);
        *out = BlockA8 { d, sum: qs.iter().map(|&q| i32::from(q)).sum(), qs };
    }
    Ok(())
}

/// Quantizes `x` into blocks of 256, as the module's rule says.
///
/// # Errors
/// [`Error::ActivationLength`] if `x.len()` is not `256 * out.len()`.
pub fn quantize_a8k(x: &[f32], out: &mut [BlockA8K]) -> Result<(), Error> {
    check_length(x.len(), out.len(), 256)?;
    for (x, out) in x.as_chunks::<256>().0.iter().zip(out) {
        let (d, qs) = quantize_block(x);
        let mut sums = [0; 16];
        for (sum, qs) in sums.iter_mut().zip(qs.chunks_exact(16)) {
            *sum = qs.iter().map(|&q| i16::from(q)).sum();
        }
        *out = BlockA8K { d, qs, sums };
    }
    Ok(())
}

/// Writes `d * qs` of each block.
///
/// # Errors
/// [`Error::ActivationLength`] if `out.len()` is not `32 * blocks.len()`.
pub fn dequantize_a8(blocks: &[BlockA8], out: &mut [f32]) -> Result<(), Error> {
    check_length(out.len(), blocks.len(), 32)?;
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(32)) {
        dequantize_block(block.d, &block.qs, out);
    }
    Ok(())
}

/// Writes `d * qs` of each block.
///
/// # Errors
/// [`Error::ActivationLength`] if `out.len()` is not `256 * blocks.len()`.
pub fn dequantize_a8k(blocks: &[BlockA8K], out: &mut [f32]) -> Result<(), Error> {
    check_length(out.len(), blocks.len(), 256)?;
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(256)) {
        dequantize_block(block.d, &block.qs, out);
    }
    Ok(())
}

fn check_length(n_values: usize, n_blocks: usize, block_len: usize) -> Result<(), Error> {
    if n_blocks.checked_mul(block_len) == Some(n_values) {
        Ok(())
    } else {
        Err(Error::ActivationLength { n_values, n_blocks, block_len })
    }
}

pub(crate) fn quantize_block<const N: usize>(x: &[f32; N]) -> (f32, [i8; N]) {
    // The bit patterns of magnitudes order like the magnitudes, with infinity and then NaN on top.
    let amax = f32::from_bits(x.iter().map(|x| x.abs().to_bits()).max().unwrap_or(0));
    if !amax.is_finite() {
        return (f32::NAN, [0; N]);
    }
    let id = 127.0 / amax;
    if !id.is_finite() {
        return (0.0, [0; N]);
    }
    (amax / 127.0, x.map(|x| round(x * id) as i8))
}

fn dequantize_block(d: f32, qs: &[i8], out: &mut [f32]) {
    for (out, &q) in out.iter_mut().zip(qs) {
        *out = d * f32::from(q);
    }
}

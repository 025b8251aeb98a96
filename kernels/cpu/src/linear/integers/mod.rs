//! Weight blocks as integers: the one scalar definition that every integer kernel agrees with.

mod iq4;
mod k;
mod legacy;

use silhak_quant::blocks::Block;

/// A block whose value `i` is `scale * quant[i] + offset * minimum[i / 16]`, all but the two floats being integers.
///
/// The scale of a sub-block is already multiplied into its quants, which is exact: no product exceeds 4096 in
/// magnitude. Activations have a scale for 32 values, so a block is added up in parts of 32,
///
/// ```text
/// sum(x[i] a[i]) = d_a (scale * sum(quant[i] qs[i]) + offset * sum(minimum[j] sums[j]))
/// ```
///
/// whose sums are integers; only the outer operations round.
pub(crate) trait Integers: Block {
    /// Values per block: 32 or 256.
    const LEN: usize = Self::FORMAT.block_len();
    /// Whether the block has an offset and minima.
    const HAS_OFFSET: bool = false;

    /// The factor of the quants.
    fn scale(&self) -> f32;

    /// The factor of the minima.
    fn offset(&self) -> f32 {
        0.0
    }

    /// Writes the `LEN` quants.
    fn quants(&self, out: &mut [i16; 256]);

    /// Writes the minimum of each 16 values.
    fn minima(&self, _out: &mut [i16; 16]) {}
}

/// A block of few bits, whose quants fit an unsigned byte as they are: quant `i` is
/// `scales[i / SCALE_LEN] * (unsigned[i] - ZERO)`.
pub(crate) trait Unsigned: Integers {
    /// Bits of a quant: 4, 5 or 6.
    const BITS: u32;
    /// The zero point.
    const ZERO: i16 = 0;
    /// Quants that share an integer scale, where the format has such: 16 or 32.
    const SCALE_LEN: Option<usize> = None;

    /// Writes the `LEN` quants.
    fn unsigned(&self, out: &mut [u8; 256]);

    /// Writes the integer scales, where the format has them; otherwise they stay 1.
    fn scales(&self, _out: &mut [i16; 16]) {}
}

/// The two integer sums of a part of a block with activations `qs` and their sums: `sum(quant qs)`, `sum(minimum sums)`.
#[inline(always)]
pub(crate) fn block_sums(quants: &[i16], minima: &[i16], qs: &[i8], sums: &[i16]) -> (i32, i32) {
    let dot = quants.iter().zip(qs).map(|(&q, &a)| i32::from(q) * i32::from(a)).sum();
    let offset = minima.iter().zip(sums).map(|(&m, &s)| i32::from(m) * i32::from(s)).sum();
    (dot, offset)
}

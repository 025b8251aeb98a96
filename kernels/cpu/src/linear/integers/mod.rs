//! Weight blocks as integers: the one scalar definition that every integer kernel agrees with.

mod iq4;
mod k;
mod legacy;

use silhak_quant::blocks::Block;

/// A block whose value `i` is `scale * quant[i] + offset * minimum[i / 16]`, all but the two floats being integers.
///
/// Quant `i` is `scales[i / SCALE_LEN] * (bytes[i] - ZERO)`: an unsigned byte less a zero point, times the integer scale
/// of a sub-block where the format has such. It fits 16 bits, for no product exceeds 4096 in magnitude. Activations have
/// a scale for 32 values, so a block is added up in parts of 32,
///
/// ```text
/// sum(x[i] a[i]) = d_a (scale * sum(quant[i] qs[i]) + offset * sum(minimum[j] sums[j]))
/// ```
///
/// whose sums are integers; only the outer operations round.
pub(crate) trait Integers: Block {
    /// Values per block: 32 or 256.
    const LEN: usize = Self::FORMAT.block_len();
    /// Bits of the unsigned bytes: 2 to 8.
    const BITS: u32;
    /// The zero point of the unsigned bytes.
    const ZERO: i16 = 0;
    /// Quants that share an integer scale, where the format has such: 16 or 32.
    const SCALE_LEN: Option<usize> = None;
    /// Whether the block has an offset and minima.
    const HAS_OFFSET: bool = false;

    /// The factor of the quants.
    fn scale(&self) -> f32;

    /// The factor of the minima.
    fn offset(&self) -> f32 {
        0.0
    }

    /// Writes the `LEN` unsigned bytes.
    fn bytes(&self, out: &mut [u8; 256]);

    /// Writes the integer scales, where the format has them; otherwise they stay as they are.
    fn scales(&self, _out: &mut [i16; 16]) {}

    /// Writes the minimum of each 16 values.
    fn minima(&self, _out: &mut [i16; 16]) {}

    /// Writes the `LEN` quants.
    #[inline(always)]
    fn quants(&self, out: &mut [i16; 256]) {
        let (mut bytes, mut scales) = ([0; 256], [1; 16]);
        self.bytes(&mut bytes);
        self.scales(&mut scales);
        let len = Self::SCALE_LEN.unwrap_or(32);
        for (s, (out, bytes)) in out[..Self::LEN].chunks_exact_mut(len).zip(bytes.chunks_exact(len)).enumerate() {
            let scale = scales[s];
            out.iter_mut().zip(bytes).for_each(|(out, &byte)| *out = scale * (i16::from(byte) - Self::ZERO));
        }
    }
}

/// The two integer sums of a part of a block with activations `qs` and their sums: `sum(quant qs)`, `sum(minimum sums)`.
#[inline(always)]
pub(crate) fn block_sums(quants: &[i16], minima: &[i16], qs: &[i8], sums: &[i16]) -> (i32, i32) {
    let dot = quants.iter().zip(qs).map(|(&q, &a)| i32::from(q) * i32::from(a)).sum();
    let offset = minima.iter().zip(sums).map(|(&m, &s)| i32::from(m) * i32::from(s)).sum();
    (dot, offset)
}

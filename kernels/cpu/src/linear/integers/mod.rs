//! Weight blocks as integers: the one scalar definition that every integer kernel agrees with.

mod iq4;
mod k;
mod legacy;

use silhak_quant::blocks::Block;

/// A block whose value `i` is `scale * scales[i / SCALE_LEN] * (bytes[i] - ZERO) + offset * minima[i / 16]`: a small
/// integer, less a zero point, times the two levels of scales that the format has, and what it may have beside.
///
/// Activations have a scale for 32 values, so a block is added up in parts of 32. To each belong the two floats of
/// [`Parts`] and two sums of integers,
///
/// ```text
/// sum(x[i] a[i]) = part.scale d_a sum(quant[i] qs[i]) + part.offset d_a sum(minimum[j] sums[j])
/// ```
///
/// of which the second is that of the activations alone unless a part has two minima. The integers are exact in float32,
/// and so are the floats of a part; what rounds is `part.scale d_a`, the second sum times `d_a`, and the two additions.
pub(crate) trait Integers: Block {
    /// Values per block: 32 or 256.
    const LEN: usize = Self::FORMAT.block_len();
    /// Bits of the unsigned bytes: 2 to 8.
    const BITS: u32;
    /// The zero point of the unsigned bytes.
    const ZERO: i16 = 0;
    /// Quants that share an integer scale, where the format has such: 16 or 32.
    const SCALE_LEN: Option<usize> = None;
    /// Whether the halves of a part have scales and minima of their own. These then stay integers: quants contain the
    /// scales, and fit 16 bits, for no product exceeds 4096 in magnitude.
    const IS_SPLIT: bool = matches!(Self::SCALE_LEN, Some(16));
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

    /// The integers and floats that the block's parts are multiplied with.
    #[inline(always)]
    fn parts(&self) -> Parts {
        let mut parts =
            Parts { quants: [0; 256], minima: [1; 16], scales: [self.scale(); 8], offsets: [self.offset(); 8] };
        let (mut bytes, mut scales, mut minima) = ([0; 256], [1; 16], [1; 16]);
        self.bytes(&mut bytes);
        self.scales(&mut scales);
        self.minima(&mut minima);
        if Self::IS_SPLIT {
            parts.minima = minima;
        } else {
            for p in 0..8 {
                parts.scales[p] *= f32::from(scales[p]);
                parts.offsets[p] *= f32::from(minima[2 * p]);
            }
            scales = [1; 16];
        }
        for (i, (out, &byte)) in parts.quants[..Self::LEN].iter_mut().zip(&bytes).enumerate() {
            *out = scales[i / 16] * (i16::from(byte) - Self::ZERO);
        }
        parts
    }
}

/// A block in parts of 32.
pub(crate) struct Parts {
    /// What the activations are multiplied by.
    pub(crate) quants: [i16; 256],
    /// What the sums of each 16 activations are multiplied by.
    pub(crate) minima: [i16; 16],
    /// Of each part: the factor of the quants.
    pub(crate) scales: [f32; 8],
    /// Of each part: the factor of the minima.
    pub(crate) offsets: [f32; 8],
}

/// The two integer sums of a part of a block with activations `qs` and their sums: `sum(quant qs)`, `sum(minimum sums)`.
#[inline(always)]
pub(crate) fn block_sums(quants: &[i16], minima: &[i16], qs: &[i8], sums: &[i16]) -> (i32, i32) {
    let dot = quants.iter().zip(qs).map(|(&q, &a)| i32::from(q) * i32::from(a)).sum();
    let offset = minima.iter().zip(sums).map(|(&m, &s)| i32::from(m) * i32::from(s)).sum();
    (dot, offset)
}

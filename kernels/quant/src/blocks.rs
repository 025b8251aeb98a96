//! The byte layout of one block of each quantized format, as ggml stores it.
//!
//! The structs have no padding and an alignment of 1 or 2, so the bytes of a mapped GGUF file (whose
//! tensors start at multiples of 32) can be viewed as blocks in place with [`cast`]. Numbers wider
//! than a byte are little endian, as in the file.
//!
//! Below, `x[i]` is value `i` of the block, `lo`/`hi` the lower and upper 4 bits of a byte.

use bytemuck::{Pod, Zeroable};
pub use half::f16;

use crate::{Error, Format};

/// GGUF files are little endian, and blocks are viewed in place.
const _: () = assert!(cfg!(target_endian = "little"), "silhak-quant needs a little-endian target");

/// A block as it lies in a GGUF file.
pub trait Block: Pod {
    /// The format whose block this is.
    const FORMAT: Format;
}

/// Views bytes as blocks without copying.
///
/// # Errors
/// [`Error::Cast`] if the length is not a whole number of blocks or the address is odd.
pub fn cast<B: Block>(bytes: &[u8]) -> Result<&[B], Error> {
    bytemuck::try_cast_slice(bytes).map_err(|reason| Error::Cast {
        format: B::FORMAT,
        n_bytes: bytes.len(),
        reason: reason.to_string(),
    })
}

/// The 16 levels of IQ4_NL and IQ4_XS.
pub const IQ4_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Declares block structs and proves that each has the size that its format states.
macro_rules! blocks {
    ($($(#[$doc:meta])* $name:ident = $format:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)+ })+) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)+
        }

        impl Block for $name {
            const FORMAT: Format = Format::$format;
        }

        const _: () = assert!(size_of::<$name>() == Format::$format.block_bytes() && align_of::<$name>() <= 2);
    )+};
}

blocks! {
    /// `x[i] = d * (q[i] - 8)`, `q[i] = lo(qs[i])`, `q[i + 16] = hi(qs[i])` for `i < 16`.
    BlockQ4_0 = Q4_0 {
        /// Scale.
        d: f16,
        /// 4-bit quants.
        qs: [u8; 16],
    }

    /// `x[i] = d * q[i] + m`, `q` as in [`BlockQ4_0`].
    BlockQ4_1 = Q4_1 {
        /// Scale.
        d: f16,
        /// Offset.
        m: f16,
        /// 4-bit quants.
        qs: [u8; 16],
    }

    /// `x[i] = d * (q[i] - 16)`; the low 4 bits of `q` as in [`BlockQ4_0`], bit 4 of `q[i]` is bit `i` of `qh`.
    BlockQ5_0 = Q5_0 {
        /// Scale.
        d: f16,
        /// Fifth bits, as a little-endian `u32`.
        qh: [u8; 4],
        /// Low 4 bits.
        qs: [u8; 16],
    }

    /// `x[i] = d * q[i] + m`, `q` as in [`BlockQ5_0`].
    BlockQ5_1 = Q5_1 {
        /// Scale.
        d: f16,
        /// Offset.
        m: f16,
        /// Fifth bits, as a little-endian `u32`.
        qh: [u8; 4],
        /// Low 4 bits.
        qs: [u8; 16],
    }

    /// `x[i] = d * qs[i]`.
    BlockQ8_0 = Q8_0 {
        /// Scale.
        d: f16,
        /// 8-bit quants.
        qs: [i8; 32],
    }

    /// `x[i] = d * lo(scales[i/16]) * q[i] - dmin * hi(scales[i/16])`.
    ///
    /// `qs[32 h + l]` holds the quants of `x[128 h + 32 s + l]` in bits `2s..2s+2`, `h < 2`, `s < 4`, `l < 32`.
    BlockQ2K = Q2K {
        /// 4-bit scale (low) and minimum (high) of each 16 values.
        scales: [u8; 16],
        /// 2-bit quants.
        qs: [u8; 64],
        /// Scale of the scales.
        d: f16,
        /// Scale of the minima.
        dmin: f16,
    }

    /// `x[i] = d * scale(i/16) * q[i]`, `q[i]` in `-4..=3`.
    ///
    /// The low two bits of `q[i] + 4` lie as in [`BlockQ2K`]; bit 2 of `x[32 s + l]` is bit `s` of `hmask[l]`, `s < 8`.
    BlockQ3K = Q3K {
        /// Third bits.
        hmask: [u8; 32],
        /// Low 2 bits.
        qs: [u8; 64],
        /// 16 six-bit scales plus 32; see [`BlockQ3K::scale`].
        scales: [u8; 12],
        /// Scale of the scales.
        d: f16,
    }

    /// `x[i] = d * sc(i/32) * q[i] - dmin * m(i/32)`, with `(sc, m)` from [`BlockQ4K::scale_min`].
    ///
    /// `qs[32 c + l]` holds `x[64 c + l]` in its low and `x[64 c + 32 + l]` in its high 4 bits, `c < 4`, `l < 32`.
    BlockQ4K = Q4K {
        /// Scale of the scales.
        d: f16,
        /// Scale of the minima.
        dmin: f16,
        /// Eight 6-bit scales and eight 6-bit minima.
        scales: [u8; 12],
        /// 4-bit quants.
        qs: [u8; 128],
    }

    /// As [`BlockQ4K`] with 5-bit quants: bit 4 of `x[32 s + l]` is bit `s` of `qh[l]`, `s < 8`.
    BlockQ5K = Q5K {
        /// Scale of the scales.
        d: f16,
        /// Scale of the minima.
        dmin: f16,
        /// Eight 6-bit scales and eight 6-bit minima.
        scales: [u8; 12],
        /// Fifth bits.
        qh: [u8; 32],
        /// Low 4 bits.
        qs: [u8; 128],
    }

    /// `x[i] = d * scales[i/16] * (q[i] - 32)`.
    ///
    /// In each half `h < 2`, with `l < 32`: `ql[64 h + l]` holds the low 4 bits of `x[128 h + l]` (lo) and
    /// `x[128 h + 64 + l]` (hi), `ql[64 h + 32 + l]` those of `x[128 h + 32 + l]` and `x[128 h + 96 + l]`;
    /// `qh[32 h + l]` holds the upper 2 bits of `x[128 h + 32 s + l]` in bits `2s..2s+2`, `s < 4`.
    BlockQ6K = Q6K {
        /// Low 4 bits.
        ql: [u8; 128],
        /// Upper 2 bits.
        qh: [u8; 64],
        /// Scale of each 16 values.
        scales: [i8; 16],
        /// Scale of the scales.
        d: f16,
    }

    /// `x[i] = d * IQ4_LEVELS[q[i]]`, `q` as in [`BlockQ4_0`].
    BlockIq4Nl = Iq4Nl {
        /// Scale.
        d: f16,
        /// 4-bit level indices.
        qs: [u8; 16],
    }

    /// `x[i] = d * scale(i/32) * IQ4_LEVELS[q[i]]`, with `scale` from [`BlockIq4Xs::scale`].
    ///
    /// `qs[16 s + l]` holds `x[32 s + l]` in its low and `x[32 s + 16 + l]` in its high 4 bits, `s < 8`, `l < 16`.
    BlockIq4Xs = Iq4Xs {
        /// Scale of the scales.
        d: f16,
        /// Upper 2 bits of each scale, `s` in bits `2s..2s+2`.
        scales_h: u16,
        /// Low 4 bits of each scale: even `s` in the low, odd `s` in the high half of byte `s/2`.
        scales_l: [u8; 4],
        /// 4-bit level indices.
        qs: [u8; 128],
    }
}

impl BlockQ3K {
    /// The scale of values `16 j .. 16 j + 16`, in `-32..=31`; `j < 16`.
    ///
    /// Low 4 bits: byte `j % 8`, low half for `j < 8`. Upper 2 bits: byte `8 + j % 4`, bits `2(j/4)..`.
    pub fn scale(&self, j: usize) -> i8 {
        let low = (self.scales[j % 8] >> (4 * (j / 8))) & 15;
        let high = (self.scales[8 + j % 4] >> (2 * (j / 4))) & 3;
        (low | (high << 4)) as i8 - 32
    }
}

impl BlockQ4K {
    /// The scale and minimum of values `32 j .. 32 j + 32`, each in `0..=63`; `j < 8`.
    pub fn scale_min(&self, j: usize) -> (u8, u8) {
        k_scale_min(&self.scales, j)
    }
}

impl BlockQ5K {
    /// The scale and minimum of values `32 j .. 32 j + 32`, each in `0..=63`; `j < 8`.
    pub fn scale_min(&self, j: usize) -> (u8, u8) {
        k_scale_min(&self.scales, j)
    }
}

impl BlockIq4Xs {
    /// The scale of values `32 j .. 32 j + 32`, in `-32..=31`; `j < 8`.
    pub fn scale(&self, j: usize) -> i8 {
        let low = (self.scales_l[j / 2] >> (4 * (j % 2))) & 15;
        let high = ((self.scales_h >> (2 * j)) & 3) as u8;
        (low | (high << 4)) as i8 - 32
    }
}

/// Unpacks the 6-bit scale and minimum number `j < 8` of Q4_K and Q5_K.
///
/// ```text
/// byte        bits 7..6        bits 5..0
/// 0..4   high bits of sc[j+4]    sc[j]
/// 4..8   high bits of m[j+4]     m[j]
/// 8..12  lo: low 4 bits of sc[j+4], hi: low 4 bits of m[j+4]
/// ```
fn k_scale_min(scales: &[u8; 12], j: usize) -> (u8, u8) {
    if j < 4 {
        (scales[j] & 63, scales[j + 4] & 63)
    } else {
        let low = scales[j + 4];
        ((low & 15) | ((scales[j - 4] >> 6) << 4), (low >> 4) | ((scales[j] >> 6) << 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cast_needs_whole_blocks_at_an_even_address() {
        let words = [0u16; 19];
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        assert_eq!(cast::<BlockQ4_0>(&bytes[..36]).map(<[_]>::len), Ok(2));
        assert!(matches!(cast::<BlockQ4_0>(&bytes[..35]), Err(Error::Cast { .. })));
        assert!(matches!(cast::<BlockQ4_0>(&bytes[1..37]), Err(Error::Cast { .. })));
    }
}

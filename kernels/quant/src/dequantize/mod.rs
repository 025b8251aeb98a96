//! Blocks to values: the definition of what every format means.
//!
//! Each value is computed with the same float32 operations in the same order as ggml's reference, so the
//! bits agree, including those of infinite and denormal results (the payload of a NaN is not defined).

mod iq;
mod k;
mod legacy;

use half::{bf16, f16};

use crate::blocks::{self, Block};
use crate::{Error, Format};

/// Decodes `bytes` into `out`.
///
/// `bytes` may start at any address. No value is refused: scales that are infinite or NaN give values
/// that are infinite or NaN.
///
/// # Errors
/// [`Error::PartialBlock`] if `out` is not a whole number of blocks, [`Error::ByteLength`] if `bytes` is
/// not exactly as long as `out` needs.
pub fn dequantize(format: Format, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    check_lengths(format, out.len(), bytes.len())?;
    match format {
        Format::F32 => floats(bytes, out, f32::from_le_bytes),
        Format::F16 => floats(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        Format::Bf16 => floats(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        Format::Q4_0 => each::<blocks::BlockQ4_0>(bytes, out),
        Format::Q4_1 => each::<blocks::BlockQ4_1>(bytes, out),
        Format::Q5_0 => each::<blocks::BlockQ5_0>(bytes, out),
        Format::Q5_1 => each::<blocks::BlockQ5_1>(bytes, out),
        Format::Q8_0 => each::<blocks::BlockQ8_0>(bytes, out),
        Format::Q2K => each::<blocks::BlockQ2K>(bytes, out),
        Format::Q3K => each::<blocks::BlockQ3K>(bytes, out),
        Format::Q4K => each::<blocks::BlockQ4K>(bytes, out),
        Format::Q5K => each::<blocks::BlockQ5K>(bytes, out),
        Format::Q6K => each::<blocks::BlockQ6K>(bytes, out),
        Format::Iq4Nl => each::<blocks::BlockIq4Nl>(bytes, out),
        Format::Iq4Xs => each::<blocks::BlockIq4Xs>(bytes, out),
    }
    Ok(())
}

/// Checks that `n_bytes` is what `n_values` of `format` take.
pub(crate) fn check_lengths(format: Format, n_values: usize, n_bytes: usize) -> Result<(), Error> {
    let expected = format.row_bytes(n_values).ok_or(Error::PartialBlock { format, n_values })?;
    if n_bytes == expected { Ok(()) } else { Err(Error::ByteLength { format, n_values, expected, found: n_bytes }) }
}

/// A block that knows what its bits mean.
trait Decode: Block {
    /// Writes the values of the block; `out` has `Self::FORMAT.block_len()` of them.
    fn decode(&self, out: &mut [f32]);
}

fn each<B: Decode>(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.chunks_exact(size_of::<B>()).zip(out.chunks_exact_mut(B::FORMAT.block_len())) {
        bytemuck::pod_read_unaligned::<B>(bytes).decode(out);
    }
}

fn floats<const N: usize>(bytes: &[u8], out: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (items, _) = bytes.as_chunks::<N>();
    for (out, &item) in out.iter_mut().zip(items) {
        *out = convert(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_agree() {
        let mut out = [0.0; 256];
        for &format in Format::ALL {
            let bytes = vec![0; format.row_bytes(256).unwrap() + 1];
            assert!(matches!(dequantize(format, &bytes, &mut out), Err(Error::ByteLength { .. })));
            // An odd address is fine.
            assert_eq!(dequantize(format, &bytes[1..], &mut out), Ok(()));
        }
        assert_eq!(
            dequantize(Format::Q8_0, &[0; 34], &mut out[..31]),
            Err(Error::PartialBlock { format: Format::Q8_0, n_values: 31 })
        );
    }
}

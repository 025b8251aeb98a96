//! Weights as a GPU reads them: quants, scales and further bits of the quants in planes of their own.
//!
//! Blocks of 18 or 210 bytes put most quants at odd addresses, where a GPU reads slowly. A plane holds one kind of bits of
//! all rows, in *groups* of 32 values, so that each group's bits are whole aligned words:
//!
//! | quants | in the first plane, per group | in the third plane, per group |
//! |---|---|---|
//! | 2 bits | 8 bytes, *pairs* | |
//! | 3 bits | 8 bytes, pairs of the lower bits | 4 bytes, *single* third bits |
//! | 4 bits | 16 bytes: value `i` in the low half of byte `i`, value `16 + i` in its high half | |
//! | 5 bits | 16 bytes, as above | 4 bytes, single fifth bits |
//! | 6 bits | 16 bytes, as above | 8 bytes, pairs of the upper bits |
//! | 8 bits | 32 bytes | |
//!
//! With `w = i / 4` and `b = i % 4`: the *pair* of value `i` stands in byte `4 (w / 4) + b`, from bit `2 (w % 4)` on; its
//! *single* bit is bit `w` of byte `b`. So a shift and a mask give the bits of four values at once, as four bytes.
//!
//! The second plane has the scales of each block, unchanged, but Q3_K's padded to 16 bytes and those of Q2_K and Q6_K to
//! 20: scales and minima, then the half floats they are multiples of. Q4_K and Q5_K begin with the half floats, as in the
//! file. Rows of floats are padded to a multiple of 32 values with zeros.

mod codes;

use bytemuck::{bytes_of, pod_read_unaligned};

use crate::blocks::{
    BlockIq4Nl, BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0,
};
use crate::{Error, Format};
use codes::{Codes, Split};

/// Values per group.
pub const GROUP: usize = 32;

/// The planes of some rows of a weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planes {
    /// Quants, or their lower bits; the values themselves of float formats.
    pub quants: Vec<u8>,
    /// Scales.
    pub scales: Vec<u8>,
    /// Further bits of the quants.
    pub further: Vec<u8>,
}

/// Bytes of one row in each plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneBytes {
    /// Of [`Planes::quants`].
    pub quants: usize,
    /// Of [`Planes::scales`].
    pub scales: usize,
    /// Of [`Planes::further`].
    pub further: usize,
}

/// Bytes that a row of `cols` values takes in each plane; `None` where the row is not a whole number of blocks.
pub fn plane_bytes(format: Format, cols: usize) -> Option<PlaneBytes> {
    format.row_bytes(cols)?;
    let n_groups = cols.div_ceil(GROUP);
    let (quants, scales_per_block, further) = match format {
        Format::F32 => (128, 0, 0),
        Format::F16 | Format::Bf16 => (64, 0, 0),
        Format::Q8_0 => (32, 2, 0),
        Format::Q4_0 | Format::Iq4Nl => (16, 2, 0),
        Format::Q4_1 => (16, 4, 0),
        Format::Q5_0 => (16, 2, 4),
        Format::Q5_1 => (16, 4, 4),
        Format::Q2K => (8, 20, 0),
        Format::Q3K => (8, 16, 4),
        Format::Q4K => (16, 16, 0),
        Format::Q5K => (16, 16, 4),
        Format::Q6K => (16, 20, 8),
        Format::Iq4Xs => (16, 8, 0),
    };
    let scales = if scales_per_block == 0 { 0 } else { cols / format.block_len() * scales_per_block };
    Some(PlaneBytes { quants: n_groups * quants, scales, further: n_groups * further })
}

/// Splits rows of `cols` values into planes.
///
/// # Errors
/// [`Error::PartialBlock`] if a row is not a whole number of blocks, [`Error::ByteLength`] if `bytes` is not whole rows.
pub fn planes(format: Format, bytes: &[u8], cols: usize) -> Result<Planes, Error> {
    let mut planes = Planes::default();
    planes.fill(format, bytes, cols)?;
    Ok(planes)
}

impl Planes {
    /// Splits rows of `cols` values into these planes, whose memory is used again; what they held is gone.
    ///
    /// # Errors
    /// As [`planes`].
    pub fn fill(&mut self, format: Format, bytes: &[u8], cols: usize) -> Result<(), Error> {
        let partial = Error::PartialBlock { format, n_values: cols };
        let (Some(row_bytes), Some(row)) = (format.row_bytes(cols), plane_bytes(format, cols)) else {
            return Err(partial);
        };
        let n_rows = bytes.len().checked_div(row_bytes).unwrap_or(0);
        if n_rows * row_bytes != bytes.len() {
            return Err(Error::ByteLength {
                format,
                n_values: n_rows * cols,
                expected: n_rows * row_bytes,
                found: bytes.len(),
            });
        }
        self.quants.resize(n_rows * row.quants, 0);
        self.scales.resize(n_rows * row.scales, 0);
        self.further.resize(n_rows * row.further, 0);
        match format {
            Format::F32 | Format::F16 | Format::Bf16 => self.fill_padded(bytes, row_bytes, row.quants),
            Format::Q4_0 => self.fill_blocks::<BlockQ4_0>(bytes),
            Format::Q4_1 => self.fill_blocks::<BlockQ4_1>(bytes),
            Format::Q5_0 => self.fill_blocks::<BlockQ5_0>(bytes),
            Format::Q5_1 => self.fill_blocks::<BlockQ5_1>(bytes),
            Format::Q8_0 => self.fill_blocks::<BlockQ8_0>(bytes),
            Format::Q2K => self.fill_blocks::<BlockQ2K>(bytes),
            Format::Q3K => self.fill_blocks::<BlockQ3K>(bytes),
            Format::Q4K => self.fill_blocks::<BlockQ4K>(bytes),
            Format::Q5K => self.fill_blocks::<BlockQ5K>(bytes),
            Format::Q6K => self.fill_blocks::<BlockQ6K>(bytes),
            Format::Iq4Nl => self.fill_blocks::<BlockIq4Nl>(bytes),
            Format::Iq4Xs => self.fill_blocks::<BlockIq4Xs>(bytes),
        }
        Ok(())
    }

    fn fill_padded(&mut self, bytes: &[u8], row_bytes: usize, padded_bytes: usize) {
        if row_bytes == padded_bytes {
            return self.quants.copy_from_slice(bytes);
        }
        for (row, padded) in bytes.chunks_exact(row_bytes).zip(self.quants.chunks_exact_mut(padded_bytes)) {
            let (values, padding) = padded.split_at_mut(row_bytes);
            values.copy_from_slice(row);
            padding.fill(0);
        }
    }

    fn fill_blocks<B: Split>(&mut self, bytes: &[u8]) {
        let n_groups = const { B::FORMAT.block_len() / GROUP };
        for (i, bytes) in bytes.chunks_exact(size_of::<B>()).enumerate() {
            let block: B = pod_read_unaligned(bytes);
            for group in 0..n_groups {
                self.put(i * n_groups + group, B::BITS, &block.codes(group));
            }
            let at = i * size_of::<B::Scales>();
            self.scales[at..][..size_of::<B::Scales>()].copy_from_slice(bytes_of(&block.scales()));
        }
    }

    /// Writes the quants of group `at`.
    #[inline(always)]
    fn put(&mut self, at: usize, bits: u32, codes: &Codes) {
        let Planes { quants, further, .. } = self;
        match bits {
            2 => write(quants, at, codes.pairs(0)),
            3 => {
                write(quants, at, codes.pairs(0));
                write(further, at, codes.singles(2));
            }
            8 => write(quants, at, codes.whole()),
            _ => {
                write(quants, at, codes.lower());
                match bits {
                    5 => write(further, at, codes.singles(4)),
                    6 => write(further, at, codes.pairs(4)),
                    _ => {}
                }
            }
        }
    }
}

/// Writes part `at` of a plane of parts of `N` bytes.
#[inline(always)]
fn write<const N: usize>(plane: &mut [u8], at: usize, part: [u8; N]) {
    plane[N * at..N * (at + 1)].copy_from_slice(&part);
}

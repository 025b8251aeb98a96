//! The quants of each block format as plain numbers, and how these are packed into planes.

use super::{GROUP, Planes};
use crate::blocks::{
    Block, BlockIq4Nl, BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0,
};

/// The quants of a group, as unsigned numbers of as many bits as the format has.
pub(super) struct Codes([u8; GROUP]);

/// A block that can be split into planes.
pub(super) trait Split: Block {
    /// Bits per quant.
    const BITS: u32;

    /// The quants of a group of 32 values.
    fn codes(&self, group: usize) -> Codes;

    /// Appends the scales.
    fn put_scales(&self, scales: &mut Vec<u8>);
}

impl Codes {
    /// The quants `code(i)`, `i < 32`.
    fn new(code: impl FnMut(usize) -> u8) -> Self {
        Codes(std::array::from_fn(code))
    }

    /// Four bits each, as blocks of 32 have them.
    fn nibbles(bytes: &[u8], code: impl Fn(u8, usize) -> u8) -> Self {
        Codes::new(|i| code((bytes[i % 16] >> (4 * (i / 16))) & 15, i))
    }

    /// Appends the quants to the planes.
    pub(super) fn put(&self, bits: u32, planes: &mut Planes) {
        match bits {
            2 => planes.quants.extend(self.pairs(0)),
            3 => {
                planes.quants.extend(self.pairs(0));
                planes.further.extend(self.singles(2));
            }
            8 => planes.quants.extend(self.0),
            _ => {
                planes.quants.extend((0..16).map(|i| (self.0[i] & 15) | (self.0[i + 16] << 4)));
                match bits {
                    5 => planes.further.extend(self.singles(4)),
                    6 => planes.further.extend(self.pairs(4)),
                    _ => {}
                }
            }
        }
    }

    /// Bits `shift` and `shift + 1` of each quant.
    fn pairs(&self, shift: u32) -> [u8; 8] {
        let pair = |i: usize| (self.0[i] >> shift) & 3;
        // Byte 4 k + b has the pairs of values 16 k + 4 s + b, s < 4.
        std::array::from_fn(|byte| {
            let first = 16 * (byte / 4) + byte % 4;
            (0..4).fold(0, |bits, s| bits | (pair(first + 4 * s) << (2 * s)))
        })
    }

    /// Bit `shift` of each quant.
    fn singles(&self, shift: u32) -> [u8; 4] {
        std::array::from_fn(|b| (0..8).fold(0, |bits, w| bits | (((self.0[4 * w + b] >> shift) & 1) << w)))
    }
}

/// The 2-bit field of value `i < 256`: four runs of 32 values share 32 bytes, twice.
fn two_bits(bytes: &[u8; 64], i: usize) -> u8 {
    (bytes[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32))) & 3
}

/// Bit 4 of value `i` of a block of 32, from its fifth bits.
fn fifth(qh: [u8; 4], i: usize) -> u8 {
    (((u32::from_le_bytes(qh) >> i) & 1) << 4) as u8
}

/// The 4 bits of value `l` of group `group`, of which two share 32 bytes.
fn shared_nibble(qs: &[u8; 128], group: usize, l: usize) -> u8 {
    (qs[32 * (group / 2) + l] >> (4 * (group % 2))) & 15
}

impl Split for BlockQ4_0 {
    const BITS: u32 = 4;

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |low, _| low)
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.d.to_le_bytes());
    }
}

impl Split for BlockQ4_1 {
    const BITS: u32 = 4;

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |low, _| low)
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend([self.d, self.m].map(|x| x.to_le_bytes()).as_flattened());
    }
}

impl Split for BlockQ5_0 {
    const BITS: u32 = 5;

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |low, i| low | fifth(self.qh, i))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.d.to_le_bytes());
    }
}

impl Split for BlockQ5_1 {
    const BITS: u32 = 5;

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |low, i| low | fifth(self.qh, i))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend([self.d, self.m].map(|x| x.to_le_bytes()).as_flattened());
    }
}

impl Split for BlockQ8_0 {
    const BITS: u32 = 8;

    fn codes(&self, _: usize) -> Codes {
        Codes::new(|i| self.qs[i].cast_unsigned())
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.d.to_le_bytes());
    }
}

impl Split for BlockIq4Nl {
    const BITS: u32 = 4;

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |low, _| low)
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.d.to_le_bytes());
    }
}

impl Split for BlockIq4Xs {
    const BITS: u32 = 4;

    fn codes(&self, group: usize) -> Codes {
        Codes::nibbles(&self.qs[16 * group..16 * (group + 1)], |low, _| low)
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.d.to_le_bytes());
        scales.extend(self.scales_h.to_le_bytes());
        scales.extend(self.scales_l);
    }
}

impl Split for BlockQ2K {
    const BITS: u32 = 2;

    fn codes(&self, group: usize) -> Codes {
        Codes::new(|l| two_bits(&self.qs, GROUP * group + l))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.scales);
        scales.extend([self.d, self.dmin].map(|x| x.to_le_bytes()).as_flattened());
    }
}

impl Split for BlockQ3K {
    const BITS: u32 = 3;

    fn codes(&self, group: usize) -> Codes {
        Codes::new(|l| two_bits(&self.qs, GROUP * group + l) | (((self.hmask[l] >> group) & 1) << 2))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.scales);
        scales.extend(self.d.to_le_bytes());
        scales.extend([0; 2]);
    }
}

impl Split for BlockQ4K {
    const BITS: u32 = 4;

    fn codes(&self, group: usize) -> Codes {
        Codes::new(|l| shared_nibble(&self.qs, group, l))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend([self.d, self.dmin].map(|x| x.to_le_bytes()).as_flattened());
        scales.extend(self.scales);
    }
}

impl Split for BlockQ5K {
    const BITS: u32 = 5;

    fn codes(&self, group: usize) -> Codes {
        Codes::new(|l| shared_nibble(&self.qs, group, l) | (((self.qh[l] >> group) & 1) << 4))
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend([self.d, self.dmin].map(|x| x.to_le_bytes()).as_flattened());
        scales.extend(self.scales);
    }
}

impl Split for BlockQ6K {
    const BITS: u32 = 6;

    fn codes(&self, group: usize) -> Codes {
        Codes::new(|l| {
            let i = GROUP * group + l;
            let low = (self.ql[64 * (i / 128) + i % 64] >> (4 * (i % 128 / 64))) & 15;
            low | (two_bits(&self.qh, i) << 4)
        })
    }

    fn put_scales(&self, scales: &mut Vec<u8>) {
        scales.extend(self.scales.map(i8::cast_unsigned));
        scales.extend(self.d.to_le_bytes());
        scales.extend([0; 2]);
    }
}

//! The quants of each block format as plain numbers, and how these are packed into planes.

use bytemuck::{Pod, bytes_of, cast, pod_read_unaligned};

use super::GROUP;
use crate::blocks::{
    Block, BlockIq4Nl, BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0, f16,
};

/// The quants of a group, as unsigned numbers of as many bits as the format has: word `w` has those of values
/// `4 w .. 4 w + 4` in its bytes. What is done to a word is done to four quants at once.
pub(super) struct Codes([u32; GROUP / 4]);

/// A block that can be split into planes.
pub(super) trait Split: Block {
    /// Bits per quant.
    const BITS: u32;

    /// The scales, as they stand in their plane.
    type Scales: Pod;

    /// The quants of a group of 32 values.
    fn codes(&self, group: usize) -> Codes;

    /// The scales.
    fn scales(&self) -> Self::Scales;
}

impl Codes {
    /// The words `word(w)`, `w < 8`.
    fn new(word: impl FnMut(usize) -> u32) -> Self {
        Codes(std::array::from_fn(word))
    }

    /// Four bits each, as blocks of 32 have them, and what `further(w)` adds to word `w`.
    fn nibbles(bytes: &[u8; 16], further: impl Fn(usize) -> u32) -> Self {
        let words: [u32; 4] = cast(*bytes);
        Codes::new(|w| ((words[w % 4] >> (4 * (w / 4))) & LOW_4) | further(w))
    }

    /// Bits `0..4` of each quant.
    pub(super) fn lower(&self) -> [u8; 16] {
        let word = |w: usize| (self.0[w] & LOW_4) | ((self.0[w + 4] & LOW_4) << 4);
        cast::<[u32; 4], _>(std::array::from_fn(word))
    }

    /// Bits `shift` and `shift + 1` of each quant.
    pub(super) fn pairs(&self, shift: u32) -> [u8; 8] {
        let pair = |w: usize| (self.0[w] >> shift) & LOW_2;
        let word = |k: usize| (0..4).fold(0, |bits, s| bits | (pair(4 * k + s) << (2 * s)));
        cast::<[u32; 2], _>(std::array::from_fn(word))
    }

    /// Bit `shift` of each quant.
    pub(super) fn singles(&self, shift: u32) -> [u8; 4] {
        (0..8).fold(0, |bits, w| bits | (((self.0[w] >> shift) & LOW_1) << w)).to_le_bytes()
    }

    /// All bits of each quant.
    pub(super) fn whole(&self) -> [u8; GROUP] {
        cast(self.0)
    }
}

/// The lowest bit of each byte of a word.
const LOW_1: u32 = 0x0101_0101;
/// The lowest two.
const LOW_2: u32 = 0x0303_0303;
/// The lowest four.
const LOW_4: u32 = 0x0f0f_0f0f;

/// The words of run `i` of 32 bytes.
fn run(bytes: &[u8], i: usize) -> [u32; 8] {
    pod_read_unaligned(&bytes[GROUP * i..GROUP * (i + 1)])
}

/// The 2-bit fields of group `group`: four groups share 32 bytes.
fn two_bits(bytes: &[u8; 64], group: usize) -> [u32; 8] {
    run(bytes, group / 4).map(|word| (word >> (2 * (group % 4))) & LOW_2)
}

/// The 4 bits of group `group`, of which two share 32 bytes.
fn four_bits(bytes: &[u8; 128], group: usize) -> [u32; 8] {
    run(bytes, group / 2).map(|word| (word >> (4 * (group % 2))) & LOW_4)
}

/// The fifth bits of the quants of word `w` in their place, from those of a block of 32.
fn fifth(qh: [u8; 4], w: usize) -> u32 {
    let four = (u32::from_le_bytes(qh) >> (4 * w)) & 15;
    // A product with a one in every eighth bit but one puts bit `i` into byte `i`.
    ((four * 0x0020_4081) & LOW_1) << 4
}

/// Half floats as bytes.
fn halves<const N: usize>(halves: [f16; N]) -> [[u8; 2]; N] {
    halves.map(f16::to_le_bytes)
}

/// Scales, then what they are multiples of, padded to whole words.
fn scales_first<const N: usize, const PADDED: usize>(scales: &[u8; N], after: &[u8]) -> [u8; PADDED] {
    let mut padded = [0; PADDED];
    padded[..N].copy_from_slice(scales);
    padded[N..N + after.len()].copy_from_slice(after);
    padded
}

/// The half floats and scales of Q4_K and Q5_K.
fn k_scales(d: f16, dmin: f16, scales: &[u8; 12]) -> [u8; 16] {
    let mut all = [0; 16];
    all[..4].copy_from_slice(halves([d, dmin]).as_flattened());
    all[4..].copy_from_slice(scales);
    all
}

impl Split for BlockQ4_0 {
    const BITS: u32 = 4;
    type Scales = [u8; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |_| 0)
    }

    fn scales(&self) -> [u8; 2] {
        self.d.to_le_bytes()
    }
}

impl Split for BlockQ4_1 {
    const BITS: u32 = 4;
    type Scales = [[u8; 2]; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |_| 0)
    }

    fn scales(&self) -> [[u8; 2]; 2] {
        halves([self.d, self.m])
    }
}

impl Split for BlockQ5_0 {
    const BITS: u32 = 5;
    type Scales = [u8; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |w| fifth(self.qh, w))
    }

    fn scales(&self) -> [u8; 2] {
        self.d.to_le_bytes()
    }
}

impl Split for BlockQ5_1 {
    const BITS: u32 = 5;
    type Scales = [[u8; 2]; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |w| fifth(self.qh, w))
    }

    fn scales(&self) -> [[u8; 2]; 2] {
        halves([self.d, self.m])
    }
}

impl Split for BlockQ8_0 {
    const BITS: u32 = 8;
    type Scales = [u8; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes(cast(self.qs))
    }

    fn scales(&self) -> [u8; 2] {
        self.d.to_le_bytes()
    }
}

impl Split for BlockIq4Nl {
    const BITS: u32 = 4;
    type Scales = [u8; 2];

    fn codes(&self, _: usize) -> Codes {
        Codes::nibbles(&self.qs, |_| 0)
    }

    fn scales(&self) -> [u8; 2] {
        self.d.to_le_bytes()
    }
}

impl Split for BlockIq4Xs {
    const BITS: u32 = 4;
    type Scales = [u8; 8];

    fn codes(&self, group: usize) -> Codes {
        Codes::nibbles(&pod_read_unaligned(&self.qs[16 * group..16 * (group + 1)]), |_| 0)
    }

    fn scales(&self) -> [u8; 8] {
        let mut all = [0; 8];
        all[..2].copy_from_slice(&self.d.to_le_bytes());
        all[2..4].copy_from_slice(&self.scales_h.to_le_bytes());
        all[4..].copy_from_slice(&self.scales_l);
        all
    }
}

impl Split for BlockQ2K {
    const BITS: u32 = 2;
    type Scales = [u8; 20];

    fn codes(&self, group: usize) -> Codes {
        Codes(two_bits(&self.qs, group))
    }

    fn scales(&self) -> [u8; 20] {
        scales_first(&self.scales, halves([self.d, self.dmin]).as_flattened())
    }
}

impl Split for BlockQ3K {
    const BITS: u32 = 3;
    type Scales = [u8; 16];

    fn codes(&self, group: usize) -> Codes {
        let (low, high) = (two_bits(&self.qs, group), run(&self.hmask, 0));
        Codes::new(|w| low[w] | (((high[w] >> group) & LOW_1) << 2))
    }

    fn scales(&self) -> [u8; 16] {
        scales_first(&self.scales, &self.d.to_le_bytes())
    }
}

impl Split for BlockQ4K {
    const BITS: u32 = 4;
    type Scales = [u8; 16];

    fn codes(&self, group: usize) -> Codes {
        Codes(four_bits(&self.qs, group))
    }

    fn scales(&self) -> [u8; 16] {
        k_scales(self.d, self.dmin, &self.scales)
    }
}

impl Split for BlockQ5K {
    const BITS: u32 = 5;
    type Scales = [u8; 16];

    fn codes(&self, group: usize) -> Codes {
        let (low, high) = (four_bits(&self.qs, group), run(&self.qh, 0));
        Codes::new(|w| low[w] | (((high[w] >> group) & LOW_1) << 4))
    }

    fn scales(&self) -> [u8; 16] {
        k_scales(self.d, self.dmin, &self.scales)
    }
}

impl Split for BlockQ6K {
    const BITS: u32 = 6;
    type Scales = [u8; 20];

    fn codes(&self, group: usize) -> Codes {
        // Groups 0 and 2 of each half share 32 bytes of lower bits, and groups 1 and 3.
        let low = run(&self.ql, group / 4 * 2 + group % 2).map(|word| (word >> (group % 4 / 2 * 4)) & LOW_4);
        let high = two_bits(&self.qh, group);
        Codes::new(|w| low[w] | (high[w] << 4))
    }

    fn scales(&self) -> [u8; 20] {
        scales_first(&self.scales.map(i8::cast_unsigned), bytes_of(&self.d))
    }
}

//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use silhak_quant::blocks::{BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0};

use super::{InLanes, Lines};
use crate::linear::panels::lanes::Lanes;

impl InLanes for BlockQ4_0 {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        block.four_bits(0)
    }
}

impl InLanes for BlockQ4_1 {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        block.four_bits(0)
    }
}

impl InLanes for BlockQ5_0 {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        block.five_bits()
    }
}

impl InLanes for BlockQ5_1 {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        block.five_bits()
    }
}

impl InLanes for BlockQ8_0 {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        let signs = block.l.splat(i32::from_ne_bytes([128; 4]));
        let mut out = [signs; 8];
        for k in 0..8 {
            out[k] = block.l.xor(block.dword(k), signs);
        }
        out
    }
}

impl<L: Lanes> Lines<'_, L> {
    /// The four words from `first` on hold the low, then the high four bits of 32 values.
    #[inline(always)]
    pub(super) fn four_bits(self, first: usize) -> [L::I; 8] {
        let bytes = self.dwords::<4>(first);
        let mut out = [self.l.splat(0); 8];
        for k in 0..4 {
            let x = bytes.dword(k);
            (out[k], out[k + 4]) = (self.byte_bits(x, 0, 4, 0), self.byte_bits(x, 4, 4, 0));
        }
        out
    }

    /// The first word holds the fifth bits of 32 values, the four words after it the others.
    #[inline(always)]
    fn five_bits(self) -> [L::I; 8] {
        let fifths = self.dword(0);
        let mut out = self.four_bits(1);
        for k in 0..8 {
            // A factor that copies four neighbouring bits to bit 4 of four bytes.
            let spread = self.l.mul(self.bits(fifths, 4 * k, 4), self.l.splat(0x0204_0810));
            out[k] = self.l.or(out[k], self.l.and(spread, self.l.splat(0x1010_1010)));
        }
        out
    }
}

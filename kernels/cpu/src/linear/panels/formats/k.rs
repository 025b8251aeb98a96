//! Blocks of 256 with two levels of scales: Q2_K to Q6_K.

use silhak_quant::blocks::{BlockQ2K, BlockQ3K, BlockQ4K, BlockQ5K, BlockQ6K};

use super::{InLanes, Lines};
use crate::linear::panels::lanes::Lanes;

/// Words: 4 of scales and minima, 16 of quants.
impl InLanes for BlockQ2K {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        block.two_bits(4, p)
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        block.bits(block.dword(i / 4), 8 * (i % 4), 4)
    }

    #[inline(always)]
    fn minima_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> L::I {
        let (l, both) = (block.l, block.dword(p / 2));
        let at = 16 * (p % 2) + 4;
        l.or(block.bits(both, at, 4), l.shl(block.bits(both, at + 8, 4), 16))
    }

    #[inline(always)]
    fn offsets<L: Lanes>(block: Lines<'_, L>) -> L::F {
        block.l.neg(block.halves(1))
    }
}

/// Words: 8 of high bits, 16 of low bits, 3 of scales.
impl InLanes for BlockQ3K {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        let mut out = block.two_bits(8, p);
        let high = block.dwords::<8>(0);
        for k in 0..8 {
            out[k] = block.l.or(out[k], block.byte_bits(high.dword(k), p, 1, 2));
        }
        out
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        let low = block.bits(block.dword(24 + i % 8 / 4), 8 * (i % 4) + 4 * (i / 8), 4);
        let high = block.bits(block.dword(26), 8 * (i % 4) + 2 * (i / 4), 2);
        block.l.add(block.l.or(low, block.l.shl(high, 4)), block.l.splat(-32))
    }
}

/// Words: 3 of scales and minima, 32 of quants.
impl InLanes for BlockQ4K {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        block.low_bits(3, p)
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        block.six_bits(0, i)
    }

    #[inline(always)]
    fn minima_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> L::I {
        block.six_bits(1, p)
    }

    #[inline(always)]
    fn offsets<L: Lanes>(block: Lines<'_, L>) -> L::F {
        block.l.neg(block.halves(1))
    }
}

/// Words: 3 of scales and minima, 8 of fifth bits, 32 of quants.
impl InLanes for BlockQ5K {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        let mut out = block.low_bits(11, p);
        let fifths = block.dwords::<8>(3);
        for k in 0..8 {
            out[k] = block.l.or(out[k], block.byte_bits(fifths.dword(k), p, 1, 4));
        }
        out
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        block.six_bits(0, i)
    }

    #[inline(always)]
    fn minima_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> L::I {
        block.six_bits(1, p)
    }

    #[inline(always)]
    fn offsets<L: Lanes>(block: Lines<'_, L>) -> L::F {
        block.l.neg(block.halves(1))
    }
}

/// Words: 32 of low bits, 16 of high bits, 4 of scales.
impl InLanes for BlockQ6K {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        let (half, quarter) = (p / 4, p % 4);
        let low = block.dwords::<8>(16 * half + 8 * (quarter % 2));
        let high = block.dwords::<8>(32 + 8 * half);
        let mut out = [block.l.splat(0); 8];
        for k in 0..8 {
            let low = block.byte_bits(low.dword(k), 4 * (quarter / 2), 4, 0);
            out[k] = block.l.or(low, block.byte_bits(high.dword(k), 2 * quarter, 2, 4));
        }
        out
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        let bytes = block.dword(48 + i / 4);
        block.l.sar(block.l.shl(bytes, 24 - 8 * (i % 4) as u32), 24)
    }
}

impl<L: Lanes> Lines<'_, L> {
    /// Part `p` of quants of 2 bits, four parts to a byte, whose words begin at `first`.
    #[inline(always)]
    fn two_bits(self, first: usize, p: usize) -> [L::I; 8] {
        let bytes = self.dwords::<8>(first + 8 * (p / 4));
        let mut out = [self.l.splat(0); 8];
        for k in 0..8 {
            out[k] = self.byte_bits(bytes.dword(k), 2 * (p % 4), 2, 0);
        }
        out
    }

    /// Part `p` of quants of 4 bits, two parts to a byte, whose words begin at `first`.
    #[inline(always)]
    fn low_bits(self, first: usize, p: usize) -> [L::I; 8] {
        let bytes = self.dwords::<8>(first + 8 * (p / 2));
        let mut out = [self.l.splat(0); 8];
        for k in 0..8 {
            out[k] = self.byte_bits(bytes.dword(k), 4 * (p % 2), 4, 0);
        }
        out
    }

    /// One of the eight 6-bit scales (`of` 0) or minima (`of` 1) of Q4_K and Q5_K, as the table at
    /// [`silhak_quant::blocks::BlockQ4K`] lays them out.
    #[inline(always)]
    fn six_bits(self, of: usize, i: usize) -> L::I {
        let (own, both) = (self.dword(of), self.dword(2));
        if i < 4 {
            return self.bits(own, 8 * i, 6);
        }
        let low = self.bits(both, 8 * (i - 4) + 4 * of, 4);
        let high = self.bits(own, 8 * (i - 4) + 6, 2);
        self.l.or(low, self.l.shl(high, 4))
    }
}

//! Quants that index 16 levels: IQ4_NL, IQ4_XS.

use silhak_quant::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

use super::{InLanes, Lines};
use crate::linear::panels::lanes::Lanes;

impl InLanes for BlockIq4Nl {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, _: usize) -> [L::I; 8] {
        block.levels(0)
    }
}

impl InLanes for BlockIq4Xs {
    #[inline(always)]
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8] {
        block.levels(1 + 4 * p)
    }

    #[inline(always)]
    fn scale_of<L: Lanes>(block: Lines<'_, L>, i: usize) -> L::I {
        let low = block.bits(block.dword(0), 4 * i, 4);
        let high = block.bits(block.word(1), 2 * i, 2);
        block.l.add(block.l.or(low, block.l.shl(high, 4)), block.l.splat(-32))
    }
}

/// The levels, plus 128.
const LEVELS: [u8; 16] = {
    let mut levels = [0; 16];
    let mut i = 0;
    while i < 16 {
        levels[i] = IQ4_LEVELS[i].cast_unsigned() ^ 128;
        i += 1;
    }
    levels
};

impl<L: Lanes> Lines<'_, L> {
    /// The levels that the four words from `first` on stand for.
    #[inline(always)]
    fn levels(self, first: usize) -> [L::I; 8] {
        let mut out = self.four_bits(first);
        for k in 0..8 {
            out[k] = self.l.lookup(&LEVELS, out[k]);
        }
        out
    }
}

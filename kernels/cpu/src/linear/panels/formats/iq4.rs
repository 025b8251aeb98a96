//! Quants that index 16 levels: IQ4_NL, IQ4_XS.

use silhak_quant::blocks::{BlockIq4Nl, BlockIq4Xs, IQ4_LEVELS};

use super::{InLanes, Lines};
use crate::linear::panels::lanes::Lanes;

impl InLanes for BlockIq4Nl {
    #[inline(always)]
    fn bytes_of<L: Lanes, const P: usize>(block: Lines<'_, L>) -> [L::I; 8] {
        block.levels(0)
    }
}

impl InLanes for BlockIq4Xs {
    #[inline(always)]
    fn bytes_of<L: Lanes, const P: usize>(block: Lines<'_, L>) -> [L::I; 8] {
        block.levels(1 + 4 * P)
    }

    #[inline(always)]
    fn scale_of<L: Lanes, const S: usize>(block: Lines<'_, L>) -> L::I {
        let low = block.bits(block.dword(0), 4 * S, 4);
        let high = block.bits(block.word(1), 2 * S, 2);
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

//! How the blocks of each format are read from a panel, sixteen rows side by side.
//!
//! What [`Integers`] says of one block, these say of a lane: every kernel of panels is written in them.

mod iq4;
mod k;
mod legacy;

use super::lanes::Lanes;
use super::layout::{Cut, ROWS};
use crate::linear::integers::Integers;

/// A format whose blocks can be read lane by lane.
pub(super) trait InLanes: Integers {
    /// The unsigned bytes of part `p` of 32 values: vector `k` has the values `4 k` to `4 k + 4`.
    fn bytes_of<L: Lanes>(block: Lines<'_, L>, p: usize) -> [L::I; 8];

    /// Integer scale `i`, where the format has such.
    fn scale_of<L: Lanes>(block: Lines<'_, L>, _i: usize) -> L::I {
        block.l.splat(1)
    }

    /// The minimum of part `p`, where the format has integers for such, or those of its two halves in 16 bits each.
    fn minima_of<L: Lanes>(block: Lines<'_, L>, _p: usize) -> L::I {
        block.l.splat(0)
    }

    /// The factor of the quants.
    #[inline(always)]
    fn factors<L: Lanes>(block: Lines<'_, L>) -> L::F {
        block.halves(0)
    }

    /// The factor of the minima, where the format has such.
    #[inline(always)]
    fn offsets<L: Lanes>(block: Lines<'_, L>) -> L::F {
        block.halves(1)
    }

    /// The scales of part `p` of [`Integers::parts`], given the block's factors.
    #[inline(always)]
    fn part_scales<L: Lanes>(block: Lines<'_, L>, factors: L::F, p: usize) -> L::F {
        match Self::SCALE_LEN {
            Some(32) => block.l.mul_float(factors, block.l.float(Self::scale_of(block, p))),
            _ => factors,
        }
    }

    /// The offsets of part `p` of [`Integers::parts`], given the block's.
    #[inline(always)]
    fn part_offsets<L: Lanes>(block: Lines<'_, L>, offsets: L::F, p: usize) -> L::F {
        match Self::SCALE_LEN {
            Some(32) => block.l.mul_float(offsets, block.l.float(Self::minima_of(block, p))),
            _ => offsets,
        }
    }
}

/// A block of each row of a panel, and the lanes of them that are read.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a, L> {
    l: L,
    dwords: &'a [u8],
    words: &'a [u8],
    /// Which vector of the sixteen rows.
    i: usize,
}

impl<'a, L: Lanes> Lines<'a, L> {
    /// Vector `i` of the rows of a block of a panel.
    #[inline(always)]
    pub(super) fn new<B: InLanes>(l: L, block: &'a [u8], i: usize) -> Self {
        const { assert!(Cut::of(B::FORMAT).is_some(), "a format with panels") }
        let (dwords, words) = block.split_at(Cut::of(B::FORMAT).map_or(0, Cut::dword_bytes));
        Lines { l, dwords, words, i }
    }

    /// The `N` words of 4 bytes from `first` on.
    #[inline(always)]
    fn dwords<const N: usize>(self, first: usize) -> Self {
        Lines { dwords: &self.dwords[4 * ROWS * first..][..4 * ROWS * N], ..self }
    }

    /// Word `at` of 4 bytes.
    #[inline(always)]
    fn dword(self, at: usize) -> L::I {
        self.l.load(&self.dwords[4 * ROWS * at..][..4 * ROWS], self.i)
    }

    /// Word `at` of 2 bytes.
    #[inline(always)]
    fn word(self, at: usize) -> L::I {
        self.l.load_words(&self.words[2 * ROWS * at..][..2 * ROWS], self.i)
    }

    /// Half float `at`.
    #[inline(always)]
    fn halves(self, at: usize) -> L::F {
        self.l.load_halves(&self.words[2 * ROWS * at..][..2 * ROWS], self.i)
    }

    /// Bits `at .. at + n` of each lane.
    #[inline(always)]
    fn bits(self, x: L::I, at: usize, n: u32) -> L::I {
        self.l.and(self.l.shr(x, at as u32), self.l.splat((1 << n) - 1))
    }

    /// In each byte, its bits `at .. at + n`, moved to bit `to`.
    #[inline(always)]
    fn byte_bits(self, x: L::I, at: usize, n: u32, to: u32) -> L::I {
        let bits = self.l.and(self.l.shr(x, at as u32), self.l.splat(i32::from_ne_bytes([(1 << n) - 1; 4])));
        if to == 0 { bits } else { self.l.shl(bits, to) }
    }
}

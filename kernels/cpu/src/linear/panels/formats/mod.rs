//! How the blocks of each format are read from a panel, sixteen rows side by side.
//!
//! What [`Integers`] says of one block, these say of a lane: every kernel of panels is written in them.

mod iq4;
mod k;
mod legacy;

use super::lanes::Lanes;
use super::layout::{Cut, ROWS};
use crate::linear::integers::Integers;

/// A format whose blocks can be read lane by lane. `P` is a part of 32 values.
pub(super) trait InLanes: Integers {
    /// The unsigned bytes of part `P`: vector `k` has the values `4 k` to `4 k + 4`.
    fn bytes_of<L: Lanes, const P: usize>(block: Lines<'_, L>) -> [L::I; 8];

    /// Integer scale `S`, where the format has such.
    fn scale_of<L: Lanes, const S: usize>(block: Lines<'_, L>) -> L::I {
        block.l.splat(1)
    }

    /// The minima of the two halves of part `P`, in 16 bits each, where the format has such.
    fn minima_of<L: Lanes, const P: usize>(block: Lines<'_, L>) -> L::I {
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

    /// The same lines, of which nothing is read before `x` is there. Left alone, the compiler reads and decodes all parts
    /// of a block first, for which it has to spill.
    #[inline(always)]
    pub(super) fn after(self, x: L::F) -> (L::F, Self) {
        let (x, dwords) = self.l.after(x, self.dwords);
        (x, Lines { dwords, ..self })
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
        let shifted = if at == 0 { x } else { self.l.shr(x, at as u32) };
        self.l.and(shifted, self.l.splat((1 << n) - 1))
    }

    /// In each byte, its bits `at .. at + n`, moved to bit `to`.
    #[inline(always)]
    fn byte_bits(self, x: L::I, at: usize, n: u32, to: usize) -> L::I {
        let moved = match at.cmp(&to) {
            std::cmp::Ordering::Less => self.l.shl(x, (to - at) as u32),
            std::cmp::Ordering::Equal => x,
            std::cmp::Ordering::Greater => self.l.shr(x, (at - to) as u32),
        };
        self.l.and(moved, self.l.splat(i32::from_ne_bytes([((1 << n) - 1) << to; 4])))
    }
}

/// Evaluates a block of code for each part of 32 of a format's block, with the constant `$part` in it.
macro_rules! each_part {
    ($format:ty, $part:ident => $body:block) => {
        each_part!(@ $part, 0, $body);
        if <$format as $crate::linear::integers::Integers>::LEN == 256 {
            each_part!(@ $part, 1, $body);
            each_part!(@ $part, 2, $body);
            each_part!(@ $part, 3, $body);
            each_part!(@ $part, 4, $body);
            each_part!(@ $part, 5, $body);
            each_part!(@ $part, 6, $body);
            each_part!(@ $part, 7, $body);
        }
    };
    (@ $part:ident, $n:literal, $body:block) => {{
        const $part: usize = $n;
        $body
    }};
}
pub(super) use each_part;

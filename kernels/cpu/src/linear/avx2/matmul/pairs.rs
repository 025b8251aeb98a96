//! Panels of 16-bit integers, for every format.
//!
//! The scale of a sub-block is multiplied into its quants, which still fit 16 bits: one `vpmaddwd` and one addition
//! take two columns of eight rows.

use std::ops::Range;

use super::{Factors, Panel, ROWS, Sums, dot_pairs, interleave, parts};
use crate::linear::activations::TokenGroup;
use crate::linear::integers::Integers;

const COLS: usize = 512;

/// 16 rows of blocks `B` in 16 bits.
#[repr(align(64))]
pub(in super::super) struct Pairs<B> {
    /// `[pair of columns][row][2]`.
    quants: [[[i16; 2]; ROWS]; COLS / 2],
    factors: Factors<{ COLS / 32 }>,
    block: std::marker::PhantomData<B>,
}

impl<B: Integers> Panel for Pairs<B> {
    type Block = B;
    const COLS: usize = COLS;

    fn new() -> Self {
        Pairs { quants: [[[0; 2]; ROWS]; COLS / 2], factors: Factors::new(), block: std::marker::PhantomData }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>) {
        let mut quants = [[0i16; 256]; ROWS];
        for (i, b) in blocks.enumerate() {
            self.factors.clear(i);
            for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(&row[b * size_of::<B>()..][..size_of::<B>()]);
                block.quants(&mut quants[r]);
                self.factors.unpack(i, r, &block);
            }
            interleave(&quants, &mut self.quants[i * B::LEN / 2..][..B::LEN / 2]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn multiply(&self, acts: &TokenGroup<'_>, blocks: Range<usize>, sums: &mut Sums) {
        let first = blocks.start;
        for b in blocks {
            for p in 0..parts::<B>() {
                let (part, act) = ((b - first) * parts::<B>() + p, b * parts::<B>() + p);
                let dots = dot_pairs(&self.quants[16 * part..][..16], &acts.pairs[16 * act..][..16]);
                self.factors.add_part::<B>((b - first, part), dots, acts, act, sums);
            }
        }
    }
}

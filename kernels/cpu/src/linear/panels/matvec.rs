//! One token, or a few, times panels: every weight is used as it is read.
//!
//! Panels that lie far apart can be read in turns, for one stream of reads does not fill every core's memory bandwidth:
//! [`Reading`].

use std::ops::Range;

use super::formats::{InLanes, Lines};
use super::lanes::{Lanes, pair};
use super::layout::ROWS;
use super::{array, bytes_of_format};
use crate::linear::activations::{Activations, QuantizedRow};
use crate::linear::output::Output;
use crate::linear::reading::Reading;

/// All panels times all `tokens`, so many at a time that their sums stay in registers.
#[inline(always)]
pub(super) fn matvec<L: Lanes, B: InLanes>(
    l: L,
    panels: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    reading: Reading,
    out: &mut Output<'_>,
) {
    let mut done = 0;
    while done < tokens.len() {
        let row = |i: usize| acts.row(tokens.start + done + i);
        done += match tokens.len() - done {
            1 => streams::<L, B, 1>(l, panels, cols, [row(0)], reading, out, done),
            2 | 3 => streams::<L, B, 2>(l, panels, cols, [0, 1].map(row), reading, out, done),
            _ => streams::<L, B, 4>(l, panels, cols, [0, 1, 2, 3].map(row), reading, out, done),
        };
    }
}

/// Multiplies all panels, some at a time, with `T` tokens, and writes from token `done` on; returns `T`.
#[inline(always)]
fn streams<L: Lanes, B: InLanes, const T: usize>(
    l: L,
    panels: &[u8],
    cols: usize,
    acts: [QuantizedRow<'_>; T],
    reading: Reading,
    out: &mut Output<'_>,
    done: usize,
) -> usize {
    let (n_blocks, block_bytes) = (cols / B::LEN, ROWS * size_of::<B>());
    let panel_bytes = n_blocks * block_bytes;
    let n_panels = panels.len() / panel_bytes;
    let distance = n_panels.div_ceil(reading.streams);
    for p in 0..distance {
        let starts = (p..n_panels).step_by(distance);
        let mut sums = [[[l.splat_float(0.0); T]; ROWS / 8]; Reading::MOST_STREAMS];
        for b in 0..n_blocks {
            for (sums, p) in sums.iter_mut().zip(starts.clone()) {
                let block = &panels[p * panel_bytes + b * block_bytes..][..block_bytes];
                for i in 0..ROWS / L::N {
                    add_block::<L, B, T>(l, block, i, &acts, b, reading.ahead, &mut sums[i]);
                }
            }
        }
        for (sums, p) in sums.iter().zip(starts) {
            for t in 0..T {
                let mut values = [0.0; ROWS];
                for i in 0..ROWS / L::N {
                    l.store_floats(sums[i][t], &mut values, i);
                }
                let out = &mut out.token(done + t)[ROWS * p..];
                let n = out.len().min(ROWS);
                out[..n].copy_from_slice(&values[..n]);
            }
        }
    }
    T
}

/// Asks for what comes so many bytes after the `i`th of `n` pieces of a block. All at once, they would keep the reads of
/// this block waiting.
#[inline(always)]
fn prefetch(block: &[u8], i: usize, n: usize, ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in block.len() / 64 * i / n..block.len() / 64 * (i + 1) / n {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: an address that is not there is no fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(ahead + 64 * line).cast()) }
    }
}

/// Adds vector `i` of block `b` of a panel's rows times the tokens, part by part in the order of every other kernel.
#[inline(always)]
fn add_block<L: Lanes, B: InLanes, const T: usize>(
    l: L,
    block: &[u8],
    i: usize,
    acts: &[QuantizedRow<'_>; T],
    b: usize,
    ahead: usize,
    sums: &mut [L::F; T],
) {
    let (panel, block) = (block, Lines::new::<B>(l, block, i));
    let parts = B::LEN / 32;
    let factors = B::factors(block);
    let offsets = if B::HAS_OFFSET { B::offsets(block) } else { factors };
    // Written out, for the bits that a part is made of are then constants, and those that parts share are decoded once.
    macro_rules! part {
        ($p:literal) => {
            if $p < parts {
                prefetch(panel, i * parts + $p, ROWS / L::N * parts, ahead);
                let floats = (B::part_scales(block, factors, $p), B::part_offsets(block, offsets, $p));
                add_part::<L, B, T>(l, block, $p, floats, acts, b * parts + $p, sums);
            }
        };
    }
    part!(0);
    part!(1);
    part!(2);
    part!(3);
    part!(4);
    part!(5);
    part!(6);
    part!(7);
}

/// Adds part `p` of a block, which is part `at` of the rows, given its scales and offsets.
#[inline(always)]
fn add_part<L: Lanes, B: InLanes, const T: usize>(
    l: L,
    block: Lines<'_, L>,
    p: usize,
    (scales, offsets): (L::F, L::F),
    acts: &[QuantizedRow<'_>; T],
    at: usize,
    sums: &mut [L::F; T],
) {
    let bytes = bytes_of_format::<B>();
    let weights = B::bytes_of(block, p);
    let [a, b, c, d, e, f, g, h] = weights;
    for t in 0..T {
        let qs: &[[i8; 4]; 8] = array(acts[t].qs.as_chunks::<4>().0, 8 * at);
        let (&[low, high], act_scale) = (array(acts[t].sums, 2 * at), acts[t].scales[at]);
        let sum = i32::from(low) + i32::from(high);
        let dots = if B::IS_SPLIT {
            let first = l.dot(bytes, [a, b, c, d], array(qs, 0), low.into());
            let second = l.dot(bytes, [e, f, g, h], array(qs, 4), high.into());
            let first = l.mul(first, B::scale_of(block, 2 * p));
            l.add(first, l.mul(second, B::scale_of(block, 2 * p + 1)))
        } else {
            l.dot(bytes, weights, qs, sum)
        };
        let splat_scale = l.splat_float(act_scale);
        sums[t] = l.mul_add(l.float(dots), l.mul_float(scales, splat_scale), sums[t]);
        if B::HAS_OFFSET {
            let minima = if B::IS_SPLIT {
                let halves = l.splat(pair([low, high]));
                l.mul_float(l.float(l.mul_halves(B::minima_of(block, p), halves)), splat_scale)
            } else {
                l.splat_float(sum as f32 * act_scale)
            };
            sums[t] = l.mul_add(offsets, minima, sums[t]);
        }
        sums[t] = l.of_bits(l.pin(l.bits(sums[t])));
    }
}

//! Panels of unsigned bytes, for quants of up to 6 bits.
//!
//! One `vpmaddubsw` and one addition take four columns of eight rows. The additions stay in 16 bits for a whole block of
//! 32 (4 bits: 16 products of 15 * 127), for half of it (5 bits: 8 products of 31 * 127) or a quarter (6 bits: 4 products of
//! 63 * 127), or as far as a scale goes; then one `vpmaddwd` widens them, and multiplies the integer scale in where the format has one.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::{Dots, Factors, Panel, ROWS, Sums, dot_pairs, halves, interleave, parts};
use crate::linear::activations::{TOKENS, TokenGroup};
use crate::linear::integers::Integers;

const COLS: usize = 1024;

/// 16 rows of blocks `B` in unsigned bytes.
#[repr(align(64))]
pub(in super::super) struct Quads<B> {
    /// `[four columns][row][4]`.
    quants: [[[u8; 4]; ROWS]; COLS / 4],
    /// `[32 or 16 columns][row]`: the integer scale, twice.
    scales: [[[i16; 2]; ROWS]; COLS / 16],
    /// `[32 columns][row]`: the zero point times the scale of each half, where the format has both.
    zeros: [[[i16; 2]; ROWS]; COLS / 32],
    factors: Factors<{ COLS / 32 }>,
    block: std::marker::PhantomData<B>,
}

impl<B: Integers> Panel for Quads<B> {
    type Block = B;
    const COLS: usize = COLS;

    fn new() -> Self {
        Quads {
            quants: [[[0; 4]; ROWS]; COLS / 4],
            scales: [[[0; 2]; ROWS]; COLS / 16],
            zeros: [[[0; 2]; ROWS]; COLS / 32],
            factors: Factors::new(),
            block: std::marker::PhantomData,
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>) {
        let mut bytes = [[0u8; 256]; ROWS];
        for (i, b) in blocks.enumerate() {
            self.factors.clear(i);
            for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                let block: B = bytemuck::pod_read_unaligned(&row[b * size_of::<B>()..][..size_of::<B>()]);
                block.bytes(&mut bytes[r]);
                self.factors.unpack(i, r, &block);
                let mut scales = [1; 16];
                block.scales(&mut scales);
                let n_scales = scales_per_part::<B>() * parts::<B>();
                for s in 0..n_scales {
                    self.scales[i * n_scales + s][r] = [scales[s]; 2];
                }
                if has_zeros::<B>() {
                    for p in 0..parts::<B>() {
                        let of_part = &scales[scales_per_part::<B>() * p..][..scales_per_part::<B>()];
                        let last = of_part[of_part.len() - 1];
                        self.zeros[i * parts::<B>() + p][r] = [B::ZERO * of_part[0], B::ZERO * last];
                    }
                }
            }
            interleave(&bytes, &mut self.quants[i * B::LEN / 4..][..B::LEN / 4]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn multiply(&self, acts: &TokenGroup<'_>, blocks: Range<usize>, sums: &mut Sums) {
        let first = blocks.start;
        for b in blocks {
            for p in 0..parts::<B>() {
                let (part, act) = ((b - first) * parts::<B>() + p, b * parts::<B>() + p);
                let quants = &self.quants[8 * part..][..8];
                let quads = &acts.quads[8 * act..][..8];
                let n_scales = scales_per_part::<B>();
                let scales = &self.scales[n_scales * part..][..n_scales];
                let mut dots = [[_mm256_setzero_si256(); 2]; TOKENS];
                if B::BITS <= 4 && n_scales == 1 {
                    add_products(&mut dots, dot_quads::<8>(quants, quads), &scales[0]);
                } else if B::BITS <= 5 {
                    for half in 0..2 {
                        let (quants, quads) = (&quants[4 * half..][..4], &quads[4 * half..][..4]);
                        add_products(&mut dots, dot_quads::<4>(quants, quads), &scales[half * n_scales / 2]);
                    }
                } else {
                    for quarter in 0..4 {
                        let (quants, quads) = (&quants[2 * quarter..][..2], &quads[2 * quarter..][..2]);
                        add_products(&mut dots, dot_quads::<2>(quants, quads), &scales[quarter * n_scales / 4]);
                    }
                }
                if has_zeros::<B>() {
                    let zeros = dot_pairs(&self.zeros[part..=part], &acts.sums[act..=act]);
                    for t in 0..TOKENS {
                        dots[t][0] = _mm256_sub_epi32(dots[t][0], zeros[t][0]);
                        dots[t][1] = _mm256_sub_epi32(dots[t][1], zeros[t][1]);
                    }
                } else if B::ZERO != 0 {
                    for t in 0..TOKENS {
                        let sums = _mm256_set1_epi32(bytemuck::cast(acts.sums[act][t]));
                        let zero = _mm256_madd_epi16(sums, _mm256_set1_epi16(B::ZERO));
                        dots[t][0] = _mm256_sub_epi32(dots[t][0], zero);
                        dots[t][1] = _mm256_sub_epi32(dots[t][1], zero);
                    }
                }
                self.factors.add_part::<B>((b - first, part), dots, acts, act, sums);
            }
        }
    }
}

/// Integer scales for 32 columns of a row.
const fn scales_per_part<B: Integers>() -> usize {
    match B::SCALE_LEN {
        Some(len) => 32 / len,
        None => 1,
    }
}

/// Whether each row has a zero point of its own.
const fn has_zeros<B: Integers>() -> bool {
    B::ZERO != 0 && B::SCALE_LEN.is_some()
}

/// The products of 16 rows with four tokens, summed over `N` times two columns into each 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot_quads<const N: usize>(rows: &[[[u8; 4]; ROWS]], acts: &[[[i8; 4]; TOKENS]]) -> Dots {
    let zero = _mm256_setzero_si256();
    let (mut a_low, mut b_low, mut c_low, mut d_low) = (zero, zero, zero, zero);
    let (mut a_high, mut b_high, mut c_high, mut d_high) = (zero, zero, zero, zero);
    for i in 0..N {
        let [low, high] = halves(bytemuck::cast_ref(&rows[i]));
        let [a, b, c, d] = acts[i];
        let a = _mm256_set1_epi32(bytemuck::cast(a));
        a_low = _mm256_add_epi16(a_low, _mm256_maddubs_epi16(low, a));
        a_high = _mm256_add_epi16(a_high, _mm256_maddubs_epi16(high, a));
        let b = _mm256_set1_epi32(bytemuck::cast(b));
        b_low = _mm256_add_epi16(b_low, _mm256_maddubs_epi16(low, b));
        b_high = _mm256_add_epi16(b_high, _mm256_maddubs_epi16(high, b));
        let c = _mm256_set1_epi32(bytemuck::cast(c));
        c_low = _mm256_add_epi16(c_low, _mm256_maddubs_epi16(low, c));
        c_high = _mm256_add_epi16(c_high, _mm256_maddubs_epi16(high, c));
        let d = _mm256_set1_epi32(bytemuck::cast(d));
        d_low = _mm256_add_epi16(d_low, _mm256_maddubs_epi16(low, d));
        d_high = _mm256_add_epi16(d_high, _mm256_maddubs_epi16(high, d));
        // SAFETY: no instruction at all. It only keeps the compiler from computing one sum after the other, for which it
        // would have to spill.
        unsafe {
            asm!(
                "/* {0} {1} {2} {3} {4} {5} {6} {7} */",
                inout(ymm_reg) a_low, inout(ymm_reg) a_high, inout(ymm_reg) b_low, inout(ymm_reg) b_high,
                inout(ymm_reg) c_low, inout(ymm_reg) c_high, inout(ymm_reg) d_low, inout(ymm_reg) d_high,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
    [[a_low, a_high], [b_low, b_high], [c_low, c_high], [d_low, d_high]]
}

/// `dots += scales * products`, widened to 32 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_products(dots: &mut Dots, products: Dots, scales: &[[i16; 2]; ROWS]) {
    let [low, high] = halves(bytemuck::cast_ref(scales));
    for t in 0..TOKENS {
        dots[t][0] = _mm256_add_epi32(dots[t][0], _mm256_madd_epi16(products[t][0], low));
        dots[t][1] = _mm256_add_epi32(dots[t][1], _mm256_madd_epi16(products[t][1], high));
    }
}

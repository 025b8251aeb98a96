//! Matmul for every integer format: panels of 16 rows, unpacked once, times four tokens at a time.
//!
//! A panel interleaves its rows: a vector holds the same few columns of each of eight rows, and meets these columns of
//! a token, broadcast by a load. So nothing is ever added up across lanes, and a scale multiplies eight rows at once.
//! The panel stays in the first-level cache while all tokens pass over it.
//!
//! [`pairs`] serves every format, two columns of 16 bits at a time. [`quads`] is faster, and takes quants of up to 6
//! bits, four columns at a time.

mod pairs;
mod quads;

use std::arch::x86_64::*;
use std::ops::Range;

use super::vectors::{bytes, four, load_32};
use crate::linear::activations::{Activations, TOKENS, TokenGroup};
use crate::linear::integers::Integers;
use crate::linear::output::Output;

pub(super) use pairs::Pairs;
pub(super) use quads::Quads;

/// Rows of a panel: two vectors of eight lanes.
const ROWS: usize = 16;
/// Tokens for which running sums are kept, so many that unpacking the weights is a small part of the work.
const MAX_TOKENS: usize = 512;

/// The running sums of a group of tokens: `[token][half of the rows]`.
type Sums = [[__m256; 2]; TOKENS];

/// The same, in integers.
type Dots = [[__m256i; 2]; TOKENS];

/// 16 rows times some columns of a weight, unpacked.
pub(super) trait Panel {
    /// What it is unpacked from.
    type Block: Integers;
    /// Columns that it holds: whole blocks of any format.
    const COLS: usize;

    /// A panel of zeros.
    fn new() -> Self;

    /// Unpacks `blocks` of up to 16 rows. Rows that are not there get scales of zero.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and F16C.
    unsafe fn unpack(&mut self, rows: &[u8], row_bytes: usize, blocks: Range<usize>);

    /// Adds the panel, which holds `blocks` of its rows, times four tokens.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and F16C.
    unsafe fn multiply(&self, acts: &TokenGroup<'_>, blocks: Range<usize>, sums: &mut Sums);
}

/// Matmul through one kind of panel.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn matmul<P: Panel>(
    rows: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let (n_blocks, panel_blocks) = (cols / P::Block::LEN, P::COLS / P::Block::LEN);
    let row_bytes = n_blocks * size_of::<P::Block>();
    let mut panel = P::new();
    let mut sums = [[[_mm256_setzero_ps(); 2]; TOKENS]; MAX_TOKENS / TOKENS];
    // Groups of tokens are those of the activations, whatever part of them this call computes.
    let groups = tokens.start / TOKENS..tokens.end.div_ceil(TOKENS);
    for (p, rows) in rows.chunks(ROWS * row_bytes).enumerate() {
        for first in groups.clone().step_by(sums.len()) {
            let groups = first..groups.end.min(first + sums.len());
            sums[..groups.len()].fill([[_mm256_setzero_ps(); 2]; TOKENS]);
            for first_block in (0..n_blocks).step_by(panel_blocks) {
                let blocks = first_block..n_blocks.min(first_block + panel_blocks);
                // SAFETY: this function has the features.
                unsafe { panel.unpack(rows, row_bytes, blocks.clone()) }
                for (sums, group) in sums.iter_mut().zip(groups.clone()) {
                    // SAFETY: as above.
                    unsafe { panel.multiply(&acts.group(group), blocks.clone(), sums) }
                }
            }
            for (sums, group) in sums.iter().zip(groups) {
                for (i, sums) in sums.iter().enumerate() {
                    let t = group * TOKENS + i;
                    if tokens.contains(&t) {
                        write(sums, &mut out.token(t - tokens.start)[p * ROWS..]);
                    }
                }
            }
        }
    }
}

/// What both panels keep for each block beside its quants.
struct Factors<const PARTS: usize> {
    /// `[block][row]`.
    scales: [[f32; ROWS]; PARTS],
    /// `[block][row]`.
    offsets: [[f32; ROWS]; PARTS],
    /// `[part of 32][row]`: the minima of its two halves.
    minima: [[[i16; 2]; ROWS]; PARTS],
}

impl<const PARTS: usize> Factors<PARTS> {
    fn new() -> Self {
        Factors { scales: [[0.0; ROWS]; PARTS], offsets: [[0.0; ROWS]; PARTS], minima: [[[0; 2]; ROWS]; PARTS] }
    }

    /// Forgets block `i` of all rows.
    fn clear(&mut self, i: usize) {
        (self.scales[i], self.offsets[i]) = ([0.0; ROWS], [0.0; ROWS]);
    }

    /// Unpacks block `i` of row `r`.
    #[inline(always)]
    fn unpack<B: Integers>(&mut self, i: usize, r: usize, block: &B) {
        self.scales[i][r] = block.scale();
        if B::HAS_OFFSET {
            self.offsets[i][r] = block.offset();
            let mut minima = [0; 16];
            block.minima(&mut minima);
            for (part, out) in self.minima[i * parts::<B>()..][..parts::<B>()].iter_mut().enumerate() {
                out[r] = [minima[2 * part], minima[2 * part + 1]];
            }
        }
    }

    /// Adds a part's products and minima times their scales: block `i` and `part` of the panel, `act` of the tokens.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn add_part<B: Integers>(
        &self,
        (i, part): (usize, usize),
        dots: Dots,
        acts: &TokenGroup<'_>,
        act: usize,
        sums: &mut Sums,
    ) {
        add_scaled(sums, dots, &self.scales[i], &acts.scales[act]);
        if B::HAS_OFFSET {
            let dots = dot_pairs(&self.minima[part..=part], &acts.sums[act..=act]);
            add_scaled(sums, dots, &self.offsets[i], &acts.scales[act]);
        }
    }
}

/// Parts of 32 in a block.
const fn parts<B: Integers>() -> usize {
    B::LEN / 32
}

/// The products of 16 rows with four tokens in 16 bits, summed over the columns.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot_pairs(rows: &[[[i16; 2]; ROWS]], acts: &[[[i16; 2]; TOKENS]]) -> Dots {
    let zero = _mm256_setzero_si256();
    // Named one by one, so that they stay in registers.
    let (mut a_low, mut b_low, mut c_low, mut d_low) = (zero, zero, zero, zero);
    let (mut a_high, mut b_high, mut c_high, mut d_high) = (zero, zero, zero, zero);
    for i in 0..rows.len().min(acts.len()) {
        let [low, high] = halves(bytemuck::cast_ref(&rows[i]));
        let [a, b, c, d] = acts[i];
        let a = _mm256_set1_epi32(bytemuck::cast(a));
        a_low = _mm256_add_epi32(a_low, _mm256_madd_epi16(low, a));
        a_high = _mm256_add_epi32(a_high, _mm256_madd_epi16(high, a));
        let b = _mm256_set1_epi32(bytemuck::cast(b));
        b_low = _mm256_add_epi32(b_low, _mm256_madd_epi16(low, b));
        b_high = _mm256_add_epi32(b_high, _mm256_madd_epi16(high, b));
        let c = _mm256_set1_epi32(bytemuck::cast(c));
        c_low = _mm256_add_epi32(c_low, _mm256_madd_epi16(low, c));
        c_high = _mm256_add_epi32(c_high, _mm256_madd_epi16(high, c));
        let d = _mm256_set1_epi32(bytemuck::cast(d));
        d_low = _mm256_add_epi32(d_low, _mm256_madd_epi16(low, d));
        d_high = _mm256_add_epi32(d_high, _mm256_madd_epi16(high, d));
    }
    [[a_low, a_high], [b_low, b_high], [c_low, c_high], [d_low, d_high]]
}

/// `sums += row_scales * token_scales * dots`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_scaled(sums: &mut Sums, dots: Dots, row_scales: &[f32; ROWS], token_scales: &[f32; TOKENS]) {
    let [low, high] = halves(bytemuck::cast_ref(row_scales));
    let (low, high) = (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high));
    for i in 0..TOKENS {
        let scale = _mm256_set1_ps(token_scales[i]);
        sums[i][0] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[i][0]), _mm256_mul_ps(low, scale), sums[i][0]);
        sums[i][1] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[i][1]), _mm256_mul_ps(high, scale), sums[i][1]);
    }
}

/// Turns rows of 4 bytes each into columns, eight by eight: `out[column][row] = rows[row][column]`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn interleave<R: bytemuck::Pod, C: bytemuck::Pod>(rows: &[R; ROWS], out: &mut [[C; ROWS]]) {
    const { assert!(size_of::<C>() == 4) }
    for (c, out) in out.chunks_exact_mut(8).enumerate() {
        for half in 0..2 {
            let top = four_rows(four!(R => load_32(bytes(bytemuck::bytes_of(&rows[8 * half + R]), 32 * c))));
            let bottom = four_rows(four!(R => load_32(bytes(bytemuck::bytes_of(&rows[8 * half + 4 + R]), 32 * c))));
            for i in 0..4 {
                store(_mm256_permute2x128_si256::<0x20>(top[i], bottom[i]), &mut out[i], half);
                store(_mm256_permute2x128_si256::<0x31>(top[i], bottom[i]), &mut out[i + 4], half);
            }
        }
    }
}

/// Of four rows of eight columns: column `i` of all rows in the lower, column `i + 4` in the upper half.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn four_rows([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Writes the sums of a token, as many as there are rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn write(sums: &[__m256; 2], out: &mut [f32]) {
    let mut values = [0.0f32; ROWS];
    let [low, high] = values.as_chunks_mut::<8>().0 else { return };
    // SAFETY: both arrays have eight values.
    unsafe {
        _mm256_storeu_ps(low.as_mut_ptr(), sums[0]);
        _mm256_storeu_ps(high.as_mut_ptr(), sums[1]);
    }
    let n = out.len().min(ROWS);
    out[..n].copy_from_slice(&values[..n]);
}

/// The lower and the upper eight lanes of 16.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(lanes: &[u8; 4 * ROWS]) -> [__m256i; 2] {
    [load_32(bytes(lanes, 0)), load_32(bytes(lanes, 32))]
}

/// Writes eight rows to the lower or the upper half of 16.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store<C: bytemuck::Pod>(rows: __m256i, out: &mut [C; ROWS], half: usize) {
    const { assert!(size_of::<C>() == 4) }
    let out = &mut out[8 * half..][..8];
    // SAFETY: the slice has eight items of 4 bytes.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), rows) }
}

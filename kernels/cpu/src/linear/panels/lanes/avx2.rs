//! Eight lanes: AVX2, and AVX-VNNI, which differ in how bytes are multiplied.

use std::arch::asm;
use std::arch::x86_64::*;

use super::vnni::{self, Vnni};
use super::{Bytes, Lanes, Quad, dword, floats, methods, pair};
use crate::linear::activations::{GroupSums, TOKENS};
use crate::{Avx2, AvxVnni};

const N: usize = 8;

/// What the two have in common.
macro_rules! eight_lanes {
    () => {
        const N: usize = N;
        const VECTORS: usize = 2;
        type I = __m256i;
        type F = __m256;

        methods! {
            fn pin(self, x: __m256i) -> __m256i { in_order(x) }
            fn load(self, bytes: &[u8], i: usize) -> __m256i {
                _mm256_loadu_si256(bytes[4 * N * i..][..4 * N].as_ptr().cast())
            }
            fn store(self, x: __m256i, bytes: &mut [u8], i: usize) {
                _mm256_storeu_si256(bytes[4 * N * i..][..4 * N].as_mut_ptr().cast(), x)
            }
            fn load_words(self, bytes: &[u8], i: usize) -> __m256i {
                _mm256_cvtepu16_epi32(_mm_loadu_si128(bytes[2 * N * i..][..2 * N].as_ptr().cast()))
            }
            fn load_halves(self, bytes: &[u8], i: usize) -> __m256 {
                _mm256_cvtph_ps(_mm_loadu_si128(bytes[2 * N * i..][..2 * N].as_ptr().cast()))
            }
            fn load_floats(self, values: &[f32], i: usize) -> __m256 {
                _mm256_loadu_ps(values[N * i..][..N].as_ptr())
            }
            fn store_floats(self, x: __m256, values: &mut [f32], i: usize) {
                _mm256_storeu_ps(values[N * i..][..N].as_mut_ptr(), x)
            }
            fn splat(self, x: i32) -> __m256i { _mm256_set1_epi32(x) }
            fn splat_float(self, x: f32) -> __m256 { _mm256_set1_ps(x) }
            fn and(self, a: __m256i, b: __m256i) -> __m256i { _mm256_and_si256(a, b) }
            fn or(self, a: __m256i, b: __m256i) -> __m256i { _mm256_or_si256(a, b) }
            fn xor(self, a: __m256i, b: __m256i) -> __m256i { _mm256_xor_si256(a, b) }
            fn shl(self, x: __m256i, n: u32) -> __m256i { _mm256_sll_epi32(x, _mm_cvtsi32_si128(n as i32)) }
            fn shr(self, x: __m256i, n: u32) -> __m256i { _mm256_srl_epi32(x, _mm_cvtsi32_si128(n as i32)) }
            fn sar(self, x: __m256i, n: u32) -> __m256i { _mm256_sra_epi32(x, _mm_cvtsi32_si128(n as i32)) }
            fn add(self, a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(a, b) }
            fn mul(self, a: __m256i, b: __m256i) -> __m256i { _mm256_mullo_epi32(a, b) }
            fn mul_halves(self, a: __m256i, b: __m256i) -> __m256i { _mm256_madd_epi16(a, b) }
            fn lookup(self, table: &[u8; 16], indices: __m256i) -> __m256i {
                let table = _mm_loadu_si128(table.as_ptr().cast());
                _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), indices)
            }
            fn float(self, x: __m256i) -> __m256 { _mm256_cvtepi32_ps(x) }
            fn bits(self, x: __m256) -> __m256i { _mm256_castps_si256(x) }
            fn of_bits(self, x: __m256i) -> __m256 { _mm256_castsi256_ps(x) }
            fn mul_float(self, a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
            fn neg(self, x: __m256) -> __m256 { _mm256_xor_ps(x, _mm256_set1_ps(-0.0)) }
            fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        }
    };
}

impl Lanes for Avx2 {
    eight_lanes!();

    /// As many products as fit are added up in 16 bits before they are widened.
    #[inline(always)]
    fn dot<const K: usize>(self, bytes: Bytes, weights: [__m256i; K], acts: &[[i8; 4]; K], sum: i32) -> __m256i {
        if bytes.bits == 8 {
            let mut out = self.splat(0);
            for k in 0..K {
                out = self.add(out, self.signed_products(self.signed(weights[k]), self.splat(dword(acts[k]))));
            }
            return out;
        }
        let depth = bytes.depth(0).min(K);
        let mut out = self.splat(-bytes.zero * sum);
        for first in (0..K).step_by(depth) {
            let mut products = self.splat(0);
            for k in first..first + depth {
                let acts = self.splat(dword(acts[k]));
                products = self.add_words(products, self.unsigned_products(weights[k], acts));
            }
            out = self.add(out, self.mul_halves(products, self.splat(ONES)));
        }
        out
    }

    #[inline(always)]
    fn products<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        acts: &[Quad; 8],
        sums: &GroupSums,
    ) -> [[__m256; V]; TOKENS] {
        let ones = [self.splat(ONES); V];
        let mut out = [[self.splat(0); V]; TOKENS];
        if bytes.bits == 8 {
            for k in 0..8 {
                for v in 0..V {
                    let weights = self.signed(self.load(weights, V * k + v));
                    for t in 0..TOKENS {
                        let acts = self.splat(dword(acts[k][t]));
                        out[t][v] = self.pin(self.add(out[t][v], self.signed_products(weights, acts)));
                    }
                }
            }
        } else if bytes.depth(bytes.zero) >= 8 {
            let mut words = [self.splat(0); TOKENS];
            for t in 0..TOKENS {
                let [first, second] = sums.words[t].map(pair);
                words[t] = self.add_words(self.splat(first), self.splat(second));
            }
            out = self.widened(self.word_sums::<V>(bytes, weights, acts, words), ones);
        } else {
            assert_eq!(bytes.zero, 0, "no zero point in parts of sums");
            let (first, second) = weights.split_at(weights.len() / 2);
            let none = [self.splat(0); TOKENS];
            out = self.widened(self.word_sums::<V>(bytes, first, &acts[..4], none), ones);
            let more = self.widened(self.word_sums::<V>(bytes, second, &acts[4..], none), ones);
            out = self.sum(out, more);
        }
        floats(self, out)
    }

    #[inline(always)]
    fn split_scales(self, scales: __m256i) -> __m256i {
        self.or(self.and(scales, self.splat(0xffff)), self.shl(scales, 16))
    }

    /// The scales go into the multiplication that widens the sums anyway.
    #[inline(always)]
    fn split_products<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        scales: [[__m256i; V]; 2],
        acts: &[Quad; 8],
        sums: &GroupSums,
    ) -> [[__m256; V]; TOKENS] {
        let mut words = [[self.splat(0); TOKENS]; 2];
        for t in 0..TOKENS {
            for h in 0..2 {
                words[h][t] = self.splat(pair(sums.words[t][h]));
            }
        }
        let (first, second) = weights.split_at(weights.len() / 2);
        let out = self.widened(self.word_sums::<V>(bytes, first, &acts[..4], words[0]), scales[0]);
        let more = self.widened(self.word_sums::<V>(bytes, second, &acts[4..], words[1]), scales[1]);
        floats(self, self.sum(out, more))
    }
}

impl Avx2 {
    methods! {
        fn add_words(self, a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi16(a, b) }
        fn mul_words(self, a: __m256i, b: __m256i) -> __m256i { _mm256_mullo_epi16(a, b) }
        fn unsigned_products(self, weights: __m256i, acts: __m256i) -> __m256i { _mm256_maddubs_epi16(weights, acts) }
        /// The signs go to the activations, since `vpmaddubsw` takes one side unsigned: two products are at most
        /// 2 * 128 * 127.
        fn signed_products(self, weights: __m256i, acts: __m256i) -> __m256i {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(acts, weights));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        }
        /// Bytes of which 128 is taken off.
        fn signed(self, weights: __m256i) -> __m256i { _mm256_xor_si256(weights, _mm256_set1_epi8(-128)) }
    }

    /// The products with `acts`, four columns at a time, added up in 16 bits. The zero point comes in at the start, through
    /// `words`: what the activations add up to where their products stand. So only the sum must fit, not what it grows
    /// from, for 16 bits wrap.
    #[inline(always)]
    fn word_sums<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        acts: &[Quad],
        words: [__m256i; TOKENS],
    ) -> [[__m256i; V]; TOKENS] {
        assert!(acts.len() <= bytes.depth(bytes.zero), "sums of 16 bits of {bytes:?}");
        let mut sums = [[self.splat(0); V]; TOKENS];
        if bytes.zero != 0 {
            for t in 0..TOKENS {
                sums[t] = [self.mul_words(words[t], self.splat(pair([-bytes.zero as i16; 2]))); V];
            }
        }
        for k in 0..acts.len() {
            for t in 0..TOKENS {
                let acts = self.splat(dword(acts[k][t]));
                for v in 0..V {
                    let more = self.unsigned_products(self.load(weights, V * k + v), acts);
                    sums[t][v] = self.pin(self.add_words(sums[t][v], more));
                }
            }
        }
        sums
    }

    /// Sums of 16 bits, times those of `factors`, added up in twos.
    #[inline(always)]
    fn widened<const V: usize>(
        self,
        mut sums: [[__m256i; V]; TOKENS],
        factors: [__m256i; V],
    ) -> [[__m256i; V]; TOKENS] {
        for t in 0..TOKENS {
            for v in 0..V {
                sums[t][v] = self.mul_halves(sums[t][v], factors[v]);
            }
        }
        sums
    }

    #[inline(always)]
    fn sum<const V: usize>(self, mut a: [[__m256i; V]; TOKENS], b: [[__m256i; V]; TOKENS]) -> [[__m256i; V]; TOKENS] {
        for t in 0..TOKENS {
            for v in 0..V {
                a[t][v] = self.add(a[t][v], b[t][v]);
            }
        }
        a
    }
}

/// A one in each 16 bits.
const ONES: i32 = 0x0001_0001;

impl Bytes {
    /// How many fours of columns can be added up in two sums of 16 bits, if `zero` is taken off the bytes.
    const fn depth(self, zero: i32) -> usize {
        let above = (1 << self.bits) - 1 - zero;
        let largest = if above > zero { above } else { zero };
        (i16::MAX as i32 / (2 * 127 * largest)) as usize
    }
}

impl Lanes for AvxVnni {
    eight_lanes!();
    vnni::byte_products!();
}

impl Vnni for AvxVnni {
    methods! {
        fn add_products(self, sums: __m256i, weights: __m256i, acts: __m256i) -> __m256i {
            _mm256_dpbusd_avx_epi32(sums, weights, acts)
        }
    }
}

/// Keeps sums in the order in which they are written: left alone, the compiler computes one sum after the other, for
/// which it has to spill.
///
/// # Safety
/// The processor must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn in_order(mut x: __m256i) -> __m256i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) }
    x
}

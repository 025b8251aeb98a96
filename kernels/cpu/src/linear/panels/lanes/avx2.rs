//! Eight lanes: AVX2, and AVX-VNNI, which differ in how bytes are multiplied.

use std::arch::asm;
use std::arch::x86_64::*;

use super::vnni::{self, Vnni};
use super::{Bytes, Lanes, Quad, dword, methods};
use crate::linear::activations::TOKENS;
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
            fn mul_float(self, a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
            fn neg(self, x: __m256) -> __m256 { _mm256_xor_ps(x, _mm256_set1_ps(-0.0)) }
            fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        }
    };
}

impl Lanes for Avx2 {
    eight_lanes!();

    /// Products of up to 6 bits are added up in 16 bits before they are widened. Of 8 bits, the signs go to the
    /// activations, since `vpmaddubsw` takes one side unsigned: two products are at most 2 * 128 * 127.
    #[inline(always)]
    fn dot<const K: usize>(self, bytes: Bytes, weights: [__m256i; K], acts: &[[i8; 4]; K], sum: i32) -> __m256i {
        if bytes.bits == 8 {
            let mut out = self.splat(0);
            for k in 0..K {
                let weights = self.xor(weights[k], self.splat(SIGNS));
                out = self.add(out, self.signed_products(weights, self.splat(dword(acts[k]))));
            }
            return out;
        }
        let depth = depth(bytes.bits).min(K);
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
    fn products<const V: usize, const K: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        acts: &[Quad; K],
        sums: [i32; TOKENS],
    ) -> [[__m256i; V]; TOKENS] {
        let mut out = [[self.splat(0); V]; TOKENS];
        if bytes.bits == 8 {
            for k in 0..K {
                for v in 0..V {
                    let weights = self.xor(self.load(weights, V * k + v), self.splat(SIGNS));
                    for t in 0..TOKENS {
                        let acts = self.splat(dword(acts[k][t]));
                        out[t][v] = self.pin(self.add(out[t][v], self.signed_products(weights, acts)));
                    }
                }
            }
            return out;
        }
        for t in 0..TOKENS {
            out[t] = [self.splat(-bytes.zero * sums[t]); V];
        }
        let depth = depth(bytes.bits).min(K);
        for first in (0..K).step_by(depth) {
            let mut products = [[self.splat(0); V]; TOKENS];
            for k in first..first + depth {
                for t in 0..TOKENS {
                    let acts = self.splat(dword(acts[k][t]));
                    for v in 0..V {
                        let more = self.unsigned_products(self.load(weights, V * k + v), acts);
                        products[t][v] = self.pin(self.add_words(products[t][v], more));
                    }
                }
            }
            for t in 0..TOKENS {
                for v in 0..V {
                    out[t][v] = self.add(out[t][v], self.mul_halves(products[t][v], self.splat(ONES)));
                }
            }
        }
        out
    }
}

impl Avx2 {
    methods! {
        fn pin(self, x: __m256i) -> __m256i { in_order(x) }
        fn add_words(self, a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi16(a, b) }
        fn unsigned_products(self, weights: __m256i, acts: __m256i) -> __m256i { _mm256_maddubs_epi16(weights, acts) }
        fn signed_products(self, weights: __m256i, acts: __m256i) -> __m256i {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(acts, weights));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        }
    }
}

/// A one in each 16 bits.
const ONES: i32 = 0x0001_0001;
/// What turns bytes that stand 128 too high into signed ones.
const SIGNS: i32 = i32::from_ne_bytes([128; 4]);

/// How many pairs of products of `bits` times 127 can be added up in 16 bits: 16 products of 15 * 127, 8 of 31 * 127, 4
/// of 63 * 127.
const fn depth(bits: u32) -> usize {
    match bits {
        0..=4 => 8,
        5 => 4,
        _ => 2,
    }
}

impl Lanes for AvxVnni {
    eight_lanes!();

    #[inline(always)]
    fn dot<const K: usize>(self, bytes: Bytes, weights: [__m256i; K], acts: &[[i8; 4]; K], sum: i32) -> __m256i {
        vnni::dot(self, bytes, weights, acts, sum)
    }

    #[inline(always)]
    fn products<const V: usize, const K: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        acts: &[Quad; K],
        sums: [i32; TOKENS],
    ) -> [[__m256i; V]; TOKENS] {
        vnni::products(self, bytes, weights, acts, sums)
    }
}

impl Vnni for AvxVnni {
    methods! {
        fn add_products(self, sums: __m256i, weights: __m256i, acts: __m256i) -> __m256i {
            _mm256_dpbusd_avx_epi32(sums, weights, acts)
        }
        fn pin(self, x: __m256i) -> __m256i { in_order(x) }
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

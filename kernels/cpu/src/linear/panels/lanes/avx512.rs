//! Sixteen lanes: AVX-512 with VNNI.

use std::arch::asm;
use std::arch::x86_64::*;

use super::vnni::{self, Vnni};
use super::{Bytes, Lanes, Quad, methods};
use crate::Avx512Vnni;
use crate::linear::activations::{GroupSums, TOKENS};

const N: usize = 16;

impl Lanes for Avx512Vnni {
    const N: usize = N;
    const VECTORS: usize = 4;
    type I = __m512i;
    type F = __m512;

    methods! {
        fn pin(self, x: __m512i) -> __m512i { in_order(x) }
        fn load(self, bytes: &[u8], i: usize) -> __m512i {
            _mm512_loadu_si512(bytes[4 * N * i..][..4 * N].as_ptr().cast())
        }
        fn store(self, x: __m512i, bytes: &mut [u8], i: usize) {
            _mm512_storeu_si512(bytes[4 * N * i..][..4 * N].as_mut_ptr().cast(), x)
        }
        fn load_words(self, bytes: &[u8], i: usize) -> __m512i {
            _mm512_cvtepu16_epi32(_mm256_loadu_si256(bytes[2 * N * i..][..2 * N].as_ptr().cast()))
        }
        fn load_halves(self, bytes: &[u8], i: usize) -> __m512 {
            _mm512_cvtph_ps(_mm256_loadu_si256(bytes[2 * N * i..][..2 * N].as_ptr().cast()))
        }
        fn load_floats(self, values: &[f32], i: usize) -> __m512 { _mm512_loadu_ps(values[N * i..][..N].as_ptr()) }
        fn store_floats(self, x: __m512, values: &mut [f32], i: usize) {
            _mm512_storeu_ps(values[N * i..][..N].as_mut_ptr(), x)
        }
        fn splat(self, x: i32) -> __m512i { _mm512_set1_epi32(x) }
        fn splat_float(self, x: f32) -> __m512 { _mm512_set1_ps(x) }
        fn and(self, a: __m512i, b: __m512i) -> __m512i { _mm512_and_si512(a, b) }
        fn or(self, a: __m512i, b: __m512i) -> __m512i { _mm512_or_si512(a, b) }
        fn xor(self, a: __m512i, b: __m512i) -> __m512i { _mm512_xor_si512(a, b) }
        fn shl(self, x: __m512i, n: u32) -> __m512i { _mm512_sll_epi32(x, _mm_cvtsi32_si128(n as i32)) }
        fn shr(self, x: __m512i, n: u32) -> __m512i { _mm512_srl_epi32(x, _mm_cvtsi32_si128(n as i32)) }
        fn sar(self, x: __m512i, n: u32) -> __m512i { _mm512_sra_epi32(x, _mm_cvtsi32_si128(n as i32)) }
        fn add(self, a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
        fn mul(self, a: __m512i, b: __m512i) -> __m512i { _mm512_mullo_epi32(a, b) }
        fn mul_halves(self, a: __m512i, b: __m512i) -> __m512i { _mm512_madd_epi16(a, b) }
        fn lookup(self, table: &[u8; 16], indices: __m512i) -> __m512i {
            let table = _mm_loadu_si128(table.as_ptr().cast());
            _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), indices)
        }
        fn float(self, x: __m512i) -> __m512 { _mm512_cvtepi32_ps(x) }
        fn bits(self, x: __m512) -> __m512i { _mm512_castps_si512(x) }
        fn of_bits(self, x: __m512i) -> __m512 { _mm512_castsi512_ps(x) }
        fn mul_float(self, a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn neg(self, x: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MIN)))
        }
        fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
    }

    vnni::byte_products!();
}

impl Vnni for Avx512Vnni {
    methods! {
        fn add_products(self, sums: __m512i, weights: __m512i, acts: __m512i) -> __m512i {
            _mm512_dpbusd_epi32(sums, weights, acts)
        }
    }
}

/// Keeps sums in the order in which they are written.
///
/// # Safety
/// The processor must have AVX-512 F.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn in_order(mut x: __m512i) -> __m512i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(zmm_reg) x, options(nomem, nostack, preserves_flags)) }
    x
}

//! Sixteen lanes in plain Rust: the definition that the instruction sets agree with.

use half::f16;

use super::{Bytes, Lanes, Quad};
use crate::linear::activations::{GroupSums, TOKENS};
use crate::simd::{Generic, fused};

const N: usize = 16;

type I = [i32; N];
type F = [f32; N];

impl Lanes for Generic {
    const N: usize = N;
    const VECTORS: usize = 1;
    type I = I;
    type F = F;

    #[inline(always)]
    fn pin(self, x: I) -> I {
        x
    }

    #[inline(always)]
    fn load(self, bytes: &[u8], i: usize) -> I {
        let lanes = bytes[4 * N * i..][..4 * N].as_chunks::<4>().0;
        from_fn(|l| i32::from_le_bytes(lanes[l]))
    }

    #[inline(always)]
    fn store(self, x: I, bytes: &mut [u8], i: usize) {
        let lanes = bytes[4 * N * i..][..4 * N].as_chunks_mut::<4>().0;
        (0..N).for_each(|l| lanes[l] = x[l].to_le_bytes());
    }

    #[inline(always)]
    fn load_words(self, bytes: &[u8], i: usize) -> I {
        let lanes = bytes[2 * N * i..][..2 * N].as_chunks::<2>().0;
        from_fn(|l| i32::from(u16::from_le_bytes(lanes[l])))
    }

    #[inline(always)]
    fn load_halves(self, bytes: &[u8], i: usize) -> F {
        let lanes = bytes[2 * N * i..][..2 * N].as_chunks::<2>().0;
        from_fn(|l| f16::from_le_bytes(lanes[l]).to_f32())
    }

    #[inline(always)]
    fn load_floats(self, values: &[f32], i: usize) -> F {
        from_fn(|l| values[N * i + l])
    }

    #[inline(always)]
    fn store_floats(self, x: F, values: &mut [f32], i: usize) {
        values[N * i..][..N].copy_from_slice(&x);
    }

    #[inline(always)]
    fn splat(self, x: i32) -> I {
        [x; N]
    }

    #[inline(always)]
    fn splat_float(self, x: f32) -> F {
        [x; N]
    }

    #[inline(always)]
    fn and(self, a: I, b: I) -> I {
        from_fn(|l| a[l] & b[l])
    }

    #[inline(always)]
    fn or(self, a: I, b: I) -> I {
        from_fn(|l| a[l] | b[l])
    }

    #[inline(always)]
    fn xor(self, a: I, b: I) -> I {
        from_fn(|l| a[l] ^ b[l])
    }

    #[inline(always)]
    fn shl(self, x: I, n: u32) -> I {
        x.map(|x| x << n)
    }

    #[inline(always)]
    fn shr(self, x: I, n: u32) -> I {
        x.map(|x| (x.cast_unsigned() >> n).cast_signed())
    }

    #[inline(always)]
    fn sar(self, x: I, n: u32) -> I {
        x.map(|x| x >> n)
    }

    #[inline(always)]
    fn add(self, a: I, b: I) -> I {
        from_fn(|l| a[l].wrapping_add(b[l]))
    }

    #[inline(always)]
    fn mul(self, a: I, b: I) -> I {
        from_fn(|l| a[l].wrapping_mul(b[l]))
    }

    #[inline(always)]
    fn mul_halves(self, a: I, b: I) -> I {
        let low = |x: i32| i32::from(x as i16);
        from_fn(|l| low(a[l]) * low(b[l]) + (a[l] >> 16) * (b[l] >> 16))
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], indices: I) -> I {
        indices.map(|x| i32::from_le_bytes(x.to_le_bytes().map(|i| table[usize::from(i & 15)])))
    }

    #[inline(always)]
    fn float(self, x: I) -> F {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn bits(self, x: F) -> I {
        x.map(|x| x.to_bits().cast_signed())
    }

    #[inline(always)]
    fn of_bits(self, x: I) -> F {
        x.map(|x| f32::from_bits(x.cast_unsigned()))
    }

    #[inline(always)]
    fn mul_float(self, a: F, b: F) -> F {
        from_fn(|l| a[l] * b[l])
    }

    #[inline(always)]
    fn neg(self, x: F) -> F {
        x.map(|x| -x)
    }

    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        from_fn(|l| fused(a[l], b[l], c[l]))
    }

    #[inline(always)]
    fn dot<const K: usize>(self, bytes: Bytes, weights: [I; K], acts: &[[i8; 4]; K], sum: i32) -> I {
        let mut out = [-bytes.zero * sum; N];
        for (weights, acts) in weights.iter().zip(acts) {
            for (out, weights) in out.iter_mut().zip(weights) {
                let products = weights.to_le_bytes().into_iter().zip(acts);
                *out += products.map(|(w, &a)| i32::from(w) * i32::from(a)).sum::<i32>();
            }
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
    ) -> [[F; V]; TOKENS] {
        std::array::from_fn(|t| {
            let acts = acts.map(|quad| quad[t]);
            std::array::from_fn(|v| {
                let weights = std::array::from_fn(|k| self.load(weights, V * k + v));
                self.float(self.dot(bytes, weights, &acts, sums.whole[t]))
            })
        })
    }

    #[inline(always)]
    fn split_scales(self, scales: I) -> I {
        scales
    }

    #[inline(always)]
    fn split_products<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        scales: [[I; V]; 2],
        acts: &[Quad; 8],
        sums: &GroupSums,
    ) -> [[F; V]; TOKENS] {
        std::array::from_fn(|t| {
            let halves = sums.halves(t);
            std::array::from_fn(|v| {
                let of_half = |h: usize| {
                    let weights = std::array::from_fn(|k| self.load(weights, V * (4 * h + k) + v));
                    let acts = std::array::from_fn(|k| acts[4 * h + k][t]);
                    self.mul(self.dot::<4>(bytes, weights, &acts, halves[h].into()), scales[h][v])
                };
                self.float(self.add(of_half(0), of_half(1)))
            })
        })
    }
}

#[inline(always)]
fn from_fn<T>(f: impl FnMut(usize) -> T) -> [T; N] {
    std::array::from_fn(f)
}

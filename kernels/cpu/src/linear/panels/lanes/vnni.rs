//! What AVX-VNNI and AVX-512 VNNI have in common: one instruction multiplies four unsigned with four signed bytes, and adds
//! the products to 32 bits.

use super::{Bytes, Lanes, Quad, dword, floats};
use crate::linear::activations::{GroupSums, TOKENS};

/// Lanes with such an instruction.
pub(super) trait Vnni: Lanes {
    /// Adds the products of the four bytes of each lane.
    fn add_products(self, sums: Self::I, weights: Self::I, acts: Self::I) -> Self::I;
}

/// The methods of [`Lanes`] that multiply bytes.
macro_rules! byte_products {
    () => {
        #[inline(always)]
        fn dot<const K: usize>(self, bytes: Bytes, weights: [Self::I; K], acts: &[[i8; 4]; K], sum: i32) -> Self::I {
            vnni::dot(self, bytes, weights, acts, sum)
        }

        #[inline(always)]
        fn products<const V: usize>(
            self,
            bytes: Bytes,
            weights: &[u8],
            acts: &[Quad; 8],
            sums: &GroupSums,
        ) -> [[Self::F; V]; TOKENS] {
            vnni::products(self, bytes, weights, acts, sums)
        }

        #[inline(always)]
        fn split_scales(self, scales: Self::I) -> Self::I {
            self.bits(self.float(scales))
        }

        #[inline(always)]
        fn split_products<const V: usize>(
            self,
            bytes: Bytes,
            weights: &[u8],
            scales: [[Self::I; V]; 2],
            acts: &[Quad; 8],
            sums: &GroupSums,
        ) -> [[Self::F; V]; TOKENS] {
            vnni::split_products(self, bytes, weights, scales, acts, sums)
        }
    };
}
pub(super) use byte_products;

/// [`Lanes::dot`].
#[inline(always)]
pub(super) fn dot<L: Vnni, const K: usize>(
    l: L,
    bytes: Bytes,
    weights: [L::I; K],
    acts: &[[i8; 4]; K],
    sum: i32,
) -> L::I {
    let mut out = l.splat(-bytes.zero * sum);
    for k in 0..K {
        out = l.add_products(out, weights[k], l.splat(dword(acts[k])));
    }
    out
}

/// [`Lanes::products`].
#[inline(always)]
pub(super) fn products<L: Vnni, const V: usize>(
    l: L,
    bytes: Bytes,
    weights: &[u8],
    acts: &[Quad; 8],
    sums: &GroupSums,
) -> [[L::F; V]; TOKENS] {
    floats(l, group(l, bytes, weights, acts, sums.whole))
}

/// [`Lanes::split_products`]: scales are floats, for sums are converted to such anyway.
#[inline(always)]
pub(super) fn split_products<L: Vnni, const V: usize>(
    l: L,
    bytes: Bytes,
    weights: &[u8],
    scales: [[L::I; V]; 2],
    acts: &[Quad; 8],
    sums: &GroupSums,
) -> [[L::F; V]; TOKENS] {
    let (mut low, mut high) = ([0; TOKENS], [0; TOKENS]);
    for t in 0..TOKENS {
        [low[t], high[t]] = sums.halves(t).map(i32::from);
    }
    let (first_quads, second_quads) = acts.split_at(4);
    let (first_weights, second_weights) = weights.split_at(weights.len() / 2);
    let mut out = floats(l, group::<L, V>(l, bytes, first_weights, first_quads, low));
    for t in 0..TOKENS {
        for v in 0..V {
            out[t][v] = l.mul_float(out[t][v], l.of_bits(scales[0][v]));
        }
    }
    let second = floats(l, group::<L, V>(l, bytes, second_weights, second_quads, high));
    for t in 0..TOKENS {
        for v in 0..V {
            out[t][v] = l.mul_add(second[t][v], l.of_bits(scales[1][v]), out[t][v]);
        }
    }
    out
}

/// The integer sums of `V` vectors of rows over the columns of `acts`.
#[inline(always)]
fn group<L: Vnni, const V: usize>(
    l: L,
    bytes: Bytes,
    weights: &[u8],
    acts: &[Quad],
    sums: [i32; TOKENS],
) -> [[L::I; V]; TOKENS] {
    let mut out = [[l.splat(0); V]; TOKENS];
    for t in 0..TOKENS {
        out[t] = [l.splat(-bytes.zero * sums[t]); V];
    }
    for k in 0..acts.len() {
        let mut rows = [l.splat(0); V];
        for v in 0..V {
            rows[v] = l.load(weights, V * k + v);
        }
        for t in 0..TOKENS {
            let acts = l.splat(dword(acts[k][t]));
            for v in 0..V {
                out[t][v] = l.pin(l.add_products(out[t][v], rows[v], acts));
            }
        }
    }
    out
}

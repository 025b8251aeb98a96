//! What AVX-VNNI and AVX-512 VNNI have in common: one instruction multiplies four unsigned with four signed bytes, and adds
//! the products to 32 bits.

use super::{Bytes, Lanes, Quad, dword};
use crate::linear::activations::TOKENS;

/// Lanes with such an instruction.
pub(super) trait Vnni: Lanes {
    /// Adds the products of the four bytes of each lane.
    fn add_products(self, sums: Self::I, weights: Self::I, acts: Self::I) -> Self::I;

    /// Keeps sums in the order in which they are written: left alone, the compiler computes one sum after the other, for
    /// which it has to spill.
    fn pin(self, x: Self::I) -> Self::I;
}

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
pub(super) fn products<L: Vnni, const V: usize, const K: usize>(
    l: L,
    bytes: Bytes,
    weights: &[u8],
    acts: &[Quad; K],
    sums: [i32; TOKENS],
) -> [[L::I; V]; TOKENS] {
    let mut out = [[l.splat(0); V]; TOKENS];
    for t in 0..TOKENS {
        out[t] = [l.splat(-bytes.zero * sums[t]); V];
    }
    for k in 0..K {
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

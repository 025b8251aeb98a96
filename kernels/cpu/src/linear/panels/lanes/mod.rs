//! Vectors of 32-bit lanes, one lane for a row: what the formats' kernels are written in, once for every instruction set.
//!
//! Methods, and everything that takes lanes as arguments, must be `#[inline(always)]`, or the vectors travel through
//! memory.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod generic;
#[cfg(target_arch = "x86_64")]
mod vnni;

use crate::linear::activations::{GroupSums, TOKENS};

/// Four activations of each token of a group.
pub(in crate::linear) type Quad = [[i8; 4]; TOKENS];

/// Operations on lanes. A value of an implementing type proves that the processor has them.
///
/// Where bytes are read or written, `i` counts vectors of the slice.
pub(super) trait Lanes: Copy {
    /// Lanes of a vector: 8 or 16.
    const N: usize;
    /// Vectors of a matmul's tile; so many that its sums for a group of tokens fit the registers.
    const VECTORS: usize;
    /// Lanes of integers.
    type I: Copy;
    /// Lanes of float32.
    type F: Copy;

    /// The same lanes, no later computed than here, and what reads memory behind this stays behind it. Left alone, the
    /// compiler mixes what is written one after the other until it has to spill.
    fn pin(self, x: Self::I) -> Self::I;

    fn load(self, bytes: &[u8], i: usize) -> Self::I;
    fn store(self, x: Self::I, bytes: &mut [u8], i: usize);
    /// Reads unsigned words of 2 bytes.
    fn load_words(self, bytes: &[u8], i: usize) -> Self::I;
    /// Reads half floats.
    fn load_halves(self, bytes: &[u8], i: usize) -> Self::F;
    fn load_floats(self, values: &[f32], i: usize) -> Self::F;
    fn store_floats(self, x: Self::F, values: &mut [f32], i: usize);

    fn splat(self, x: i32) -> Self::I;
    fn splat_float(self, x: f32) -> Self::F;
    fn and(self, a: Self::I, b: Self::I) -> Self::I;
    fn or(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor(self, a: Self::I, b: Self::I) -> Self::I;
    fn shl(self, x: Self::I, n: u32) -> Self::I;
    fn shr(self, x: Self::I, n: u32) -> Self::I;
    /// Shifts the sign in.
    fn sar(self, x: Self::I, n: u32) -> Self::I;
    fn add(self, a: Self::I, b: Self::I) -> Self::I;
    /// The low 32 bits of the products.
    fn mul(self, a: Self::I, b: Self::I) -> Self::I;
    /// The sums of the two products of 16-bit halves.
    fn mul_halves(self, a: Self::I, b: Self::I) -> Self::I;
    /// For each byte, below 16, that entry of the table.
    fn lookup(self, table: &[u8; 16], indices: Self::I) -> Self::I;
    fn float(self, x: Self::I) -> Self::F;
    /// The bits of floats, and back.
    fn bits(self, x: Self::F) -> Self::I;
    fn of_bits(self, x: Self::I) -> Self::F;
    fn mul_float(self, a: Self::F, b: Self::F) -> Self::F;
    fn neg(self, x: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;

    /// `sum((weight - zero) * activation)` over the four bytes of `N` vectors and as many quads of one token. `sum` is
    /// that of the activations.
    fn dot<const N: usize>(self, bytes: Bytes, weights: [Self::I; N], acts: &[[i8; 4]; N], sum: i32) -> Self::I;

    /// As [`Lanes::dot`], for `V` vectors and a group of tokens, over a part of 32 columns: `[token][vector]`. `weights`
    /// are eight times `V` vectors.
    fn products<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        acts: &[Quad; 8],
        sums: &GroupSums,
    ) -> [[Self::F; V]; TOKENS];

    /// Integer scales, of up to 8 bits and a sign, in the form that [`Lanes::split_products`] takes them in.
    fn split_scales(self, scales: Self::I) -> Self::I;

    /// As [`Lanes::products`], the two halves of the part times integer scales.
    fn split_products<const V: usize>(
        self,
        bytes: Bytes,
        weights: &[u8],
        scales: [[Self::I; V]; 2],
        acts: &[Quad; 8],
        sums: &GroupSums,
    ) -> [[Self::F; V]; TOKENS];
}

/// What is known of a format's bytes. Constant wherever it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    /// Bits that are used: up to 6, or 8.
    pub(super) bits: u32,
    /// The zero point.
    pub(super) zero: i32,
}

/// Integer sums as floats.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn floats<L: Lanes, const V: usize>(l: L, sums: [[L::I; V]; TOKENS]) -> [[L::F; V]; TOKENS] {
    let mut out = [[l.splat_float(0.0); V]; TOKENS];
    for t in 0..TOKENS {
        for v in 0..V {
            out[t][v] = l.float(sums[t][v]);
        }
    }
    out
}

/// Two words as a lane.
#[inline(always)]
pub(super) fn pair([low, high]: [i16; 2]) -> i32 {
    i32::from(low) & 0xffff | i32::from(high) << 16
}

/// Four bytes as a lane.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn dword(bytes: [i8; 4]) -> i32 {
    i32::from_le_bytes(bytes.map(i8::cast_unsigned))
}

/// A trait's methods whose bodies are a few intrinsics; `self` is the proof that they may be used.
#[cfg(target_arch = "x86_64")]
macro_rules! methods {
    ($($(#[$doc:meta])* fn $name:ident(self $(, $arg:ident: $type:ty)*) $(-> $result:ty)? $body:block)+) => {$(
        $(#[$doc])*
        #[inline(always)]
        fn $name(self $(, $arg: $type)*) $(-> $result)? {
            // SAFETY: the type's values exist only where the processor has the instructions, and the pointers given to
            // loads and stores are of slices as long as what is read or written.
            unsafe { $body }
        }
    )+};
}
#[cfg(target_arch = "x86_64")]
use methods;

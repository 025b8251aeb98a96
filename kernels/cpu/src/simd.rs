//! Eight float32 lanes, and kernels that are written once for every instruction set.
//!
//! A kernel for the float ops is a struct that implements [`Kernel`]: its `run` is generic over [`Simd`], and [`run`]
//! compiles it for the instruction set of a [`Caps`]. The lanes' methods, and everything that takes lanes as
//! arguments, must be `#[inline(always)]`, or the vectors travel through memory.

#[cfg(target_arch = "aarch64")]
mod neon;

use half::f16;

use crate::Caps;

/// Lanes of a vector.
pub(crate) const LANES: usize = 8;

/// A computation that [`run`] compiles for an instruction set.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// Computes. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a kernel with the best instruction set that `caps` allow.
pub(crate) fn run<K: Kernel>(caps: &Caps, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = caps.avx2() {
        // SAFETY: the proof says that the processor has AVX2, FMA and F16C.
        return unsafe { run_avx2(proof, kernel) };
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(proof) = caps.dotprod() {
        return kernel.run(proof);
    }
    let _ = caps;
    kernel.run(Generic)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<K: Kernel>(proof: crate::Avx2, kernel: K) -> K::Output {
    kernel.run(proof)
}

/// Operations on eight float32 lanes. A value of an implementing type proves that the processor has them.
pub(crate) trait Simd: Copy {
    /// Eight float32 lanes.
    type V: Copy;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// Reads eight values.
    fn load(self, x: &[f32; LANES]) -> Self::V;
    /// Reads eight half floats.
    fn load_f16(self, x: &[f16; LANES]) -> Self::V;
    /// Reads eight whole numbers.
    fn load_i8(self, x: &[i8; LANES]) -> Self::V;
    /// Writes eight values.
    fn store(self, x: Self::V, out: &mut [f32; LANES]);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of a bound and `x`, or `x` where it is NaN.
    fn at_least(self, bound: Self::V, x: Self::V) -> Self::V;
    /// The smaller of a bound and `x`, or `x` where it is NaN.
    fn at_most(self, bound: Self::V, x: Self::V) -> Self::V;
    /// `y` where `x` is not below `bound`, else 0.
    fn zero_below(self, bound: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// The nearest whole number.
    fn round(self, x: Self::V) -> Self::V;
    /// `2^n` for whole `n` in `-126..=127`.
    fn pow2(self, n: Self::V) -> Self::V;
    /// The sum of the lanes, in the order of a tree: halves, quarters, pairs.
    fn sum(self, x: Self::V) -> f32;
    /// The largest lane.
    fn max(self, x: Self::V) -> f32;
}

/// `e^x` to 2 units in the last place; 0 below -87.3 (where results stop being normal numbers), NaN for NaN.
///
/// Cephes' reduction: `x = n ln 2 + r` with `ln 2` in two parts, then a polynomial in `r`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let lowest = s.splat(-87.336_54);
    let clamped = s.at_most(s.splat(88.376_26), s.at_least(lowest, x));
    let n = s.round(s.mul(clamped, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-0.693_359_4), clamped);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_2e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = s.mul_add(p, r, s.splat(c));
    }
    let p = s.add(s.mul_add(p, s.mul(r, r), r), s.splat(1.0));
    s.zero_below(lowest, x, s.mul(p, s.pow2(n)))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// Applies a kernel to slices eight values at a time; the rest goes through a padded copy.
///
/// `$f` is an expression in the lanes named in front of it: `a = x, b = y => s.add(a, b)`.
macro_rules! map_lanes {
    ($s:expr, $out:expr, $($name:ident = $input:expr),+ => $f:expr) => {{
        let out: &mut [f32] = $out;
        let n = out.len();
        $(assert_eq!($input.len(), n);)+
        let whole = n / $crate::simd::LANES * $crate::simd::LANES;
        let (vectors, rest) = out.as_chunks_mut::<{ $crate::simd::LANES }>();
        for (i, out) in vectors.iter_mut().enumerate() {
            $(let $name = $s.load(&$input.as_chunks::<{ $crate::simd::LANES }>().0[i]);)+
            $s.store($f, out);
        }
        if !rest.is_empty() {
            $(
                let mut padded = [0.0; $crate::simd::LANES];
                padded[..rest.len()].copy_from_slice(&$input[whole..]);
                let $name = $s.load(&padded);
            )+
            let mut padded = [0.0; $crate::simd::LANES];
            $s.store($f, &mut padded);
            rest.copy_from_slice(&padded[..rest.len()]);
        }
    }};
}
pub(crate) use map_lanes;

/// Plain Rust, which compilers turn into whatever the target always has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generic;

/// `a * b + c`, as the instruction for it rounds, but for one result in hundreds of millions: the product is exact in double
/// precision, and so the sum is rounded twice. `f32::mul_add` would call a function where the target lacks the instruction.
#[inline(always)]
pub(crate) fn fused(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Generic {
    type V = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        *x
    }

    #[inline(always)]
    fn load_f16(self, x: &[f16; LANES]) -> Self::V {
        x.map(f16::to_f32)
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8; LANES]) -> Self::V {
        x.map(f32::from)
    }

    #[inline(always)]
    fn store(self, x: Self::V, out: &mut [f32; LANES]) {
        *out = x;
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            out[i] = fused(a[i], b[i], c[i]);
        }
        out
    }

    #[inline(always)]
    fn at_least(self, bound: Self::V, x: Self::V) -> Self::V {
        zip(bound, x, |bound, x| if bound > x { bound } else { x })
    }

    #[inline(always)]
    fn at_most(self, bound: Self::V, x: Self::V) -> Self::V {
        zip(bound, x, |bound, x| if bound < x { bound } else { x })
    }

    #[inline(always)]
    fn zero_below(self, bound: Self::V, x: Self::V, y: Self::V) -> Self::V {
        let mut out = y;
        for i in 0..LANES {
            out[i] = if x[i] < bound[i] { 0.0 } else { y[i] };
        }
        out
    }

    #[inline(always)]
    fn round(self, x: Self::V) -> Self::V {
        // Adding 1.5 * 2^23 leaves no bits for a fraction; what is rounded here is far smaller.
        const NO_FRACTION: f32 = 12_582_912.0;
        x.map(|x| (x + NO_FRACTION) - NO_FRACTION)
    }

    #[inline(always)]
    fn pow2(self, n: Self::V) -> Self::V {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn sum(self, x: Self::V) -> f32 {
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }

    #[inline(always)]
    fn max(self, x: Self::V) -> f32 {
        x.into_iter().fold(f32::NEG_INFINITY, |a, b| if a > b { a } else { b })
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use half::f16;

    use super::{LANES, Simd};
    use crate::Avx2;

    /// A method whose body is one or a few intrinsics; `self` is the proof that they may be used.
    macro_rules! methods {
        ($(fn $name:ident(self $(, $arg:ident: $type:ty)*) $(-> $result:ty)? $body:block)+) => {$(
            #[inline(always)]
            fn $name(self $(, $arg: $type)*) $(-> $result)? {
                // SAFETY: an `Avx2` exists only where the processor has AVX2, FMA and F16C, and the pointers given to
                // loads and stores are of arrays as long as what is read or written.
                unsafe { $body }
            }
        )+};
    }

    impl Simd for Avx2 {
        type V = __m256;

        methods! {
            fn splat(self, x: f32) -> __m256 { _mm256_set1_ps(x) }
            fn load(self, x: &[f32; LANES]) -> __m256 { _mm256_loadu_ps(x.as_ptr()) }
            fn load_f16(self, x: &[f16; LANES]) -> __m256 { _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())) }
            fn load_i8(self, x: &[i8; LANES]) -> __m256 {
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast())))
            }
            fn store(self, x: __m256, out: &mut [f32; LANES]) { _mm256_storeu_ps(out.as_mut_ptr(), x) }
            fn add(self, a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
            fn sub(self, a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
            fn mul(self, a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
            fn div(self, a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
            fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
            fn at_least(self, bound: __m256, x: __m256) -> __m256 { _mm256_max_ps(bound, x) }
            fn at_most(self, bound: __m256, x: __m256) -> __m256 { _mm256_min_ps(bound, x) }
            fn zero_below(self, bound: __m256, x: __m256, y: __m256) -> __m256 {
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(x, bound), y)
            }
            fn round(self, x: __m256) -> __m256 {
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
            }
            fn pow2(self, n: __m256) -> __m256 {
                let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            }
            fn sum(self, x: __m256) -> f32 {
                let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
                let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
                _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
            }
            fn max(self, x: __m256) -> f32 {
                let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
                let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
                _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl Kernel for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let x = self.0.to_vec();
            map_lanes!(s, self.0, x = x => exp(s, x));
        }
    }

    fn all_caps() -> Vec<Caps> {
        crate::Isa::ALL.iter().filter_map(|&isa| Caps::with_isa(isa)).collect()
    }

    #[test]
    fn exp_is_close_and_its_ends_are_right() {
        for caps in all_caps() {
            let x: Vec<f32> = (-87_300..88_300).map(|i| i as f32 * 1e-3 + 1e-5).collect();
            let mut y = x.clone();
            run(&caps, Exp(&mut y));
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(*x).exp();
                assert!((f64::from(*y) / exact - 1.0).abs() < 2.5e-7, "{caps:?}: exp({x}) = {y}, not {exact}");
            }
            let mut ends = [f32::NEG_INFINITY, -88.0, 0.0, f32::NAN, -0.0];
            run(&caps, Exp(&mut ends));
            assert_eq!(ends[..3], [0.0, 0.0, 1.0]);
            assert!(ends[3].is_nan() && ends[4] == 1.0);
        }
    }

    struct Reduce([f32; LANES]);

    impl Kernel for Reduce {
        type Output = (f32, f32);

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> (f32, f32) {
            let x = s.load(&self.0);
            (s.sum(x), s.max(x))
        }
    }

    #[test]
    fn lanes_are_all_summed_and_compared() {
        for caps in all_caps() {
            for i in 0..LANES {
                let mut x = [1.0; LANES];
                x[i] = 100.0;
                assert_eq!(run(&caps, Reduce(x)), (107.0, 100.0));
            }
        }
    }

    struct Halves([f16; LANES]);

    impl Kernel for Halves {
        type Output = [f32; LANES];

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            s.store(s.load_f16(&self.0), &mut out);
            out
        }
    }

    #[test]
    fn half_floats_are_exact() {
        for caps in all_caps() {
            for chunk in (0..0x7c00u16).collect::<Vec<_>>().as_chunks::<LANES>().0 {
                let halves = chunk.map(f16::from_bits);
                assert_eq!(run(&caps, Halves(halves)), halves.map(f16::to_f32));
            }
        }
    }
}

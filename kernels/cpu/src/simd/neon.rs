//! The lanes of 64-bit ARM: two vectors of four.

use std::arch::aarch64::*;
use std::arch::asm;

use half::f16;

use super::{LANES, Simd};
use crate::Dotprod;

type Lanes = [float32x4_t; 2];

/// A method whose body is one or a few intrinsics; `self` is the proof that they may be used.
macro_rules! methods {
    ($(fn $name:ident(self $(, $arg:ident: $type:ty)*) $(-> $result:ty)? $body:block)+) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: $type)*) $(-> $result)? {
            // SAFETY: a `Dotprod` exists only where the processor has NEON, and the pointers given to loads and stores
            // are of arrays as long as what is read or written.
            unsafe { $body }
        }
    )+};
}

impl Simd for Dotprod {
    type V = Lanes;

    methods! {
        fn splat(self, x: f32) -> Lanes { [vdupq_n_f32(x); 2] }
        fn load(self, x: &[f32; LANES]) -> Lanes { [vld1q_f32(x.as_ptr()), vld1q_f32(x.as_ptr().add(4))] }
        fn load_f16(self, x: &[f16; LANES]) -> Lanes {
            let halves = vld1q_u16(x.as_ptr().cast());
            let (low, high): (float32x4_t, float32x4_t);
            // Written out because the intrinsics for it take a type that is not stable.
            asm!(
                "fcvtl {low:v}.4s, {halves:v}.4h",
                "fcvtl2 {high:v}.4s, {halves:v}.8h",
                low = out(vreg) low, high = lateout(vreg) high, halves = in(vreg) halves,
                options(pure, nomem, nostack, preserves_flags)
            );
            [low, high]
        }
        fn load_i8(self, x: &[i8; LANES]) -> Lanes {
            let halves = vmovl_s8(vld1_s8(x.as_ptr()));
            let floats = |halves| vcvtq_f32_s32(vmovl_s16(halves));
            [floats(vget_low_s16(halves)), floats(vget_high_s16(halves))]
        }
        fn store(self, x: Lanes, out: &mut [f32; LANES]) {
            vst1q_f32(out.as_mut_ptr(), x[0]);
            vst1q_f32(out.as_mut_ptr().add(4), x[1]);
        }
        fn add(self, a: Lanes, b: Lanes) -> Lanes { [vaddq_f32(a[0], b[0]), vaddq_f32(a[1], b[1])] }
        fn sub(self, a: Lanes, b: Lanes) -> Lanes { [vsubq_f32(a[0], b[0]), vsubq_f32(a[1], b[1])] }
        fn mul(self, a: Lanes, b: Lanes) -> Lanes { [vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1])] }
        fn div(self, a: Lanes, b: Lanes) -> Lanes { [vdivq_f32(a[0], b[0]), vdivq_f32(a[1], b[1])] }
        fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
            [vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])]
        }
        // The instruction for the larger of two would give NaN for a bound that is NaN.
        fn at_least(self, bound: Lanes, x: Lanes) -> Lanes {
            let larger = |bound, x| vbslq_f32(vcgtq_f32(bound, x), bound, x);
            [larger(bound[0], x[0]), larger(bound[1], x[1])]
        }
        fn at_most(self, bound: Lanes, x: Lanes) -> Lanes {
            let smaller = |bound, x| vbslq_f32(vcltq_f32(bound, x), bound, x);
            [smaller(bound[0], x[0]), smaller(bound[1], x[1])]
        }
        fn zero_below(self, bound: Lanes, x: Lanes, y: Lanes) -> Lanes {
            let keep = |bound, x, y| vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), vcltq_f32(x, bound)));
            [keep(bound[0], x[0], y[0]), keep(bound[1], x[1], y[1])]
        }
        fn round(self, x: Lanes) -> Lanes { [vrndnq_f32(x[0]), vrndnq_f32(x[1])] }
        fn pow2(self, n: Lanes) -> Lanes {
            let pow2 = |n| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127))));
            [pow2(n[0]), pow2(n[1])]
        }
        fn sum(self, x: Lanes) -> f32 {
            let four = vaddq_f32(x[0], x[1]);
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vaddv_f32(two)
        }
        // Of a number and NaN, the number: so the NaN of one lane does not stand for all, and shows where it is.
        fn max(self, x: Lanes) -> f32 { vmaxnmvq_f32(vmaxnmq_f32(x[0], x[1])) }
    }
}

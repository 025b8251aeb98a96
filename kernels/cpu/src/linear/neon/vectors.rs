//! Loads, products and conversions that several kernels need.

use std::arch::aarch64::*;
use std::arch::asm;

pub(super) use crate::linear::constant::{bytes, four};

#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the array has the 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Quants 16 `i` to 16 `i` + 16 of a row of activations.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn load_acts<const N: usize>(qs: &[i8; N], i: usize) -> int8x16_t {
    vreinterpretq_s8_u8(load(bytes(bytemuck::cast_slice(qs), 16 * i)))
}

/// The values `i .. i + 4`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn load_floats(x: &[f32], i: usize) -> float32x4_t {
    vreinterpretq_f32_u8(load(bytes(bytemuck::cast_slice(x), 4 * i)))
}

/// `sums`, to each lane of which four products are added.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: no memory is touched, and this function has the feature.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// As [`dot`], with the four bytes of one lane of `b` for all lanes of `a`. The compiler keeps these in their order: it would
/// otherwise compute one sum after the other, for which it would have to spill.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn dot_lane<const LANE: usize>(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: as above.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b, lane = const LANE,
            options(nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// `sums`, to which the products of two rows of eight bytes with two others are added: `[row of a][row of b]`. Their order
/// stays as it is, for the same reason.
///
/// # Safety
/// The processor must have the instruction, `smmla`. It is no feature of the function: all around it is compiled for processors
/// with [`dot`] alone, so that it can be inlined there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn matrix_dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: no memory is touched, and the caller has the instruction.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// The sums of the lanes of four vectors.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn lane_sums([a, b, c, d]: [int32x4_t; 4]) -> int32x4_t {
    vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))
}

/// Four half floats as float32.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn widen(halves: uint16x4_t) -> float32x4_t {
    let floats;
    // SAFETY: no memory is touched, and every processor with NEON has it. Written out because the intrinsic for it takes a
    // type that is not stable.
    unsafe {
        asm!(
            "fcvtl {floats:v}.4s, {halves:v}.4h",
            floats = lateout(vreg) floats, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    floats
}

/// The half floats at byte `at` of four blocks.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn halves<const N: usize>(blocks: [&[u8; N]; 4], at: usize) -> float32x4_t {
    let [a, b, c, d] = four!(S => u16::from_le_bytes(*bytes(blocks[S], at)));
    let halves = vset_lane_u16::<1>(b, vset_lane_u16::<0>(a, vdup_n_u16(0)));
    widen(vset_lane_u16::<3>(d, vset_lane_u16::<2>(c, halves)))
}

/// The same block, which the compiler takes for another: it would keep what it has loaded until it is needed again, and
/// for want of registers do so on the stack.
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the pointer is not followed there")]
#[inline(always)]
pub(super) fn anew<T>(block: &T) -> &T {
    let mut pointer: *const T = block;
    // SAFETY: no instruction at all; the pointer stays as it is.
    unsafe {
        asm!("/* {0} */", inout(reg) pointer, options(nomem, nostack, preserves_flags));
        &*pointer
    }
}

/// `x`, which the compiler takes to be used here: it would otherwise compute it later, or what needs it earlier, for which it
/// would have to spill.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn pin(mut x: float32x4_t) -> float32x4_t {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0:v} */", inout(vreg) x, options(nomem, nostack, preserves_flags)) }
    x
}

/// The low 4 bits of each byte.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn low_nibbles(bytes: uint8x16_t) -> uint8x16_t {
    vandq_u8(bytes, vdupq_n_u8(15))
}

/// Bytes whose values are all below 128, as the signed ones that `sdot` takes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn signed([low, high]: [uint8x16_t; 2]) -> [int8x16_t; 2] {
    [vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(high)]
}

/// The four lanes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn lanes(x: float32x4_t) -> [f32; 4] {
    let mut lanes = [0.0; 4];
    // SAFETY: the array has the four values.
    unsafe { vst1q_f32(lanes.as_mut_ptr(), x) }
    lanes
}

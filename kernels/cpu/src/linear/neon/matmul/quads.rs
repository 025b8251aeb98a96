//! Four columns at a time: a vector of four rows meets the columns of one token, which are a lane of a vector of four.

use std::arch::aarch64::*;

use super::super::vectors::{bytes, dot_lane, four, load, load_acts, load_floats};
use super::{ROWS, Tile, Values};
use crate::linear::activations::TOKENS;

/// Values are `[token][half of the rows]`; quants `[four columns][row][4]`.
pub(in super::super) struct Quads;

impl Tile for Quads {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn interleave(rows: &[[u8; 256]; ROWS], zero: u8, out: &mut [[i8; 4 * ROWS]]) {
        let zero = vdupq_n_u8(zero);
        for (c, out) in out.chunks_exact_mut(4).enumerate() {
            for half in 0..2 {
                let [a, b, c, d] = four!(R => {
                    vreinterpretq_u32_u8(vsubq_u8(load(bytes(&rows[4 * half + R], 16 * c)), zero))
                });
                let wide = vreinterpretq_u64_u32;
                let (ab, cd) = (wide(vtrn1q_u32(a, b)), wide(vtrn1q_u32(c, d)));
                let (ab_odd, cd_odd) = (wide(vtrn2q_u32(a, b)), wide(vtrn2q_u32(c, d)));
                let columns =
                    [vtrn1q_u64(ab, cd), vtrn1q_u64(ab_odd, cd_odd), vtrn2q_u64(ab, cd), vtrn2q_u64(ab_odd, cd_odd)];
                for i in 0..4 {
                    let out = &mut out[i][16 * half..][..16];
                    // SAFETY: the slice has 16 bytes.
                    unsafe { vst1q_s8(out.as_mut_ptr(), vreinterpretq_s8_u64(columns[i])) }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dots<const N: usize>(rows: &[[i8; 4 * ROWS]], acts: &[[[i8; 4]; TOKENS]]) -> Values {
        let mut dots = [[vdupq_n_s32(0); 2]; TOKENS];
        for i in 0..N {
            let rows = [load_acts(&rows[i], 0), load_acts(&rows[i], 1)];
            let acts: &[i8; 4 * TOKENS] = bytemuck::cast_ref(&acts[i]);
            let acts = load_acts(acts, 0);
            dots = four!(T => [dot_lane::<T>(dots[T][0], rows[0], acts), dot_lane::<T>(dots[T][1], rows[1], acts)]);
        }
        four!(T => [vcvtq_f32_s32(dots[T][0]), vcvtq_f32_s32(dots[T][1])])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn of_rows(values: &[f32; ROWS]) -> Values {
        [[load_floats(values, 0), load_floats(values, 4)]; TOKENS]
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn of_tokens(values: float32x4_t) -> Values {
        four!(T => [vdupq_laneq_f32::<{ T as i32 }>(values); 2])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn by_token(values: &Values) -> [[float32x4_t; 2]; TOKENS] {
        *values
    }
}

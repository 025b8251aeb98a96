//! Eight columns at a time: a vector of two rows meets one of two tokens, which gives the products of each with each.

use std::arch::aarch64::*;

use super::super::vectors::{bytes, four, load, load_acts, load_floats, matrix_dot};
use super::{ROWS, Tile, Values};
use crate::linear::activations::TOKENS;

/// Values are `[two rows][two tokens]`, in each vector `[row][token]`; quants `[eight columns][row][8]`.
pub(in super::super) struct Octs;

impl Tile for Octs {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn interleave(rows: &[[u8; 256]; ROWS], zero: u8, out: &mut [[i8; 4 * ROWS]]) {
        let zero = vdupq_n_u8(zero);
        for (c, out) in out.chunks_exact_mut(4).enumerate() {
            for two in 0..4 {
                let row = |r: usize| vreinterpretq_u64_u8(vsubq_u8(load(bytes(&rows[r], 16 * c)), zero));
                let (a, b) = (row(2 * two), row(2 * two + 1));
                let columns = [vtrn1q_u64(a, b), vtrn2q_u64(a, b)];
                for i in 0..2 {
                    let out = &mut out[2 * i + two / 2][16 * (two % 2)..][..16];
                    // SAFETY: the slice has 16 bytes.
                    unsafe { vst1q_s8(out.as_mut_ptr(), vreinterpretq_s8_u64(columns[i])) }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dots<const N: usize>(rows: &[[i8; 4 * ROWS]], acts: &[[[i8; 4]; TOKENS]]) -> Values {
        let mut dots = [[vdupq_n_s32(0); 2]; 4];
        for i in 0..N / 2 {
            let rows = four!(R => load_acts(&rows[2 * i + R / 2], R % 2));
            let acts: &[[i8; 4 * TOKENS]] = bytemuck::cast_slice(&acts[2 * i..][..2]);
            let acts = [load_acts(&acts[0], 0), load_acts(&acts[1], 0)];
            // SAFETY: the caller's promise.
            dots = four!(R => unsafe {
                [matrix_dot(dots[R][0], rows[R], acts[0]), matrix_dot(dots[R][1], rows[R], acts[1])]
            });
        }
        four!(R => [vcvtq_f32_s32(dots[R][0]), vcvtq_f32_s32(dots[R][1])])
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn of_rows(values: &[f32; ROWS]) -> Values {
        let (low, high) = (load_floats(values, 0), load_floats(values, 4));
        [[vzip1q_f32(low, low); 2], [vzip2q_f32(low, low); 2], [vzip1q_f32(high, high); 2], [vzip2q_f32(high, high); 2]]
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn of_tokens(values: float32x4_t) -> Values {
        let (low, high) = (vget_low_f32(values), vget_high_f32(values));
        [[vcombine_f32(low, low), vcombine_f32(high, high)]; 4]
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn by_token(values: &Values) -> [[float32x4_t; 2]; TOKENS] {
        let [a, b, c, d] = *values;
        let tokens = |i: usize| {
            [[vuzp1q_f32(a[i], b[i]), vuzp1q_f32(c[i], d[i])], [vuzp2q_f32(a[i], b[i]), vuzp2q_f32(c[i], d[i])]]
        };
        let ([first, second], [third, fourth]) = (tokens(0), tokens(1));
        [first, second, third, fourth]
    }
}

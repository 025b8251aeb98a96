//! Scales of scales: sub-blocks with small integer scales that share one half float (two with minima).

use std::array;

use half::f16;

use super::affine::{Line, Lines, fit_line};
use super::fit::{Levels, error, fit_scale, quants, to_f16};
use crate::round::round;

/// How often the shared scales are refitted to the integers chosen under them.
const REFITS: usize = 2;

/// `J` sub-blocks that decode as `d * scales[j] * level`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales<const J: usize> {
    pub(super) d: f16,
    pub(super) scales: [i32; J],
}

impl<const J: usize> Scales<J> {
    /// The scale of sub-block `j` as the decoder computes it.
    pub(super) fn scale(&self, j: usize) -> f32 {
        self.d.to_f32() * self.scales[j] as f32
    }
}

/// Fits `J` sub-blocks of `S` values with integer scales in `low..=high`, where `-low > high`.
pub(super) fn fit_scales<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    levels: impl Levels,
    low: i32,
    high: i32,
) -> Scales<J> {
    let ideal: [f32; J] = array::from_fn(|j| fit_scale(&x[j], &w[j], levels, |scale| scale));
    let extreme = ideal.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let choose = |d| choose_scales(x, w, levels, d, &ideal, low, high);
    let mut best = (Scales { d: f16::ZERO, scales: [0; J] }, f32::INFINITY);
    for target in [low, low + 1, high] {
        best = better(best, choose(to_f16(extreme / target as f32)));
    }
    for _ in 0..REFITS {
        let d = to_f16(refit_d(x, w, levels, &best.0));
        if d == best.0.d {
            break;
        }
        best = better(best, choose(d));
    }
    best.0
}

/// The one of less error.
fn better<T>(a: (T, f32), b: (T, f32)) -> (T, f32) {
    if b.1 < a.1 { b } else { a }
}

/// The best integer scales under `d`, and the error of all sub-blocks.
fn choose_scales<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    levels: impl Levels,
    d: f16,
    ideal: &[f32; J],
    low: i32,
    high: i32,
) -> (Scales<J>, f32) {
    let step = d.to_f32();
    let mut total = 0.0;
    let scales = array::from_fn(|j| {
        let middle = nearest_integer(ideal[j], step);
        let (e, scale) = (middle - 1..=middle + 1)
            .map(|scale| scale.clamp(low, high))
            .map(|scale| (error(&x[j], &w[j], step * scale as f32, levels), scale))
            .fold((f32::INFINITY, 0), |best, this| if this.0 < best.0 { this } else { best });
        total += e;
        scale
    });
    (Scales { d, scales }, total)
}

/// The least-squares `d` for the scales and quants of `fit`.
fn refit_d<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    levels: impl Levels,
    fit: &Scales<J>,
) -> f32 {
    let (mut xq, mut qq) = (0.0, 0.0);
    for j in 0..J {
        let q = quants(&x[j], fit.scale(j), levels);
        for i in 0..S {
            let q = f64::from(q[i]) * f64::from(fit.scales[j]);
            xq += f64::from(w[j][i]) * f64::from(x[j][i]) * q;
            qq += f64::from(w[j][i]) * q * q;
        }
    }
    if qq > 0.0 { (xq / qq) as f32 } else { 0.0 }
}

/// `J` sub-blocks that decode as `d * scales[j] * q - dmin * mins[j]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScalesMins<const J: usize> {
    pub(super) d: f16,
    pub(super) dmin: f16,
    pub(super) scales: [u8; J],
    pub(super) mins: [u8; J],
}

impl<const J: usize> ScalesMins<J> {
    /// The line of sub-block `j` as the decoder computes it.
    pub(super) fn line(&self, j: usize) -> Line {
        line(self.d, self.dmin, i32::from(self.scales[j]), i32::from(self.mins[j]))
    }
}

/// Fits `J` sub-blocks of `S` values with quants in `0..=max_q` and integer scales and minima in `0..=max`.
pub(super) fn fit_scales_mins<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    max_q: f32,
    max: i32,
) -> ScalesMins<J> {
    let ideal: [Line; J] = array::from_fn(|j| fit_line(&x[j], &w[j], max_q, NegativeOffset));
    let greatest = |part: fn(&Line) -> f32| ideal.iter().map(part).fold(0.0, f32::max);
    let choose = |d_dmin| choose_scales_mins(x, w, max_q, max, d_dmin, &ideal);
    let d = to_f16(greatest(|line| line.scale) / max as f32);
    let dmin = to_f16(greatest(|line| -line.offset) / max as f32);
    let mut best = choose((d, dmin));
    for _ in 0..REFITS {
        let refitted = refit_d_dmin(x, w, max_q, &best.0);
        if refitted == (best.0.d, best.0.dmin) {
            break;
        }
        best = better(best, choose(refitted));
    }
    best.0
}

/// The best integer scales and minima under `d` and `dmin`, and the error of all sub-blocks.
fn choose_scales_mins<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    max_q: f32,
    max: i32,
    (d, dmin): (f16, f16),
    ideal: &[Line; J],
) -> (ScalesMins<J>, f32) {
    let mut fit = ScalesMins { d, dmin, scales: [0; J], mins: [0; J] };
    let mut total = 0.0;
    for j in 0..J {
        let scale = nearest_integer(ideal[j].scale, d.to_f32());
        let min = nearest_integer(-ideal[j].offset, dmin.to_f32());
        let mut best = f32::INFINITY;
        for scale in scale - 1..=scale + 1 {
            for min in min - 1..=min + 1 {
                let (scale, min) = (scale.clamp(0, max), min.clamp(0, max));
                let e = line(d, dmin, scale, min).error(&x[j], &w[j], max_q);
                if e < best {
                    best = e;
                    (fit.scales[j], fit.mins[j]) = (scale as u8, min as u8);
                }
            }
        }
        total += best;
    }
    (fit, total)
}

/// The least-squares `d` and `dmin` for the integers and quants of `fit`.
fn refit_d_dmin<const S: usize, const J: usize>(
    x: &[[f32; S]],
    w: &[[f32; S]],
    max_q: f32,
    fit: &ScalesMins<J>,
) -> (f16, f16) {
    let (mut aa, mut ab, mut bb, mut xa, mut xb) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for j in 0..J {
        let q = fit.line(j).quants(&x[j], max_q);
        let b = -f64::from(fit.mins[j]);
        for i in 0..S {
            let (x, w) = (f64::from(x[j][i]), f64::from(w[j][i]));
            let a = f64::from(q[i]) * f64::from(fit.scales[j]);
            aa += w * a * a;
            ab += w * a * b;
            bb += w * b * b;
            xa += w * x * a;
            xb += w * x * b;
        }
    }
    let determinant = aa * bb - ab * ab;
    if determinant > 1e-9 * aa * bb {
        let d = (xa * bb - xb * ab) / determinant;
        let dmin = (xb * aa - xa * ab) / determinant;
        (to_f16(d as f32), to_f16(dmin as f32))
    } else if aa > 0.0 {
        // The two cannot be told apart, or there are no minima: the scale alone is fitted.
        (to_f16(((xa - f64::from(fit.dmin) * ab) / aa) as f32), fit.dmin)
    } else {
        (fit.d, fit.dmin)
    }
}

/// The integer nearest to `value / step`, or zero where there is none.
fn nearest_integer(value: f32, step: f32) -> i32 {
    let ratio = value / step;
    if ratio.is_finite() { round(ratio.clamp(-256.0, 256.0)) as i32 } else { 0 }
}

fn line(d: f16, dmin: f16, scale: i32, min: i32) -> Line {
    Line { scale: d.to_f32() * scale as f32, offset: -(dmin.to_f32() * min as f32) }
}

/// What a scale and a minimum that is subtracted can express, before they become integers.
#[derive(Clone, Copy)]
struct NegativeOffset;

impl Lines for NegativeOffset {
    fn admit(self, offset: f32) -> f32 {
        offset.min(0.0)
    }

    fn round(self, line: Line) -> Line {
        line
    }
}

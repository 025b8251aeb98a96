//! The scale and offset of least error for values that become `scale * q + offset`.

use std::array;

use super::fit::sum;
use crate::round::round;

/// A line of evenly spaced values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) scale: f32,
    pub(super) offset: f32,
}

impl Line {
    /// Nothing but zeros.
    pub(super) const ZERO: Line = Line { scale: 0.0, offset: 0.0 };

    /// The quants in `0..=max` nearest to `x`; zeros if the scale is zero.
    pub(super) fn quants<const N: usize>(self, x: &[f32; N], max: f32) -> [f32; N] {
        let inverse = if self.scale == 0.0 { 0.0 } else { 1.0 / self.scale };
        x.map(|x| round(((x - self.offset) * inverse).clamp(0.0, max)))
    }

    /// The weighted squared error of `x` encoded on this line.
    pub(super) fn error<const N: usize>(self, x: &[f32; N], w: &[f32; N], max: f32) -> f32 {
        let q = self.quants(x, max);
        sum(array::from_fn::<_, N, _>(|i| {
            let e = x[i] - (self.scale * q[i] + self.offset);
            w[i] * e * e
        }))
    }
}

/// The lines that a format can store.
pub(super) trait Lines: Copy {
    /// The offset nearest to `offset` that can be stored at all.
    fn admit(self, offset: f32) -> f32;

    /// The stored line nearest to `line`.
    fn round(self, line: Line) -> Line;
}

/// How much wider the spacing of the quants is than it must be for all values to fit: less than one clips
/// the greatest and the least value in favour of the others.
const STRETCHES: [f32; 10] = [1.06, 1.03, 1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8, 0.76];

/// The line of least error for quants in `0..=max`.
pub(super) fn fit_line<const N: usize>(x: &[f32; N], w: &[f32; N], max: f32, lines: impl Lines) -> Line {
    let least = lines.admit(x.iter().copied().fold(f32::INFINITY, f32::min));
    let greatest = x.iter().copied().fold(least, f32::max);
    let refit = Refit::new(x, w, max);
    let mut best = (Line::ZERO, Line::ZERO.error(x, w, max));
    let mut consider = |line| {
        let stored = lines.round(line);
        let e = stored.error(x, w, max);
        // False for NaN: a scale so small that its inverse overflows is no better than zero.
        if e < best.1 {
            best = (stored, e);
        }
    };
    consider(Line { scale: 0.0, offset: lines.admit(refit.x_mean) });
    for stretch in STRETCHES {
        let scale = (greatest - least) / max * stretch;
        // Clipped at both ends alike; with room to spare, the least value stays on the line, because
        // weights that were quantized before are spaced evenly from there.
        let clipped = (greatest - least - scale * max).max(0.0) / 2.0;
        let mut line = Line { scale, offset: lines.admit(least + clipped) };
        // The second refit starts from the quants of the first.
        for _ in 0..2 {
            line = refit.apply(line, lines);
        }
        consider(line);
    }
    best.0
}

/// Least squares for one block.
struct Refit<'a, const N: usize> {
    x: &'a [f32; N],
    w: &'a [f32; N],
    max: f32,
    w_sum: f32,
    x_mean: f32,
    /// `w * (x - x_mean)`.
    wx: [f32; N],
}

impl<'a, const N: usize> Refit<'a, N> {
    fn new(x: &'a [f32; N], w: &'a [f32; N], max: f32) -> Self {
        let w_sum = sum(*w);
        let x_mean = sum(array::from_fn::<_, N, _>(|i| w[i] * x[i])) / w_sum;
        Refit { x, w, max, w_sum, x_mean, wx: array::from_fn(|i| w[i] * (x[i] - x_mean)) }
    }

    /// The least-squares line for the quants that `line` gives, with an offset that `lines` admit.
    fn apply(&self, line: Line, lines: impl Lines) -> Line {
        let q = line.quants(self.x, self.max);
        let xq = sum(array::from_fn::<_, N, _>(|i| self.wx[i] * q[i]));
        let qq = sum(array::from_fn::<_, N, _>(|i| self.w[i] * q[i] * q[i]));
        let q_sum = sum(array::from_fn::<_, N, _>(|i| self.w[i] * q[i]));
        let spread = qq - q_sum * q_sum / self.w_sum;
        if spread <= 0.0 {
            return line;
        }
        let scale = xq / spread;
        let offset = self.x_mean - scale * q_sum / self.w_sum;
        let admitted = lines.admit(offset);
        if admitted == offset {
            return Line { scale, offset };
        }
        // The offset is held where it may be; the scale alone is fitted.
        Line { scale: (xq + (self.x_mean - admitted) * q_sum) / qq, offset: admitted }
    }
}

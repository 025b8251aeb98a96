//! The scale of least error for values that become `scale * level`.

use std::array;

use half::f16;

use super::MAX_MAGNITUDE;
use crate::blocks::IQ4_LEVELS;
use crate::round::round;

/// The levels that a quant can stand for.
pub(super) trait Levels: Copy {
    /// The level nearest to `v`.
    fn nearest(self, v: f32) -> f32;

    /// The levels onto which the search puts the value of greatest magnitude: some beyond the last level,
    /// which clips that value in favour of the others, and some short of it.
    fn targets(self) -> &'static [f32];
}

/// All integers in `LOW..=HIGH`.
#[derive(Clone, Copy)]
pub(super) struct Integers<const LOW: i8, const HIGH: i8> {
    pub(super) targets: &'static [f32],
}

impl<const LOW: i8, const HIGH: i8> Levels for Integers<LOW, HIGH> {
    fn nearest(self, v: f32) -> f32 {
        round(v.clamp(f32::from(LOW), f32::from(HIGH)))
    }

    fn targets(self) -> &'static [f32] {
        self.targets
    }
}

/// [`IQ4_LEVELS`].
#[derive(Clone, Copy)]
pub(super) struct Iq4;

impl Levels for Iq4 {
    fn nearest(self, v: f32) -> f32 {
        // Borders between levels are multiples of one half, so each half-open cell of that width has one
        // nearest level. The cast truncates, which is a floor here.
        const CELLS: [f32; 512] = nearest_iq4_levels();
        CELLS[((v * 2.0 + 256.0).clamp(0.0, 511.0)) as usize & 511]
    }

    fn targets(self) -> &'static [f32] {
        IQ4_TARGETS
    }
}

/// The half float nearest to a scale, but never zero or infinite unless the scale is: a zero would erase
/// the block.
pub(super) fn to_f16(scale: f32) -> f16 {
    let rounded = f16::from_f32(scale.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE));
    if rounded == f16::ZERO && scale != 0.0 {
        f16::MIN_POSITIVE_SUBNORMAL.copysign(f16::from_f32(scale))
    } else {
        rounded
    }
}

/// Sums in eight lanes, which the compiler turns into vector additions.
pub(super) fn sum<const N: usize>(terms: [f32; N]) -> f32 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = terms.as_chunks::<8>();
    for chunk in chunks {
        for (lane, term) in lanes.iter_mut().zip(chunk) {
            *lane += term;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The levels nearest to `x / scale`; those nearest to zero if the scale is zero.
pub(super) fn quants<const N: usize>(x: &[f32; N], scale: f32, levels: impl Levels) -> [f32; N] {
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    x.map(|x| levels.nearest(x * inverse))
}

/// The weighted squared error of `x` encoded with `scale`.
pub(super) fn error<const N: usize>(x: &[f32; N], w: &[f32; N], scale: f32, levels: impl Levels) -> f32 {
    let q = quants(x, scale, levels);
    sum(array::from_fn::<_, N, _>(|i| {
        let e = x[i] - scale * q[i];
        w[i] * e * e
    }))
}

/// The scale of least error among those that `round_scale` returns, which is what the format can store.
pub(super) fn fit_scale<const N: usize>(
    x: &[f32; N],
    w: &[f32; N],
    levels: impl Levels,
    round_scale: impl Fn(f32) -> f32,
) -> f32 {
    let extreme = x.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let mut best = (0.0, error(x, w, 0.0, levels));
    for target in levels.targets() {
        let scale = round_scale(refit(x, w, extreme / target, levels));
        // False for NaN: a scale so small that its inverse overflows is no better than zero.
        let e = error(x, w, scale, levels);
        if e < best.1 {
            best = (scale, e);
        }
    }
    best.0
}

/// The least-squares scale for the quants that `scale` gives.
fn refit<const N: usize>(x: &[f32; N], w: &[f32; N], scale: f32, levels: impl Levels) -> f32 {
    let q = quants(x, scale, levels);
    let xq = sum(array::from_fn::<_, N, _>(|i| w[i] * x[i] * q[i]));
    let qq = sum(array::from_fn::<_, N, _>(|i| w[i] * q[i] * q[i]));
    if qq > 0.0 { xq / qq } else { scale }
}

const fn nearest_iq4_levels() -> [f32; 512] {
    let mut cells = [0.0; 512];
    let mut i = 0;
    while i < cells.len() {
        // In quarters, to stay with integers: the middle of cell `i` is at `(i - 256) / 2 + 1 / 4`.
        let middle = (i as i32 - 256) * 2 + 1;
        let mut level = 0;
        while level < 15 && IQ4_LEVELS[level] as i32 * 2 + IQ4_LEVELS[level + 1] as i32 * 2 < middle {
            level += 1;
        }
        cells[i] = IQ4_LEVELS[level] as f32;
        i += 1;
    }
    cells
}

/// Targets for signed 4-bit integers.
pub(super) const INT4_TARGETS: &[f32] =
    &[-9.6, -9.2, -8.8, -8.4, -8.1, -8.0, -7.7, -7.4, -7.1, -6.8, 7.0, 7.3, 7.6, 8.0, 8.4, 8.8];
/// Targets for signed 5-bit integers.
pub(super) const INT5_TARGETS: &[f32] =
    &[-18.0, -17.4, -16.9, -16.5, -16.2, -16.0, -15.7, -15.4, -15.1, -14.5, 15.0, 15.3, 15.6, 16.0, 16.5, 17.0];
/// Targets for signed 3-bit integers.
pub(super) const INT3_TARGETS: &[f32] =
    &[-5.2, -4.9, -4.6, -4.3, -4.1, -4.0, -3.8, -3.6, -3.4, -3.2, -3.0, -2.7, 3.0, 3.2, 3.4, 3.6, 3.9, 4.2];
/// Targets for signed 6-bit integers.
pub(super) const INT6_TARGETS: &[f32] =
    &[-33.5, -33.0, -32.7, -32.4, -32.1, -32.0, -31.7, -31.4, -31.1, -30.5, 31.0, 31.3, 31.6, 32.0, 32.4];
/// Targets for [`IQ4_LEVELS`].
const IQ4_TARGETS: &[f32] = &[
    -150.0, -143.0, -137.0, -132.0, -127.0, -122.0, -117.0, -112.0, -107.0, -104.0, 100.0, 105.0, 109.0, 113.0, 117.0,
    122.0, 128.0, 134.0,
];

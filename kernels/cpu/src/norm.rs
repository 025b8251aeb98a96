//! RMS norm (Zhang & Sennrich 2019).

use crate::Caps;
use crate::simd::{self, Kernel, LANES, Simd};

/// `out = x / sqrt(mean(x^2) + eps) * weight` for each run of `weight.len()` values.
pub(crate) fn rms_norm(caps: &Caps, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        simd::run(caps, RmsNorm { x, weight, eps, out });
    }
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let RmsNorm { x, weight, eps, out } = self;
        let mean = square_sum(s, x) / x.len() as f32;
        let scale = s.splat(1.0 / (mean + eps).sqrt());
        simd::map_lanes!(s, out, x = x, w = weight => s.mul(s.mul(x, scale), w));
    }
}

/// The sum of squares in four chains, so that no addition waits for the one before.
#[inline(always)]
fn square_sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); 4];
    let (groups, rest) = x.as_chunks::<{ 4 * LANES }>();
    for group in groups {
        let (vectors, _) = group.as_chunks::<LANES>();
        for i in 0..4 {
            let v = s.load(&vectors[i]);
            sums[i] = s.mul_add(v, v, sums[i]);
        }
    }
    let tail: f32 = rest.iter().map(|x| x * x).sum();
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]))) + tail
}

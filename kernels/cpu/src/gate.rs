//! Ops that work on each value alone: gated activations, add, scale, soft cap.

use silhak_ops::Activation;

use crate::Caps;
use crate::simd::{self, Kernel, Simd, map_lanes, sigmoid};

/// `out = activation(gate) * up`.
pub(crate) fn gate(caps: &Caps, activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    simd::run(caps, Gate { activation, gate, up, out });
}

/// `out = a + b`.
pub(crate) fn add(caps: &Caps, a: &[f32], b: &[f32], out: &mut [f32]) {
    simd::run(caps, Add { a, b, out });
}

/// `x = x + b`.
pub(crate) fn add_assign(caps: &Caps, x: &mut [f32], b: &[f32]) {
    simd::run(caps, AddAssign { x, b });
}

/// `out = factor * x`.
pub(crate) fn scale(caps: &Caps, x: &[f32], factor: f32, out: &mut [f32]) {
    simd::run(caps, Scale { x, factor, out });
}

/// `out = cap * tanh(x / cap)`.
pub(crate) fn soft_cap(caps: &Caps, x: &[f32], cap: f32, out: &mut [f32]) {
    simd::run(caps, SoftCap { x, cap, out });
}

struct Gate<'a> {
    activation: Activation,
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gate { activation, gate, up, out } = self;
        match activation {
            Activation::Silu => map_lanes!(s, out, g = gate, u = up => s.mul(s.mul(g, sigmoid(s, g)), u)),
            Activation::GeluTanh => map_lanes!(s, out, g = gate, u = up => {
                // (1 + tanh(z)) / 2 = sigmoid(2z)
                let cubic = s.mul_add(s.mul(s.splat(0.044_715), g), s.mul(g, g), g);
                let z = s.mul(s.splat(2.0 * SQRT_2_OVER_PI), cubic);
                s.mul(s.mul(g, sigmoid(s, z)), u)
            }),
        }
    }
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;

struct Add<'a> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        map_lanes!(s, self.out, a = self.a, b = self.b => s.add(a, b));
    }
}

struct AddAssign<'a> {
    x: &'a mut [f32],
    b: &'a [f32],
}

impl Kernel for AddAssign<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // A loop that compilers turn into vectors of the instruction set that `run` is compiled for.
        self.x.iter_mut().zip(self.b).for_each(|(x, b)| *x += b);
    }
}

struct Scale<'a> {
    x: &'a [f32],
    factor: f32,
    out: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        map_lanes!(s, self.out, x = self.x => s.mul(factor, x));
    }
}

struct SoftCap<'a> {
    x: &'a [f32],
    cap: f32,
    out: &'a mut [f32],
}

impl Kernel for SoftCap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (cap, twice, one) = (s.splat(self.cap), s.splat(2.0 / self.cap), s.splat(1.0));
        // tanh(z) = 2 sigmoid(2z) - 1
        map_lanes!(s, self.out, x = self.x => {
            let half = sigmoid(s, s.mul(twice, x));
            s.mul(cap, s.sub(s.add(half, half), one))
        });
    }
}

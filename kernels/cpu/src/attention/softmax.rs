//! Online softmax (Milakov & Gimelshein 2018): attention over a run of positions, and how two runs are put together.

use crate::simd::{LANES, Simd, exp};

use super::BLOCK;

/// What is known of a row: the highest score so far, and the sum of the weights relative to it.
pub(super) type State = [f32; 2];

/// A row that has seen nothing.
pub(super) const NOTHING: State = [f32::NEG_INFINITY, 0.0];

/// Turns a row's scores for a block into weights, and rescales what the row has summed up so far.
#[inline(always)]
pub(super) fn weigh<S: Simd>(s: S, scores: &mut [f32; BLOCK], state: &mut State, acc: &mut [f32]) {
    let (vectors, _) = scores.as_chunks_mut::<LANES>();
    let mut top = s.splat(f32::NEG_INFINITY);
    for v in vectors.iter() {
        top = s.at_least(top, s.load(v));
    }
    let top = s.max(top).max(state[0]);
    if top == f32::NEG_INFINITY {
        scores.fill(0.0);
        return;
    }
    let highest = s.splat(top);
    let mut sum = s.splat(0.0);
    for v in vectors.iter_mut() {
        let weight = exp(s, s.sub(s.load(v), highest));
        sum = s.add(sum, weight);
        s.store(weight, v);
    }
    let factor = factor(s, state[0], top);
    if factor != 1.0 {
        rescale(acc, factor);
    }
    *state = [top, state[1] * factor + s.sum(sum)];
}

/// Adds a later run of positions, `other`, to `total`. Adding nothing, or adding to nothing, changes no bit.
#[inline(always)]
pub(super) fn merge<S: Simd>(s: S, total: (&mut State, &mut [f32]), other: (State, &[f32])) {
    let ((state, acc), (other, other_acc)) = (total, other);
    let top = state[0].max(other[0]);
    if top == f32::NEG_INFINITY {
        return;
    }
    let (old, new) = (factor(s, state[0], top), factor(s, other[0], top));
    if old != 1.0 {
        rescale(acc, old);
    }
    for (a, b) in acc.iter_mut().zip(other_acc) {
        *a += new * b;
    }
    *state = [top, state[1] * old + other[1] * new];
}

/// `e^(score - top)`, and 0 where there is no score yet.
#[inline(always)]
fn factor<S: Simd>(s: S, score: f32, top: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    s.store(exp(s, s.splat(score - top)), &mut lanes);
    lanes[0]
}

#[inline(always)]
fn rescale(acc: &mut [f32], factor: f32) {
    acc.iter_mut().for_each(|a| *a *= factor);
}

/// The weighted mean, once everything is summed up.
#[inline(always)]
pub(super) fn divide(acc: &mut [f32], [_, sum]: State) {
    acc.iter_mut().for_each(|a| *a /= sum);
}

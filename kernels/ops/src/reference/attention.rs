//! Causal attention with grouped query heads, the softmax in float64.

use super::kv::KvStore;
use crate::{Batch, KvId};

/// `q` is `[n_tokens, width]`; so is the result.
pub(super) fn attention(q: &[f32], width: usize, layer: KvId, scale: f32, kv: &KvStore, batch: &Batch) -> Vec<f32> {
    let shape = kv.shape(layer);
    let heads_per_kv = width / shape.width();
    let mut out = vec![0.0; q.len()];
    for (i, (&sequence, &position)) in batch.sequences().iter().zip(batch.positions()).enumerate() {
        let end = position as usize + 1;
        let begin = shape.window.map_or(0, |w| end.saturating_sub(w));
        for head in 0..width / shape.head_dim {
            let at = i * width + head * shape.head_dim;
            let q = &q[at..at + shape.head_dim];
            let read = |p| kv.read(layer, batch, sequence, p, head / heads_per_kv);
            let scores: Vec<f64> = (begin..end).map(|p| f64::from(scale) * dot(q, read(p).0)).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let mut acc = vec![0.0f64; shape.head_dim];
            for (p, weight) in (begin..end).zip(weights) {
                acc.iter_mut().zip(read(p).1).for_each(|(a, &v)| *a += weight * f64::from(v));
            }
            out[at..at + shape.head_dim].iter_mut().zip(acc).for_each(|(o, a)| *o = (a / sum) as f32);
        }
    }
    out
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

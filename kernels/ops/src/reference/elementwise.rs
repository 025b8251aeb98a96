//! Ops that work on each value alone.

use crate::Activation;

pub(super) fn gate(gate: &[f32], up: &[f32], activation: Activation) -> Vec<f32> {
    gate.iter().zip(up).map(|(&g, u)| activation.apply(g) * u).collect()
}

pub(super) fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

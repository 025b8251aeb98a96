//! Rotary position embedding (Su et al. 2021).

use crate::{Pairing, Rope, RopeTable};

/// Rotates the heads of each token by its position.
pub(super) fn rope(x: &[f32], head_dim: usize, rope: &Rope, table: &RopeTable, positions: &[u32]) -> Vec<f32> {
    let mut out = x.to_vec();
    let width = x.len() / positions.len().max(1);
    for (row, &position) in out.chunks_exact_mut(width.max(1)).zip(positions) {
        let turns: Vec<(f32, f32)> = table.at(position).collect();
        for head in row.chunks_exact_mut(head_dim) {
            for (i, (cos, sin)) in turns.iter().enumerate() {
                let (first, second) = match rope.pairing {
                    Pairing::Adjacent => (2 * i, 2 * i + 1),
                    Pairing::Halves => (i, i + rope.n_rot / 2),
                };
                let (a, b) = (head[first], head[second]);
                head[first] = a * cos - b * sin;
                head[second] = a * sin + b * cos;
            }
        }
    }
    out
}

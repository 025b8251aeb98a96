//! RMS norm (Zhang & Sennrich 2019).

/// Normalizes each run of `weight.len()` values.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let normalize = |run: &[f32]| {
        let square_sum: f64 = run.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let scale = 1.0 / (square_sum / run.len() as f64 + f64::from(eps)).sqrt();
        run.iter().zip(weight).map(|(x, w)| x * scale as f32 * w).collect::<Vec<_>>()
    };
    x.chunks_exact(weight.len()).flat_map(normalize).collect()
}

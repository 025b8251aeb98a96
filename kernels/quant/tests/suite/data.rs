//! Reproducible data. `tests/python/make_fixtures.py` computes the same gaussian values.

/// Number `i` of the SplitMix64 sequence that starts from zero.
pub(crate) fn random_bits(i: u64) -> u64 {
    let z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Values with mean 0 and variance 1: the sum of twelve 20-bit fractions, less six.
///
/// Every step is exact in float32, so that another language gets the same values.
pub(crate) fn gaussian(n: usize) -> Vec<f32> {
    (0..n as u64)
        .map(|i| {
            let sum: u64 = (0..12).map(|k| random_bits(12 * i + k) >> 44).sum();
            (sum as i64 - (6 << 20)) as f32 / (1 << 20) as f32
        })
        .collect()
}

/// The root of the mean square difference.
pub(crate) fn rmse(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

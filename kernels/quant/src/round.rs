//! Rounding that is fast on every processor.

/// Rounds to the nearest integer, ties to even, for magnitudes below 2^22.
///
/// Adding 1.5 * 2^23 leaves no bits for a fraction. Unlike [`f32::round_ties_even`] this needs no call
/// on processors without SSE4.1 and is vectorized by the compiler.
pub(crate) fn round(v: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (v + SHIFT) - SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        for i in -1_000_000..=1_000_000 {
            let v = i as f32 / 256.0;
            assert_eq!(round(v), v.round_ties_even());
            assert_eq!(round(v * 1000.0), (v * 1000.0).round_ties_even());
        }
        assert!(round(f32::NAN).is_nan());
    }
}

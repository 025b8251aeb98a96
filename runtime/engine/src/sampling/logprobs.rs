//! Log-probabilities of tokens, before any sampling option changes them.

use crate::Error;

/// A token and its log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// The log-probability of the chosen token, and those of the most likely ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprobs {
    /// The chosen token's.
    pub chosen: TokenLogprob,
    /// The most likely, in falling order.
    pub top: Vec<TokenLogprob>,
}

impl Logprobs {
    pub(crate) fn new(logits: &[f32], chosen: u32, n_top: usize) -> Result<Self, Error> {
        let log_sum = log_sum_exp(logits)?;
        let of = |id: u32| TokenLogprob { id, logprob: (f64::from(logits[id as usize]) - log_sum) as f32 };
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        let falling = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let n_top = n_top.min(ids.len());
        if n_top > 0 && n_top < ids.len() {
            ids.select_nth_unstable_by(n_top - 1, falling);
        }
        ids.truncate(n_top);
        ids.sort_unstable_by(falling);
        Ok(Logprobs { chosen: of(chosen), top: ids.into_iter().map(of).collect() })
    }
}

/// What the log-probabilities of tokens are below their logits, in float64.
pub(crate) fn log_sum_exp(logits: &[f32]) -> Result<f64, Error> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    if sum.is_finite() { Ok(f64::from(max) + sum.ln()) } else { Err(Error::NotFinite) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_come_in_falling_order() {
        let logits = [1.0, 3.0, -2.0, 3.0, 0.5];
        let all = Logprobs::new(&logits, 4, 5).unwrap();
        let sum: f32 = all.top.iter().map(|t| t.logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(all.top.iter().map(|t| t.id).collect::<Vec<_>>(), [1, 3, 0, 4, 2]);
        assert_eq!(all.chosen, all.top[3]);
        assert_eq!(Logprobs::new(&logits, 4, 2).unwrap().top, all.top[..2]);
    }

    #[test]
    fn broken_logits_are_an_error() {
        assert!(log_sum_exp(&[0.0, f32::NAN]).is_err());
        assert!(log_sum_exp(&[0.0, f32::INFINITY]).is_err());
    }
}

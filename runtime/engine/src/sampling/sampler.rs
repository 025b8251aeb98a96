//! Sampling options, and the sampler that follows them.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use silhak_ops::Choice;

use super::penalties::Used;
use crate::Error;

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// Divides the logits; 0 always takes the most likely token ("greedy"), and then nothing below matters but the
    /// penalties and the bias.
    pub temperature: f32,
    /// Keeps the `top_k` most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest tokens whose probabilities sum to at least `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as likely as the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens in prompt and answer; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted from a token's logit for each time the answer has it.
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit once if the answer has it.
    pub presence_penalty: f32,
    /// Added to the logits of single tokens, first of all; `-inf` forbids one.
    pub logit_bias: Vec<(u32, f32)>,
    /// The same seed gives the same text. `None` takes one from the clock.
    pub seed: Option<u64>,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        SamplingOptions {
            temperature: 0.7,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl SamplingOptions {
    /// What [`temperature`](Self::temperature) can be.
    pub const TEMPERATURE: RangeInclusive<f32> = 0.0..=100.0;
    /// What [`top_p`](Self::top_p) and [`min_p`](Self::min_p) can be.
    pub const PROBABILITY: RangeInclusive<f32> = 0.0..=1.0;
    /// What [`repetition_penalty`](Self::repetition_penalty) can be.
    pub const FACTOR: RangeInclusive<f32> = 0.01..=100.0;
    /// What [`frequency_penalty`](Self::frequency_penalty) and [`presence_penalty`](Self::presence_penalty) can be.
    pub const PENALTY: RangeInclusive<f32> = -100.0..=100.0;

    /// Always the most likely token.
    pub fn greedy() -> Self {
        SamplingOptions { temperature: 0.0, ..Self::default() }
    }

    fn check(&self, n_vocab: usize) -> Result<(), Error> {
        let within = |option, value: f32, range: RangeInclusive<f32>| {
            let (expected, found) = (format!("{} to {}", range.start(), range.end()), value.to_string());
            if range.contains(&value) { Ok(()) } else { Err(Error::Option { option, expected, found }) }
        };
        within("temperature", self.temperature, Self::TEMPERATURE)?;
        within("top_p", self.top_p, Self::PROBABILITY)?;
        within("min_p", self.min_p, Self::PROBABILITY)?;
        within("repetition_penalty", self.repetition_penalty, Self::FACTOR)?;
        within("frequency_penalty", self.frequency_penalty, Self::PENALTY)?;
        within("presence_penalty", self.presence_penalty, Self::PENALTY)?;
        for &(id, bias) in &self.logit_bias {
            if id as usize >= n_vocab {
                return Err(Error::TokenOutOfRange { id, n_vocab });
            }
            if !is_usable(bias) {
                let (expected, found) = ("a number or -inf".into(), bias.to_string());
                return Err(Error::Option { option: "logit_bias", expected, found });
            }
        }
        Ok(())
    }
}

/// Chooses tokens for one answer.
#[derive(Debug)]
pub(crate) struct Sampler {
    options: SamplingOptions,
    used: Used,
    rng: ChaCha8Rng,
    /// Logits after bias and penalties; kept to save an allocation per token.
    logits: Vec<f32>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    /// The logit, then the probability relative to the most likely token.
    weight: f32,
}

impl Sampler {
    pub(crate) fn new(options: &SamplingOptions, prompt: &[u32], n_vocab: usize) -> Result<Self, Error> {
        options.check(n_vocab)?;
        let seed = options.seed.unwrap_or_else(seed_from_clock);
        Ok(Sampler {
            options: options.clone(),
            used: Used::new(prompt),
            rng: ChaCha8Rng::seed_from_u64(seed),
            logits: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// Chooses the next token, and remembers it for the penalties.
    pub(crate) fn sample(&mut self, logits: &[f32]) -> Result<u32, Error> {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        let SamplingOptions { repetition_penalty, frequency_penalty, presence_penalty, .. } = self.options;
        for &(id, bias) in &self.options.logit_bias {
            self.logits[id as usize] += bias;
        }
        if repetition_penalty != 1.0 {
            self.used.penalize_repetition(&mut self.logits, repetition_penalty);
        }
        if frequency_penalty != 0.0 || presence_penalty != 0.0 {
            self.used.penalize_use(&mut self.logits, frequency_penalty, presence_penalty);
        }
        // Bias and penalties can forbid every token, or overflow.
        if !self.logits.iter().copied().all(is_usable) || !self.logits.iter().any(|x| x.is_finite()) {
            return Err(Error::NotFinite);
        }
        let token = if self.options.temperature == 0.0 { arg_max(&self.logits) } else { self.draw() };
        self.used.add(token);
        Ok(token)
    }

    /// Whether a device can choose in place of [`Sampler::sample`]: what bias and penalties depend on is not there.
    pub(crate) fn is_plain(&self) -> bool {
        let SamplingOptions { temperature, top_k, logit_bias, .. } = &self.options;
        let SamplingOptions { repetition_penalty, frequency_penalty, presence_penalty, .. } = self.options;
        let changes_nothing = (repetition_penalty, frequency_penalty, presence_penalty) == (1.0, 0.0, 0.0);
        let is_short = *temperature == 0.0 || (1..=Choice::MOST_TOP_K).contains(top_k);
        logit_bias.is_empty() && changes_nothing && is_short
    }

    /// How a device is to choose the next token, if the sampler [is plain](Self::is_plain). The number that decides is
    /// drawn here, as the host would.
    pub(crate) fn choice(&mut self) -> Choice {
        let SamplingOptions { temperature, top_k, top_p, min_p, .. } = self.options;
        if temperature == 0.0 {
            return Choice::GREEDY;
        }
        Choice { temperature, top_k, top_p, min_p, uniform: uniform(&mut self.rng) }
    }

    /// Draws from what temperature, top-k, top-p and min-p leave.
    fn draw(&mut self) -> u32 {
        let SamplingOptions { temperature, top_k, top_p, min_p, .. } = self.options;
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend((0..).zip(&self.logits).map(|(id, &weight)| Candidate { id, weight }));
        // Ids break ties, so that the same seed gives the same text whatever the order of the partial sort.
        let falling = |a: &Candidate, b: &Candidate| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id));
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, falling);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(falling);
        let max = candidates[0].weight;
        candidates.iter_mut().for_each(|c| c.weight = ((c.weight - max) / temperature).exp());
        truncate_top_p(candidates, top_p);
        // The most likely candidate always stays: its weight is 1. One of weight 0 was forbidden.
        candidates.retain(|c| c.weight >= min_p && c.weight > 0.0);
        let total: f32 = candidates.iter().map(|c| c.weight).sum();
        let mut left = uniform(&mut self.rng) * total;
        for c in candidates.iter() {
            left -= c.weight;
            if left < 0.0 {
                return c.id;
            }
        }
        // Rounding can leave a trace of the total.
        candidates[candidates.len() - 1].id
    }
}

/// Keeps the fewest candidates that have `top_p` of the probability.
fn truncate_top_p(candidates: &mut Vec<Candidate>, top_p: f32) {
    let enough = top_p * candidates.iter().map(|c| c.weight).sum::<f32>();
    let mut sum = 0.0;
    let needed = candidates.iter().take_while(|c| {
        let more = sum < enough;
        sum += c.weight;
        more
    });
    let n = needed.count().max(1);
    if top_p < 1.0 {
        candidates.truncate(n);
    }
}

/// Whether a number can be a logit: any but NaN and `+inf`. `-inf` forbids a token.
fn is_usable(x: f32) -> bool {
    x.is_finite() || x == f32::NEG_INFINITY
}

/// The first of the largest.
fn arg_max(logits: &[f32]) -> u32 {
    let better = |best: (u32, f32), x: (u32, f32)| if x.1 > best.1 { x } else { best };
    (0..).zip(logits.iter().copied()).fold((0, f32::NEG_INFINITY), better).0
}

/// Uniform in `0..1`, with 24 bits.
fn uniform(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

fn seed_from_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(change: impl FnOnce(&mut SamplingOptions)) -> SamplingOptions {
        let mut options = SamplingOptions {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: Some(7),
            ..SamplingOptions::default()
        };
        change(&mut options);
        options
    }

    /// How often each of the tokens comes up in 4000 draws.
    fn shares(options: &SamplingOptions, logits: &[f32]) -> Vec<f32> {
        let mut counts = vec![0; logits.len()];
        let mut sampler = Sampler::new(options, &[], logits.len()).unwrap();
        (0..4000).for_each(|_| counts[sampler.sample(logits).unwrap() as usize] += 1);
        counts.into_iter().map(|n| n as f32 / 4000.0).collect()
    }

    /// Probabilities 0.5, 0.3, 0.15, 0.05, in an order that is not sorted.
    fn logits() -> [f32; 4] {
        [0.15f32, 0.5, 0.05, 0.3].map(f32::ln)
    }

    fn assert_near(found: &[f32], expected: [f32; 4]) {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 0.03), "{found:?} is not near {expected:?}");
    }

    #[test]
    fn draws_follow_the_probabilities() {
        assert_near(&shares(&options(|_| ()), &logits()), [0.15, 0.5, 0.05, 0.3]);
        let squared = [0.0225, 0.25, 0.0025, 0.09].map(|p: f32| p / 0.365);
        assert_near(&shares(&options(|o| o.temperature = 0.5), &logits()), squared);
    }

    #[test]
    fn each_option_keeps_what_it_says() {
        assert_near(&shares(&options(|o| o.top_k = 2), &logits()), [0.0, 0.625, 0.0, 0.375]);
        assert_near(&shares(&options(|o| o.top_p = 0.79), &logits()), [0.0, 0.625, 0.0, 0.375]);
        assert_near(&shares(&options(|o| o.min_p = 0.29), &logits()), [0.158, 0.526, 0.0, 0.316]);
        assert_near(&shares(&options(|o| o.top_p = 0.0), &logits()), [0.0, 1.0, 0.0, 0.0]);
        let forbidden = options(|o| o.logit_bias = vec![(1, f32::NEG_INFINITY)]);
        assert_near(&shares(&forbidden, &logits()), [0.3, 0.0, 0.1, 0.6]);
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| {
            let mut sampler = Sampler::new(&options(|o| o.seed = Some(seed)), &[], 4).unwrap();
            (0..50).map(|_| sampler.sample(&logits()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_heeds_penalties() {
        let mut sampler = Sampler::new(&SamplingOptions::greedy(), &[], 3).unwrap();
        assert_eq!(sampler.sample(&[1.0, 2.0, 2.0]).unwrap(), 1);
        let penalized = SamplingOptions { presence_penalty: 0.5, ..SamplingOptions::greedy() };
        let mut sampler = Sampler::new(&penalized, &[], 3).unwrap();
        let chosen: Vec<_> = (0..3).map(|_| sampler.sample(&[1.8, 2.0, 1.9]).unwrap()).collect();
        assert_eq!(chosen, [1, 2, 0]);
    }

    #[test]
    fn nonsense_is_refused() {
        for broken in [
            options(|o| o.temperature = -1.0),
            options(|o| o.top_p = f32::NAN),
            options(|o| o.min_p = 1.5),
            options(|o| o.repetition_penalty = 0.0),
            options(|o| o.logit_bias = vec![(4, 0.0)]),
            options(|o| o.logit_bias = vec![(1, f32::NAN)]),
            options(|o| o.logit_bias = vec![(1, f32::INFINITY)]),
        ] {
            assert!(Sampler::new(&broken, &[], 4).is_err());
        }
    }

    #[test]
    fn where_no_token_can_be_chosen_nothing_is() {
        let (forbidden, largest) = (f32::NEG_INFINITY, f32::MAX);
        let biased = |bias: &[(u32, f32)]| options(|o| o.logit_bias = bias.to_vec());
        for (options, logits) in [
            (biased(&[]), [0.0, f32::NAN]),
            (biased(&[]), [0.0, f32::INFINITY]),
            (biased(&[]), [forbidden, forbidden]),
            (biased(&[(0, forbidden), (1, forbidden)]), [0.0, 1.0]),
            (biased(&[(0, largest), (0, largest)]), [0.0, 1.0]),
            (biased(&[(0, largest), (0, largest), (0, forbidden)]), [0.0, 1.0]),
        ] {
            for options in [SamplingOptions { temperature: 0.0, ..options.clone() }, options] {
                let found = Sampler::new(&options, &[], 2).unwrap().sample(&logits);
                assert!(matches!(found, Err(Error::NotFinite)), "{options:?} on {logits:?}: {found:?}");
            }
        }
    }
}

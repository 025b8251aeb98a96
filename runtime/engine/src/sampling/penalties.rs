//! Penalties on tokens that were already used.

use std::collections::{HashMap, HashSet};

/// Which tokens were used, and how often the answer used them.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    prompt: HashSet<u32>,
    answer: HashMap<u32, u32>,
}

impl Used {
    pub(super) fn new(prompt: &[u32]) -> Self {
        Used { prompt: prompt.iter().copied().collect(), answer: HashMap::new() }
    }

    pub(super) fn add(&mut self, token: u32) {
        *self.answer.entry(token).or_default() += 1;
    }

    /// Divides the positive and multiplies the negative logits of tokens in prompt or answer (Keskar et al. 2019).
    pub(super) fn penalize_repetition(&self, logits: &mut [f32], penalty: f32) {
        let of_answer = self.answer.keys().filter(|token| !self.prompt.contains(token));
        for &token in self.prompt.iter().chain(of_answer) {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// Subtracts `frequency` for each use in the answer, and `presence` once (OpenAI's definition).
    pub(super) fn penalize_use(&self, logits: &mut [f32], frequency: f32, presence: f32) {
        for (&token, &count) in &self.answer {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= frequency * count as f32 + presence;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_counts_prompt_and_answer_once_each() {
        let mut used = Used::new(&[0, 1, 1]);
        used.add(1);
        used.add(2);
        let mut logits = [2.0, -2.0, 4.0, 8.0];
        used.penalize_repetition(&mut logits, 2.0);
        assert_eq!(logits, [1.0, -4.0, 2.0, 8.0]);
    }

    #[test]
    fn frequency_and_presence_count_the_answer_alone() {
        let mut used = Used::new(&[0]);
        used.add(1);
        used.add(1);
        let mut logits = [1.0, 1.0];
        used.penalize_use(&mut logits, 0.25, 0.125);
        assert_eq!(logits, [1.0, 1.0 - 0.5 - 0.125]);
    }
}

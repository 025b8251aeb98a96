//! How well a model foresees a text, and how far it is from another.

use std::sync::Arc;

use crate::model::{Shared, check_prompt};
use crate::pages::Sequence;
use crate::runner::Request;
use crate::sampling::log_sum_exp;
use crate::{CancelToken, Error, Model};

/// How far a model is from another, over the tokens of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The model's negative log-likelihood of each token but the first, in nats: `[n_tokens - 1]`.
    pub nll: Vec<f64>,
    /// That of the source.
    pub source_nll: Vec<f64>,
    /// The Kullback-Leibler divergence of the model's prediction from the source's, in nats, for each token but the first.
    pub kl: Vec<f64>,
    /// How often both find the same token likeliest, among as many.
    pub n_same_first: usize,
}

impl Model {
    /// The negative log-likelihood of each token but the first given those before it, in nats: `[n_tokens - 1]`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after `cancel`, and what a prompt is refused for.
    pub fn score(&self, tokens: &[u32], cancel: &CancelToken) -> Result<Vec<f64>, Error> {
        let mut reading = Reading::new(self, tokens)?;
        let mut nll = Vec::with_capacity(tokens.len() - 1);
        while let Some(logits) = reading.read(self.shared.runner.max_outputs(), cancel)? {
            for (row, &next) in reading.rows(&logits).zip(&tokens[nll.len() + 1..]) {
                nll.push(log_sum_exp(row)? - f64::from(row[next as usize]));
            }
        }
        Ok(nll)
    }

    /// Compares with the model that this one was made from, say by quantization.
    ///
    /// # Errors
    /// [`Error::OtherVocabulary`] for models with vocabularies of different sizes, and as [`Model::score`].
    pub fn divergence(&self, source: &Model, tokens: &[u32], cancel: &CancelToken) -> Result<Divergence, Error> {
        let [found, expected] = [self, source].map(|model| model.shared.hyper.n_vocab);
        if found != expected {
            return Err(Error::OtherVocabulary { found, expected });
        }
        let (mut ours, mut theirs) = (Reading::new(self, tokens)?, Reading::new(source, tokens)?);
        let n_batch = self.shared.runner.max_outputs().min(source.shared.runner.max_outputs());
        let mut divergence = Divergence { nll: vec![], source_nll: vec![], kl: vec![], n_same_first: 0 };
        while let (Some(found), Some(expected)) = (ours.read(n_batch, cancel)?, theirs.read(n_batch, cancel)?) {
            let next = &tokens[divergence.nll.len() + 1..];
            for ((found, expected), &next) in ours.rows(&found).zip(theirs.rows(&expected)).zip(next) {
                divergence.add(found, expected, next as usize)?;
            }
        }
        Ok(divergence)
    }

    /// The logits after each of `tokens`, run as batches of `n_batch`: `[n_tokens, n_vocab]`. For comparisons.
    pub fn logits(&self, tokens: &[u32], n_batch: usize) -> Result<Vec<f32>, Error> {
        let mut reading = Reading::new(self, tokens)?;
        let (mut logits, cancel) = (Vec::new(), CancelToken::new());
        while let Some(more) = reading.read(n_batch, &cancel)? {
            logits.extend(more);
        }
        Ok(logits)
    }
}

impl Divergence {
    /// Adds what both say after some tokens; `next` is the token that comes.
    fn add(&mut self, found: &[f32], expected: &[f32], next: usize) -> Result<(), Error> {
        let (ours, theirs) = (log_sum_exp(found)?, log_sum_exp(expected)?);
        self.nll.push(ours - f64::from(found[next]));
        self.source_nll.push(theirs - f64::from(expected[next]));
        let mut kl = 0.0;
        for (&found, &expected) in found.iter().zip(expected) {
            let (log_q, log_p) = (f64::from(found) - ours, f64::from(expected) - theirs);
            kl += log_p.exp() * (log_p - log_q);
        }
        self.kl.push(kl);
        self.n_same_first += usize::from(likeliest(found) == likeliest(expected));
        Ok(())
    }
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
}

/// A text that a model reads from its beginning, in chunks.
struct Reading<'a> {
    shared: &'a Shared,
    tokens: &'a [u32],
    sequence: Sequence,
}

impl<'a> Reading<'a> {
    fn new(model: &'a Model, tokens: &'a [u32]) -> Result<Self, Error> {
        let shared = model.shared.as_ref();
        check_prompt(tokens, shared.n_ctx, shared.hyper.n_vocab)?;
        Ok(Reading { shared, tokens, sequence: Sequence::new(Arc::clone(&shared.pool)) })
    }

    /// The logits after each of the next tokens, at most `n_batch`; `None` behind the last.
    fn read(&mut self, n_batch: usize, cancel: &CancelToken) -> Result<Option<Vec<f32>>, Error> {
        let start = self.sequence.len();
        let n = (self.tokens.len() - start).min(n_batch.clamp(1, self.shared.runner.max_outputs()));
        if n == 0 {
            self.shared.runner.footing().answered();
            return Ok(None);
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.sequence.reserve(n)?;
        let (tokens, tables) = (self.tokens[start..start + n].to_vec(), self.sequence.tables().to_vec());
        let (epoch, cancel) = (self.sequence.epoch(), cancel.clone());
        let logits = self.shared.runner.run(Request { tokens, start, tables, epoch, n_outputs: n, cancel })?;
        self.sequence.advance(n);
        Ok(Some(logits))
    }

    fn rows<'b>(&self, logits: &'b [f32]) -> impl Iterator<Item = &'b [f32]> + use<'b> {
        logits.chunks_exact(self.shared.hyper.n_vocab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_does_not_diverge_from_itself_and_from_another_by_what_the_formula_says() {
        let mut divergence = Divergence { nll: vec![], source_nll: vec![], kl: vec![], n_same_first: 0 };
        let (p, q) = ([1.0f32, 2.0, 3.0], [3.0f32, 2.0, 1.0]);
        divergence.add(&p, &p, 1).unwrap();
        divergence.add(&q, &p, 2).unwrap();
        assert!(divergence.kl[0].abs() < 1e-12 && divergence.nll[0] == divergence.source_nll[0]);
        assert_eq!(divergence.n_same_first, 1);
        let share = |x: f64| x.exp() / (1f64.exp() + 2f64.exp() + 3f64.exp());
        let by_hand = share(1.0) * (share(1.0) / share(3.0)).ln() + share(3.0) * (share(3.0) / share(1.0)).ln();
        assert!((divergence.kl[1] - by_hand).abs() < 1e-9, "{}", divergence.kl[1]);
        assert!((divergence.nll[1] + share(1.0).ln()).abs() < 1e-9);
    }
}

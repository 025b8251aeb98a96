//! An answer as it comes from the model.

use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;
use silhak::{FinishReason, GenerateOptions, Model, Session, Usage};

use crate::footing::Footing;
use crate::messages::{Lang, Stats};
use crate::thinking::Aside;
use crate::{output, system};

/// An answer and how it came about.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// What the model thought before.
    pub(crate) reasoning: String,
    /// It ended while the model was thinking.
    pub(crate) ends_in_thought: bool,
    pub(crate) ids: Vec<u32>,
    pub(crate) finish_reason: FinishReason,
    pub(crate) usage: Usage,
    /// When the first token was there.
    pub(crate) first_token: Option<Instant>,
}

/// Generates an answer and hands each piece of it to `write`; thinking is shown aside, and so is where the model runs if
/// that has changed.
pub(crate) fn stream(
    session: &mut Session,
    prompt: &[u32],
    options: GenerateOptions,
    lang: Lang,
    mut write: impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<Answer> {
    let model = session.model().clone();
    let mut footing = Footing::of(&model);
    let mut generation = session.generate(prompt, options)?;
    let (mut text, mut reasoning, mut ids, mut first_token) = (String::new(), String::new(), Vec::new(), None);
    let mut aside = Aside::new();
    for piece in generation.by_ref() {
        // It changes at the beginning of an answer: an answer that has begun ends with an error instead.
        if first_token.is_none()
            && let Some(news) = footing.news(&model, lang)
        {
            output::note(&news);
        }
        let piece = piece?;
        first_token.get_or_insert_with(Instant::now);
        ids.extend(piece.token);
        text += &piece.text;
        reasoning += &piece.reasoning;
        aside.show(&piece.reasoning)?;
        if !piece.text.is_empty() {
            aside.end()?;
        }
        write(&piece.text)?;
    }
    aside.end()?;
    // It has ended without an error, so it has a reason; a generation that was never run would have none.
    let finish_reason = generation.finish_reason().unwrap_or(FinishReason::Stop);
    let (ends_in_thought, usage) = (generation.is_thinking(), generation.usage());
    Ok(Answer { text, reasoning, ends_in_thought, ids, finish_reason, usage, first_token })
}

impl Answer {
    /// What `--stats` tells of an answer by `model`.
    pub(crate) fn stats(&self, model: &Model) -> Stats {
        Stats {
            device: model.device(),
            prompt_tokens: self.usage.prompt_tokens - self.usage.cached_tokens,
            prefill_tps: self.prefill_tps(),
            completion_tokens: self.usage.completion_tokens,
            decode_tps: self.decode_tps(),
            peak_rss: system::peak_rss(),
            ..Stats::default()
        }
    }

    /// Tokens of the prompt that were read in a second.
    pub(crate) fn prefill_tps(&self) -> Option<f64> {
        per_second(self.usage.prompt_tokens - self.usage.cached_tokens, self.usage.prefill_time)
    }

    /// Tokens that were written in a second, after the first.
    pub(crate) fn decode_tps(&self) -> Option<f64> {
        per_second(self.usage.decoded_tokens, self.usage.decode_time)
    }
}

/// Token counts as chat APIs give them.
#[derive(Debug, Serialize)]
pub(crate) struct UsageJson {
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl From<Usage> for UsageJson {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, cached_tokens, completion_tokens, .. } = usage;
        Self { prompt_tokens, cached_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// A rate; none where nothing was done.
pub(crate) fn per_second(count: usize, time: Duration) -> Option<f64> {
    (count > 0 && !time.is_zero()).then(|| count as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_done_has_no_rate() {
        assert_eq!(per_second(0, Duration::from_secs(1)), None);
        assert_eq!(per_second(3, Duration::ZERO), None);
        assert_eq!(per_second(3, Duration::from_millis(500)), Some(6.0));
    }
}

//! Text as it is generated.

use std::time::{Duration, Instant};

use silhak_text::{Detokenizer, StopMatcher, ToolCall, ToolCallError};

use crate::ahead::Ahead;
use crate::parts::{Parter, Parts};
use crate::sampling::{Logprobs, Sampler};
use crate::{Error, GenerateOptions, Session};

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn, or a stop string was met.
    Stop,
    /// `max_tokens` were generated, or the context is full.
    Length,
    /// It was cancelled; what there is, is kept.
    Cancelled,
}

impl FinishReason {
    /// The name that chat APIs use.
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "cancelled",
        }
    }
}

/// A step of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The token; `None` where text that was held back comes out at the end.
    pub token: Option<u32>,
    /// Whole characters. Empty while a character, or what may become a stop string, is not complete.
    pub text: String,
    /// The same of the thinking that comes before the answer, where [`GenerateOptions::reasoning`] parts it.
    pub reasoning: String,
    /// The calls of tools that ended here, where [`GenerateOptions::tool_calls`] parts them; an error for what begins like a
    /// call and is none.
    pub calls: Vec<Result<ToolCall, ToolCallError>>,
    /// Log-probabilities, where they were asked for.
    pub logprobs: Option<Logprobs>,
}

impl Piece {
    fn says_nothing(&self) -> bool {
        self.token.is_none() && self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }
}

/// What a generation has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that did not have to run, because the session had them stored.
    pub cached_tokens: usize,
    /// Tokens of the answer, without the one that ends the turn.
    pub completion_tokens: usize,
    /// Time for the prompt, up to the first token's logits.
    pub prefill_time: Duration,
    /// Time for all tokens after the first.
    pub decode_time: Duration,
    /// Tokens that ran in `decode_time`.
    pub decoded_tokens: usize,
}

/// A running generation: an iterator of [`Piece`]s.
#[derive(Debug)]
pub struct Generation<'a> {
    session: &'a mut Session,
    prompt: Vec<u32>,
    options: GenerateOptions,
    sampler: Sampler,
    /// Tokens that have to run before the next one can be chosen.
    pending: Vec<u32>,
    /// The tokens that a device is choosing; `None` where they are chosen here.
    ahead: Option<Ahead>,
    detokenizer: Detokenizer,
    parter: Parter,
    stops: StopMatcher,
    usage: Usage,
    state: State,
    /// How often it may begin again.
    tries_left: usize,
}

/// Where a device is lost before there is anything of an answer, nobody needs to know: so often it begins again.
const TRIES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Done(FinishReason),
    Failed,
}

impl<'a> Generation<'a> {
    /// Continues `prompt`, which begins with what the session has stored.
    pub(crate) fn new(session: &'a mut Session, prompt: &[u32], options: GenerateOptions) -> Result<Self, Error> {
        let cached_tokens = session.stored.len();
        let state = if options.max_tokens == Some(0) { State::Done(FinishReason::Length) } else { State::Running };
        let sampler = Sampler::new(&options.sampling, prompt, session.model.hyper_params().n_vocab)?;
        Ok(Generation {
            ahead: ahead(session, &options, &sampler),
            parter: Parter::new(&options, session.model.tokenizer(), prompt),
            stops: StopMatcher::new(&options.stop)?,
            pending: prompt[cached_tokens..].to_vec(),
            usage: Usage { prompt_tokens: prompt.len(), cached_tokens, ..Usage::default() },
            detokenizer: Detokenizer::new(),
            tries_left: TRIES,
            prompt: prompt.to_vec(),
            session,
            options,
            sampler,
            state,
        })
    }

    /// What has been used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Why it ended; `None` while it runs, and after an error.
    pub fn finish_reason(&self) -> Option<FinishReason> {
        match self.state {
            State::Done(reason) => Some(reason),
            State::Running | State::Failed => None,
        }
    }

    /// Whether what there is so far ends within the thinking: of a generation that has ended, the answer is missing.
    pub fn is_thinking(&self) -> bool {
        self.parter.is_thinking()
    }

    fn step(&mut self) -> Result<Piece, Error> {
        if self.usage.prompt_tokens + self.usage.completion_tokens > self.session.model.n_ctx() {
            return Ok(self.end(FinishReason::Length));
        }
        let started = Instant::now();
        let n_run = self.pending.len();
        let next = loop {
            match self.next_token() {
                Err(error) if error.is_retryable() && self.may_begin_again() => self.begin_again()?,
                next => break next?,
            }
        };
        let Some((token, logprobs)) = next else {
            return Ok(self.end(FinishReason::Cancelled));
        };
        if self.usage.completion_tokens == 0 {
            self.usage.prefill_time += started.elapsed();
        } else {
            self.usage.decode_time += started.elapsed();
            self.usage.decoded_tokens += n_run;
        }
        let tokenizer = self.session.model.tokenizer();
        if tokenizer.is_end_of_generation(token) && !self.options.ignore_end {
            return Ok(self.end(FinishReason::Stop));
        }
        self.pending = vec![token];
        self.usage.completion_tokens += 1;
        let is_spelled = self.parter.wants_special();
        let bytes = if is_spelled { tokenizer.token_bytes_with_special(token) } else { tokenizer.token_bytes(token) };
        let mut parts = self.parter.push(self.detokenizer.push(bytes));
        let step = self.stops.push(&parts.text);
        parts.text = step.text.to_owned();
        if step.stopped.is_some() {
            self.state = State::Done(FinishReason::Stop);
        } else if self.options.max_tokens == Some(self.usage.completion_tokens) {
            self.state = State::Done(FinishReason::Length);
            let rest = self.flush(FinishReason::Length);
            parts.reasoning += &rest.reasoning;
            parts.text += &rest.text;
            parts.calls.extend(rest.calls);
        }
        let Parts { reasoning, text, calls } = parts;
        Ok(Piece { token: Some(token), text, reasoning, calls, logprobs })
    }

    fn may_begin_again(&self) -> bool {
        self.usage.completion_tokens == 0 && self.tries_left > 0
    }

    /// Begins again with nothing stored.
    fn begin_again(&mut self) -> Result<(), Error> {
        self.tries_left -= 1;
        self.settle();
        self.session.clear();
        self.sampler = Sampler::new(&self.options.sampling, &self.prompt, self.session.model.hyper_params().n_vocab)?;
        self.ahead = ahead(self.session, &self.options, &self.sampler);
        self.pending.clone_from(&self.prompt);
        self.usage.cached_tokens = 0;
        Ok(())
    }

    /// Waits for what is on its way and nobody will read.
    fn settle(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.settle();
        }
    }

    /// Runs what is pending, and chooses the next token; `None` when cancelled.
    fn next_token(&mut self) -> Result<Option<(u32, Option<Logprobs>)>, Error> {
        let pending = std::mem::take(&mut self.pending);
        if let Some(ahead) = &mut self.ahead {
            let most = self.options.max_tokens.map_or(usize::MAX, |most| most - self.usage.completion_tokens);
            let token = ahead.next_token(self.session, pending, &mut self.sampler, most, &self.options.cancel)?;
            return Ok(token.map(|token| (token, None)));
        }
        let Some(logits) = self.session.run(&pending, true, &self.options.cancel)? else { return Ok(None) };
        let token = self.sampler.sample(&logits)?;
        let logprobs = self.options.logprobs.map(|n| Logprobs::new(&logits, token, n)).transpose()?;
        Ok(Some((token, logprobs)))
    }

    /// Ends without a token; text held back comes out.
    fn end(&mut self, reason: FinishReason) -> Piece {
        self.state = State::Done(reason);
        let Parts { reasoning, text, calls } = self.flush(reason);
        Piece { token: None, text, reasoning, calls, logprobs: None }
    }

    /// The rest of the text: it can no longer become a stop string. A character that was cut off in the middle is left
    /// out, unless it was the model that ended there.
    fn flush(&mut self, reason: FinishReason) -> Parts {
        let rest = self.detokenizer.finish();
        let mut parts = self.parter.push(if reason == FinishReason::Stop { rest } else { "" });
        let held = self.parter.finish();
        parts.reasoning += &held.reasoning;
        parts.calls.extend(held.calls);
        let step = self.stops.push(&(parts.text + &held.text));
        parts.text = step.text.to_owned();
        if step.stopped.is_none() {
            parts.text += self.stops.finish();
        }
        parts
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// What a device chooses tokens with, where it can and the host does not have to.
fn ahead(session: &Session, options: &GenerateOptions, sampler: &Sampler) -> Option<Ahead> {
    let is_ahead = session.model.shared.runner.footing().can_choose();
    let is_ahead = is_ahead && options.logprobs.is_none() && sampler.is_plain();
    session.sequence.slot().filter(|_| is_ahead).map(Ahead::new)
}

impl Iterator for Generation<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Running {
            return None;
        }
        let piece = self.step();
        if let State::Done(FinishReason::Stop | FinishReason::Length) = self.state {
            self.session.model.shared.runner.footing().answered();
        }
        match &piece {
            Err(error) => {
                self.state = State::Failed;
                if error.is_retryable() {
                    // Its keys and values went with the device.
                    self.session.clear();
                }
            }
            // The end of a turn that leaves no text is no step of the answer.
            Ok(piece) if piece.says_nothing() => return None,
            Ok(_) => {}
        }
        Some(piece)
    }
}

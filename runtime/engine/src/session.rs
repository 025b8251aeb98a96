//! One timeline of a model.

use std::sync::Arc;

use crate::generation::Generation;
use crate::pages::Sequence;
use crate::runner::Request;
use crate::{CancelToken, Error, GenerateOptions, Model, model};

/// One timeline: what the model has read and written so far. Dropping it frees its keys and values.
///
/// A prompt that begins like what is stored costs only what is new in it, so a conversation is rendered as a whole for
/// every turn and still runs each turn once.
#[derive(Debug)]
pub struct Session {
    pub(crate) model: Model,
    pub(crate) sequence: Sequence,
    /// The tokens whose keys and values are stored: `[sequence.len()]`.
    pub(crate) stored: Vec<u32>,
}

impl Session {
    pub(crate) fn new(model: Model) -> Self {
        let sequence = Sequence::new(Arc::clone(&model.shared.pool));
        Session { model, sequence, stored: Vec::new() }
    }

    /// The model that the session runs on.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Continues `prompt`. Nothing runs before the first piece is asked for; dropping the result stops the work.
    ///
    /// Where a GPU is lost, an answer that has begun ends with an error ([`Error::is_retryable`]); one that has not begins
    /// again by itself. What was stored on the GPU runs anew with the next prompt.
    ///
    /// # Errors
    /// The prompt is empty, longer than the context or has tokens that are none of the model's, or an option makes no sense.
    pub fn generate(&mut self, prompt: &[u32], options: GenerateOptions) -> Result<Generation<'_>, Error> {
        let n_vocab = self.model.hyper_params().n_vocab;
        model::check_prompt(prompt, self.model.n_ctx(), n_vocab)?;
        self.keep_common_prefix(prompt);
        Generation::new(self, prompt, options)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sequence.truncate(0);
        self.stored.clear();
    }

    /// Runs tokens in batches; the logits of the last, where they are wanted. `None` when cancelled.
    pub(crate) fn run(
        &mut self,
        tokens: &[u32],
        wants_logits: bool,
        cancel: &CancelToken,
    ) -> Result<Option<Vec<f32>>, Error> {
        let Session { model, sequence, stored } = self;
        let runner = &model.shared.runner;
        let n_after = stored.len() + tokens.len();
        let mut logits = Vec::new();
        for chunk in tokens.chunks(runner.max_tokens()) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            sequence.reserve(chunk.len())?;
            let (start, tables, epoch) = (sequence.len(), sequence.tables().to_vec(), sequence.epoch());
            let n_outputs = usize::from(wants_logits && stored.len() + chunk.len() == n_after);
            let (tokens, cancel) = (chunk.to_vec(), cancel.clone());
            logits = match runner.run(Request { tokens, start, tables, epoch, n_outputs, cancel }) {
                Err(Error::Cancelled) => return Ok(None),
                done => done?,
            };
            sequence.advance(chunk.len());
            stored.extend_from_slice(chunk);
        }
        Ok(Some(logits))
    }

    /// Keeps the keys and values that `prompt` begins with, all but its last token, whose logits are needed; none where they
    /// went with a device.
    fn keep_common_prefix(&mut self, prompt: &[u32]) {
        if self.sequence.is_lost() {
            self.clear();
        }
        let common = self.stored.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        self.sequence.truncate(common.min(prompt.len() - 1));
        self.stored.truncate(self.sequence.len());
    }
}

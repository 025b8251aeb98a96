//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// An error of the library. The message says what to try next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read as GGUF.
    #[error("cannot read the model file '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: silhak_gguf::Error,
    },
    /// The metadata is not what a model needs.
    #[error(transparent)]
    Metadata(#[from] silhak_gguf::Error),
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] silhak_model::Error),
    /// The vocabulary cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] silhak_text::TokenizerError),
    /// The chat template cannot be parsed or rendered.
    #[error("the model's chat template: {0}")]
    Template(#[from] silhak_text::TemplateError),
    /// The model has no chat template.
    #[error("this model has no chat template: it completes raw text; pass text instead of messages (`--raw`)")]
    NoTemplate,
    /// A stop string is empty.
    #[error(transparent)]
    StopString(#[from] silhak_text::EmptyStopString),
    /// The model could not be prepared on the device.
    #[error(transparent)]
    Prepare(#[from] silhak_ops::Error),
    /// A batch failed. Several sessions may have been part of it.
    #[error(transparent)]
    Run(Arc<silhak_ops::Error>),
    /// The requested device is not there.
    #[error("device '{found}' is not known; use auto, cpu, gpu or reference")]
    UnknownDevice {
        /// What was asked for.
        found: String,
    },
    /// The GPU cannot be used.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(#[from] silhak_gpu::GpuError),
    /// A GPU was asked for in a build without the cargo feature `gpu`.
    #[error("this build has no code for GPUs; use `--device cpu`, or build with the cargo feature `gpu`")]
    NoGpuCode,
    /// What is wanted on the GPU does not fit there.
    #[error(
        "{gpu}: {layers} of the model's layers take {needed} bytes, and {budget} are allowed; lower the layers \
         (`--gpu-layers`) or the context (`--ctx`), allow more (`--gpu-memory`), or use `--device cpu`"
    )]
    GpuMemory {
        /// The backend's name.
        gpu: String,
        /// The fewest layers that were to be there.
        layers: usize,
        /// Bytes that they take, with their keys and values and what they work in.
        needed: u64,
        /// Bytes that were allowed.
        budget: u64,
    },
    /// The requested instruction set is not one of this processor's.
    #[error("this processor cannot run {isa} code; leave the instruction set out to use the best there is")]
    IsaNotHere {
        /// What was asked for.
        isa: silhak_cpu::Isa,
    },
    /// An option makes no sense.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its range.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The prompt has no tokens.
    #[error("the prompt is empty: there is nothing to continue")]
    EmptyPrompt,
    /// The prompt is longer than the context.
    #[error(
        "the prompt has {n_tokens} tokens and the context holds {n_ctx}; shorten it, or raise the context (`--ctx`)"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        n_tokens: usize,
        /// Tokens that the context holds.
        n_ctx: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("token {id} is not in the vocabulary of {n_vocab}")]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Entries of the vocabulary.
        n_vocab: usize,
    },
    /// All key-value pages are in use by sessions.
    #[error(
        "no memory is left for keys and values at position {position}: close another session, or load the model for more (`sequences`)"
    )]
    NoFreePages {
        /// Where the sequence stopped.
        position: usize,
    },
    /// The model gave numbers that are none, or bias and penalties left no token to choose.
    #[error(
        "the logits are not finite: the bias forbids every token, the file is damaged, or a kernel is wrong (compare with `--device reference`)"
    )]
    NotFinite,
    /// Two models that are compared do not have the same tokens.
    #[error(
        "expected a vocabulary of {expected} tokens, as the source has, found {found}: one is not made from the other"
    )]
    OtherVocabulary {
        /// Tokens of the model.
        found: usize,
        /// Tokens of its source.
        expected: usize,
    },
    /// Loading or scoring was cancelled.
    #[error("cancelled before the end")]
    Cancelled,
    /// The engine thread is gone.
    #[error("the engine has stopped after an internal error; load the model again")]
    Stopped,
    /// The engine thread could not be started.
    #[error("cannot start the engine thread: {0}")]
    Thread(io::Error),
}

impl Error {
    /// Whether the same request works when it is sent again: a GPU was lost, and is opened again by the next request.
    pub fn is_retryable(&self) -> bool {
        let lost = |error: &silhak_ops::Error| matches!(error, silhak_ops::Error::DeviceLost { .. });
        match self {
            Error::Run(error) => lost(error),
            Error::Prepare(error) => lost(error),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_can_be_asked_again_and_a_wrong_batch_cannot() {
        let lost = silhak_ops::Error::DeviceLost { backend: "gpu".into(), message: "reset".into() };
        assert!(Error::Run(Arc::new(lost)).is_retryable());
        assert!(!Error::Run(Arc::new(silhak_ops::Error::Batch("empty".into()))).is_retryable());
        assert!(!Error::NoTemplate.is_retryable());
    }
}

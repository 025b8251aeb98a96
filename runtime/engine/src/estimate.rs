//! What a model would take in memory, before it is loaded.

use silhak_ops::{Backend, ExecConfig, KvConfig};

use crate::options::{DEFAULT_CTX, LoadOptions};
use crate::pages::PagePool;
use crate::{Device, Error, ModelFile};

/// Most rows of logits in one batch: rows are as wide as the vocabulary, so they are kept few.
pub(crate) const MAX_OUTPUTS: usize = 32;

/// Bytes that a model takes once it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Context length per session, in tokens.
    pub n_ctx: usize,
    /// Weights: the mapped file's, and what the device holds of them besides.
    pub weights: u64,
    /// Keys and values.
    pub kv: u64,
    /// Values between the ops of a batch.
    pub scratch: u64,
}

impl Estimate {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv).saturating_add(self.scratch)
    }

    /// What `file` would take with these options.
    pub fn new(file: &ModelFile, options: &LoadOptions) -> Result<Self, Error> {
        let config = exec_config(file, options)?;
        let backend = Device::backend(options)?;
        Self::with(file, backend.as_ref(), &config, n_ctx(file, options)?)
    }

    /// The longest context, up to the one trained on, with which `file` takes at most `budget` bytes.
    pub fn largest_context(file: &ModelFile, options: &LoadOptions, budget: u64) -> Result<Option<Self>, Error> {
        let backend = Device::backend(options)?;
        let of = |n_ctx: usize| {
            let config = exec_config(file, &LoadOptions { n_ctx: Some(n_ctx), ..options.clone() })?;
            Self::with(file, backend.as_ref(), &config, n_ctx)
        };
        let (mut fits, mut too_long) = (0, file.model().hyper_params().n_ctx_train + 1);
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            if of(middle)?.total() <= budget { fits = middle } else { too_long = middle }
        }
        (fits > 0).then(|| of(fits)).transpose()
    }

    fn with(file: &ModelFile, backend: &dyn Backend, config: &ExecConfig, n_ctx: usize) -> Result<Self, Error> {
        let memory = backend.estimate(file.model().plan(), config)?;
        // The file stays mapped; what a backend holds in a layout of its own comes on top.
        let weights = file.model().weight_bytes() + memory.weights as u64;
        Ok(Estimate { n_ctx, weights, kv: memory.kv as u64, scratch: memory.scratch as u64 })
    }
}

/// The context length that the options ask for.
pub(crate) fn n_ctx(file: &ModelFile, options: &LoadOptions) -> Result<usize, Error> {
    let trained = file.model().hyper_params().n_ctx_train;
    let n_ctx = options.n_ctx.unwrap_or(DEFAULT_CTX.min(trained));
    within("n_ctx", n_ctx, 1, trained)?;
    Ok(n_ctx)
}

/// What an executor is set up for.
pub(crate) fn exec_config(file: &ModelFile, options: &LoadOptions) -> Result<ExecConfig, Error> {
    let n_ctx = n_ctx(file, options)?;
    within("max_batch", options.max_batch, 1, 1 << 16)?;
    within("page_len", options.page_len, 1, 1 << 16)?;
    within("sequences", options.sequences, 1, 1 << 10)?;
    let groups = file.model().plan().kv_groups();
    let per_sequence = PagePool::pages_for(&groups, n_ctx, options.max_batch, options.page_len);
    let n_pages = per_sequence.iter().map(|n| n * options.sequences).collect();
    Ok(ExecConfig {
        kv: KvConfig { page_len: options.page_len, n_pages, element: options.device.kv_element() },
        max_tokens: options.max_batch,
        max_outputs: MAX_OUTPUTS.min(options.max_batch),
    })
}

fn within(option: &'static str, found: usize, low: usize, high: usize) -> Result<(), Error> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(Error::Option { option, expected: format!("{low} to {high}"), found: found.to_string() })
}

//! What a model would take in memory, before it is loaded.

use silhak_ops::{ExecConfig, KvConfig};

use crate::devices::Devices;
use crate::options::{DEFAULT_CTX, LoadOptions};
use crate::pages::PagePool;
use crate::placement::{Placement, Share};
use crate::{Error, ModelFile};

/// Most rows of logits in one batch: rows are as wide as the vocabulary, so they are kept few.
pub(crate) const MAX_OUTPUTS: usize = 32;

/// Bytes that a model takes once it is loaded, by device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Context length per session, in tokens.
    pub n_ctx: usize,
    /// What each device takes, in the order in which they run.
    pub shares: Vec<Share>,
}

impl Estimate {
    /// Bytes of the machine's memory.
    pub fn host_bytes(&self) -> u64 {
        self.bytes(false)
    }

    /// Bytes of the GPU's memory.
    pub fn gpu_bytes(&self) -> u64 {
        self.bytes(true)
    }

    fn bytes(&self, is_gpu: bool) -> u64 {
        self.shares
            .iter()
            .filter(|share| share.is_gpu == is_gpu)
            .fold(0, |sum, share| sum.saturating_add(share.total()))
    }
}

/// What a model would take with some options: which layers go where, and how much memory that is.
pub struct Fit<'a> {
    file: &'a ModelFile,
    options: LoadOptions,
    devices: Devices,
}

impl<'a> Fit<'a> {
    /// Opens the devices that the options ask for.
    pub fn new(file: &'a ModelFile, options: &LoadOptions) -> Result<Self, Error> {
        Ok(Fit { file, options: options.clone(), devices: Devices::open(options, file)? })
    }

    /// What the model would take.
    pub fn estimate(&self) -> Result<Estimate, Error> {
        let n_ctx = n_ctx(self.file, &self.options)?;
        Ok(Estimate { n_ctx, shares: self.placement()?.shares })
    }

    /// The longest context, up to the one trained on, with which the model takes at most `memory` bytes of the machine's
    /// and stays within the GPU's budget, with the layers where [`Fit::estimate`] has them.
    pub fn largest_context(&self, memory: u64) -> Result<Option<Estimate>, Error> {
        let (plan, offload) = (self.file.model().plan(), self.placement()?.offload);
        let of = |n_ctx: usize| {
            let config = exec_config(self.file, &LoadOptions { n_ctx: Some(n_ctx), ..self.options.clone() })?;
            let shares = Placement::new(&self.devices, plan, &config, offload)?.shares;
            Ok::<_, Error>(Estimate { n_ctx, shares })
        };
        let gpu_memory = self.gpu_budget().unwrap_or(u64::MAX);
        let (mut fits, mut too_long) = (0, self.file.model().hyper_params().n_ctx_train + 1);
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            let estimate = of(middle)?;
            let is_fitting = estimate.host_bytes() <= memory && estimate.gpu_bytes() <= gpu_memory;
            if is_fitting { fits = middle } else { too_long = middle }
        }
        (fits > 0).then(|| of(fits)).transpose()
    }

    /// Bytes that the model may take of the GPU; `None` where there is none, or its memory is not known.
    pub fn gpu_budget(&self) -> Option<u64> {
        self.devices.card.as_ref().and_then(|card| card.budget)
    }

    fn placement(&self) -> Result<Placement, Error> {
        let config = exec_config(self.file, &self.options)?;
        let plan = self.file.model().plan();
        Placement::first(&self.devices, plan, &config, self.options.gpu_layers)
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
        kv: KvConfig { page_len: options.page_len, n_pages, element: options.device.kv_element(options) },
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

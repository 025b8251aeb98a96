//! What runs plans.

use std::iter::Sum;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Batch, Error, KernelTime, KvConfig, Page, Plan};

/// What an executor is set up for.
#[derive(Clone, Debug)]
pub struct ExecConfig {
    /// Key-value pages.
    pub kv: KvConfig,
    /// Most tokens in a batch.
    pub max_tokens: usize,
    /// Most tokens of a batch whose logits are wanted.
    pub max_outputs: usize,
}

/// Bytes that an executor holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Weights held in a layout of the backend's own.
    pub weights: usize,
    /// Weights that are read where they lie: the caller's bytes, which are most often those of a mapped file.
    pub mapped: usize,
    /// Key-value pages.
    pub kv: usize,
    /// Values between ops.
    pub scratch: usize,
}

impl MemoryUse {
    /// All of it.
    pub fn total(self) -> usize {
        [self.weights, self.mapped, self.kv, self.scratch].into_iter().fold(0, usize::saturating_add)
    }
}

impl Sum for MemoryUse {
    fn sum<I: Iterator<Item = MemoryUse>>(parts: I) -> MemoryUse {
        parts.fold(MemoryUse::default(), |a, b| MemoryUse {
            weights: a.weights.saturating_add(b.weights),
            mapped: a.mapped.saturating_add(b.mapped),
            kv: a.kv.saturating_add(b.kv),
            scratch: a.scratch.saturating_add(b.scratch),
        })
    }
}

/// A device that can run plans.
pub trait Backend: Send + Sync {
    /// The backend's name, for logs and errors.
    fn name(&self) -> String;

    /// Readies a plan and its weights, given in the order of [`Plan::weights`]. Nothing stays allocated on an error.
    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error>;

    /// Bytes that [`Backend::prepare`] or its executor reads, so that whoever can see what is read from a disk reads them
    /// before. By default all weights.
    fn reads(&self, plan: &Plan, weights: &[Bytes]) -> Result<Vec<Bytes>, Error> {
        plan.check_weights(weights)?;
        Ok(weights.to_vec())
    }

    /// What [`Backend::prepare`] would hold, without doing it.
    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error>;
}

/// A plan that is ready to run on a device. After [`Error::DeviceLost`] it never is again: [`Backend::prepare`] makes another.
pub trait Executor: Send {
    /// Runs a batch. `inputs` and `outputs` are in the order of the plan's; each output is resized to
    /// `[n_rows, width]`. Keys and values of the batch's tokens are in their pages afterwards.
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error>;

    /// Copies a page of a key-value group over another, in all layers of the group.
    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error>;

    /// What is held now.
    fn memory(&self) -> MemoryUse;

    /// Whether it chooses tokens itself and runs ahead of whoever reads them: [`Executor::start`].
    fn can_choose(&self) -> bool {
        false
    }

    /// Begins a batch that chooses ([`Batch::choose`]), and does not wait for it. Batches run in the order in which they
    /// were given, here and to [`Executor::run`], so the next one can go on with what this one chooses.
    fn start(&mut self, _batch: &Batch) -> Result<(), Error> {
        Err(Error::Batch("this backend does not choose tokens".into()))
    }

    /// Waits for the first of the batches that were started and not finished: the token that it chose for each output;
    /// `None` where the logits are not numbers to choose from.
    fn finish(&mut self) -> Result<Vec<Option<u32>>, Error> {
        Err(Error::Batch("no batch was started".into()))
    }

    /// What each kernel took since the last call, the slowest first. Empty where kernels are not timed.
    fn profile(&mut self) -> Vec<KernelTime> {
        Vec::new()
    }
}

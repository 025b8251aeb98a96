//! An executor that outlives its device.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use silhak_ops::{Batch, Error, ExecConfig, Executor, KernelTime, MemoryUse, Page, Plan};

use crate::Gpu;
use crate::executor::GpuExecutor;
use crate::stored::StoredPages;

/// A plan on a GPU, and all that it takes to prepare it again.
///
/// The batch during which the device is lost ends with [`Error::DeviceLost`] at once. The next one opens the device and
/// uploads the weights again. Keys and values are gone, so a batch that builds on them is refused with the same error, until
/// their sequence starts anew.
pub(crate) struct LastingExecutor {
    gpu: Gpu,
    plan: Arc<Plan>,
    /// Parts of the mapped file, so keeping them costs nothing.
    weights: Vec<Bytes>,
    config: ExecConfig,
    memory: MemoryUse,
    /// None from a loss until the next call.
    running: Option<GpuExecutor>,
    /// Batches that were started and went with the device.
    n_lost: usize,
    /// Batches that were started and are not finished.
    n_started: usize,
    /// The pages that hold anything, once a loss has emptied all of them.
    stored: Option<StoredPages>,
}

impl LastingExecutor {
    pub(crate) fn new(
        gpu: &Gpu,
        plan: &Arc<Plan>,
        weights: &[Bytes],
        config: &ExecConfig,
        memory: MemoryUse,
    ) -> Result<Self, Error> {
        let (plan, weights, config) = (Arc::clone(plan), weights.to_vec(), config.clone());
        let mut executor = LastingExecutor {
            gpu: gpu.clone(),
            plan,
            weights,
            config,
            memory,
            running: None,
            n_lost: 0,
            n_started: 0,
            stored: None,
        };
        executor.on_device(|_| Ok(()))?;
        Ok(executor)
    }

    /// Does something on the device, which is prepared first where it is not.
    fn on_device<T>(&mut self, work: impl FnOnce(&mut GpuExecutor) -> Result<T, Error>) -> Result<T, Error> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.prepare()?,
        };
        let done = work(self.running.insert(running));
        if let Err(Error::DeviceLost { .. }) = done {
            self.running = None;
            self.n_lost += mem::take(&mut self.n_started);
            self.stored = Some(StoredPages::none(&self.plan, &self.config.kv));
        }
        done
    }

    /// What is stored after a batch, where that has to be known: from a first loss on.
    fn stored_after(&self, batch: &Batch) -> Result<Option<StoredPages>, Error> {
        let Some(stored) = &self.stored else { return Ok(None) };
        batch.check(&self.plan, &self.plan.kv_groups(), &self.config.kv)?;
        stored.after(batch).map(Some).ok_or_else(|| self.lost("since this sequence began"))
    }

    fn lost(&self, when: &str) -> Error {
        Error::DeviceLost { backend: "gpu".into(), message: format!("{} was lost {when}", self.gpu.adapter()) }
    }

    fn prepare(&self) -> Result<GpuExecutor, Error> {
        GpuExecutor::new(&self.gpu.opened()?, &self.plan, &self.weights, &self.config, self.memory)
    }
}

impl Executor for LastingExecutor {
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        let stored = self.stored_after(batch)?;
        self.on_device(|executor| executor.run(batch, inputs, outputs))?;
        self.stored = stored;
        Ok(())
    }

    fn can_choose(&self) -> bool {
        self.running.as_ref().is_some_and(GpuExecutor::can_choose)
    }

    fn start(&mut self, batch: &Batch) -> Result<(), Error> {
        let stored = self.stored_after(batch)?;
        self.on_device(|executor| executor.start(batch))?;
        self.n_started += 1;
        self.stored = stored;
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Option<u32>>, Error> {
        if self.n_lost > 0 {
            self.n_lost -= 1;
            return Err(self.lost("while it ran"));
        }
        self.n_started = self.n_started.saturating_sub(1);
        self.on_device(GpuExecutor::finish)
    }

    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        self.on_device(|executor| executor.copy_page(group, from, to))?;
        if let Some(stored) = &mut self.stored {
            stored.copy(group, from, to);
        }
        Ok(())
    }

    fn memory(&self) -> MemoryUse {
        self.memory
    }

    fn profile(&mut self) -> Vec<KernelTime> {
        self.running.as_mut().map(|executor| executor.profile()).unwrap_or_default()
    }
}

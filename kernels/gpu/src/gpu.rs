//! A GPU as a backend.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use silhak_ops::{Backend, Error, ExecConfig, Executor, MemoryUse, Op, Plan};
use wgpu::{Adapter, Instance};

use crate::device::Device;
use crate::executor::{GpuExecutor, output_bytes};
use crate::fuse::fuse;
use crate::known_forms::KnownForms;
use crate::pipelines::Pipelines;
use crate::program::{choosing_bytes, most_rows, partial_bytes, scratch};
use crate::weights::{matrix_bytes, shader_weights};
use crate::{AdapterInfo, Caps, Feature, GpuError, GpuMemory, adapters, bandwidth, policy};

/// Which GPU, and what of it is used.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Part of the adapter's name; none takes the first of [`crate::adapters`].
    pub adapter: Option<String>,
    /// What is not used though the adapter has it.
    pub without: Vec<Feature>,
    /// Whether shaders check every index and loop, which is far slower; to find bugs.
    pub checked_shaders: bool,
    /// Bytes that all buffers together may take; none leaves it to the driver.
    pub memory_limit: Option<u64>,
    /// How long a batch may run before its device counts as lost; none is a minute, or an hour for a driver in software.
    pub patience: Option<Duration>,
    /// Folder that keeps which forms of kernels were the fastest on which adapter. Those that it does not know are measured
    /// when a model is loaded, which takes some seconds once; with no folder nothing is measured, because another form adds
    /// in another order and a model would not always give the same.
    pub kernel_cache: Option<PathBuf>,
    /// Whether each kernel is timed, for [`Executor::profile`]. Every op is a pass of its own then, which costs a little.
    pub profile: bool,
}

/// An open GPU. Clones share it, and the pipelines made for it. Where its device is lost, the next [`Backend::prepare`] opens
/// it again.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// Where it is looked for.
    instance: fn() -> Instance,
    options: Arc<GpuOptions>,
    info: Arc<AdapterInfo>,
    caps: Arc<Caps>,
    current: Arc<Mutex<Opened>>,
}

/// A device, and the pipelines made for it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) device: Arc<Device>,
    pub(crate) pipelines: Arc<Pipelines>,
    /// The forms of kernels that were measured, where they are kept.
    pub(crate) known_forms: Option<Arc<KnownForms>>,
}

impl Gpu {
    /// Opens an adapter.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::UnknownAdapter`], and what the driver says.
    pub fn open(options: &GpuOptions) -> Result<Self, GpuError> {
        Self::open_in(adapters::instance, options)
    }

    /// A device that does nothing at once, to measure what the host does for it.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    #[cfg(feature = "noop")]
    pub fn noop() -> Result<Self, GpuError> {
        Self::open_in(adapters::noop_instance, &GpuOptions::default())
    }

    fn open_in(instance: fn() -> Instance, options: &GpuOptions) -> Result<Self, GpuError> {
        let adapter = adapters::choose(&instance(), options.adapter.as_deref())?;
        let info = Arc::new(adapters::info(&adapter));
        // What is opened again is the same card, whichever was asked for.
        let options = GpuOptions { adapter: Some(info.name.clone()), ..options.clone() };
        let opened = Opened::new(&adapter, &options)?;
        let caps = Arc::new(opened.device.caps.clone());
        Ok(Gpu { instance, options: Arc::new(options), info, caps, current: Arc::new(Mutex::new(opened)) })
    }

    /// The adapter's name.
    pub fn adapter(&self) -> &str {
        &self.info.name
    }

    /// What there is to know of the adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What it can do.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// What its buffers take.
    pub fn memory(&self) -> GpuMemory {
        self.lock().device.budget.memory()
    }

    /// Bytes that are allocated on the device now, of all models and of the driver's own; `None` where the API does not
    /// tell.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.lock().device.device.generate_allocator_report().map(|report| report.total_allocated_bytes)
    }

    /// Changes what its buffers may take; what is held beyond that stays.
    pub fn limit_memory(&self, limit: Option<u64>) {
        self.lock().device.budget.set_limit(limit);
    }

    /// What the memory gives to a kernel that does nothing but read, in bytes per second: the measure of kernels that are
    /// bound by it, as those of decoding are. Takes up to 1 GiB and some tenths of a second.
    ///
    /// # Errors
    /// What the driver says.
    pub fn read_bandwidth(&self) -> Result<f64, GpuError> {
        bandwidth::read(&self.opened()?)
    }

    /// Gives the device up, as a driver does that is reset: what runs on it ends with [`GpuError::Lost`] at once, its memory
    /// is free, and the next [`Backend::prepare`] opens it again.
    pub fn lose(&self) {
        self.lock().device.lose("it was given up".into());
    }

    /// The device, opened again where it was lost.
    pub(crate) fn opened(&self) -> Result<Opened, GpuError> {
        let mut current = self.lock();
        if let Err(GpuError::Lost { .. }) = current.device.health() {
            let limit = current.device.budget.memory().limit;
            let options = GpuOptions { memory_limit: limit, ..(*self.options).clone() };
            let adapter = adapters::choose(&(self.instance)(), options.adapter.as_deref())?;
            *current = Opened::new(&adapter, &options)?;
            tracing::info!(adapter = self.adapter(), "GPU opened again");
        }
        Ok(current.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn new(adapter: &Adapter, options: &GpuOptions) -> Result<Self, GpuError> {
        let device = Arc::new(Device::open(adapter, options)?);
        let pipelines = Arc::new(Pipelines::new(Arc::clone(&device), options.checked_shaders)?);
        let known = |folder: &PathBuf| Arc::new(KnownForms::load(folder, &adapters::info(adapter)));
        Ok(Opened { device, pipelines, known_forms: options.kernel_cache.as_ref().map(known) })
    }
}

impl Backend for Gpu {
    fn name(&self) -> String {
        format!("gpu ({})", self.adapter())
    }

    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error> {
        let memory = self.estimate(plan, config)?;
        Ok(Box::new(GpuExecutor::new(&self.opened()?, plan, weights, config, memory)?))
    }

    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error> {
        config.kv.check(plan)?;
        let kv = config.kv.bytes(plan.kv_layers(), &plan.kv_groups());
        Ok(MemoryUse { weights: weight_bytes(plan)?, mapped: 0, kv, scratch: self.scratch_bytes(plan, config) })
    }
}

impl Gpu {
    /// Bytes of values, of their 8-bit forms, of attention's splits and of results on their way.
    fn scratch_bytes(&self, plan: &Plan, config: &ExecConfig) -> usize {
        let values = scratch(plan, &fuse(plan, &self.caps)).bytes(config.max_tokens, config.max_outputs);
        let mut quantized = HashSet::new();
        for op in plan.ops() {
            if let Op::Linear { x, weight, .. }
            | Op::ExpertLinear { x, weight, .. }
            | Op::HeadLinear { x, weight, .. } = *op
            {
                let (weight, value) = (plan.weight(weight), plan.value(x));
                let weights = shader_weights(weight.format);
                let is_a8 =
                    policy::activations(weights, weight.cols as u32, &self.caps) == silhak_shaders::Activations::A8;
                if is_a8 {
                    quantized.insert((most_rows(value.rows, config), value.width));
                }
            }
        }
        let a8: usize = quantized.iter().map(|(rows, width)| rows * width / 32 * 40).sum();
        let outputs = output_bytes(plan, config.max_tokens, config.max_outputs) as usize;
        values + a8 + partial_bytes(plan, config) + outputs + choosing_bytes(plan, config)
    }
}

/// Bytes of all weights: matrices in planes, vectors in float32.
fn weight_bytes(plan: &Plan) -> Result<usize, Error> {
    let mut counted = HashSet::new();
    let mut bytes = 0;
    for op in plan.ops() {
        let (matrix, vector) = match *op {
            Op::Embed { table, .. } => (Some(table), None),
            Op::Linear { weight, bias, .. } => (Some(weight), bias),
            Op::ExpertLinear { weight, .. } | Op::HeadLinear { weight, .. } => (Some(weight), None),
            Op::Route { bias, .. } => (None, bias),
            Op::RmsNorm { weight, .. } => (None, Some(weight)),
            _ => (None, None),
        };
        if let Some(id) = matrix.filter(|&id| counted.insert(id)) {
            bytes += matrix_bytes(plan.weight(id))?;
        }
        if let Some(id) = vector.filter(|&id| counted.insert(id)) {
            bytes += 4 * plan.weight(id).cols;
        }
    }
    Ok(bytes)
}

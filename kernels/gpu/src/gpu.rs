//! A GPU as a backend.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use silhak_ops::{Backend, Error, ExecConfig, Executor, MemoryUse, Op, Plan};

use crate::device::Device;
use crate::executor::{GpuExecutor, output_bytes};
use crate::fuse::fuse;
use crate::pipelines::Pipelines;
use crate::program::{most_rows, partial_bytes, scratch};
use crate::weights::{matrix_bytes, shader_weights};
use crate::{AdapterInfo, Caps, Feature, GpuError, adapters, policy};

/// Which GPU, and what of it is used.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Part of the adapter's name; none takes the first of [`crate::adapters`].
    pub adapter: Option<String>,
    /// What is not used though the adapter has it.
    pub without: Vec<Feature>,
    /// Whether shaders check every index and loop, which is far slower; to find bugs.
    pub checked_shaders: bool,
}

/// An open GPU. Clones share it, and the pipelines made for it.
#[derive(Clone, Debug)]
pub struct Gpu {
    device: Arc<Device>,
    pipelines: Arc<Pipelines>,
    info: AdapterInfo,
}

impl Gpu {
    /// Opens an adapter.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::UnknownAdapter`], and what the driver says.
    pub fn open(options: &GpuOptions) -> Result<Self, GpuError> {
        Self::open_in(&adapters::instance(), options)
    }

    /// A device that does nothing at once, to measure what the host does for it.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    #[cfg(feature = "noop")]
    pub fn noop() -> Result<Self, GpuError> {
        Self::open_in(&adapters::noop_instance(), &GpuOptions::default())
    }

    fn open_in(instance: &wgpu::Instance, options: &GpuOptions) -> Result<Self, GpuError> {
        let adapter = adapters::choose(instance, options.adapter.as_deref())?;
        let device = Arc::new(Device::open(&adapter, &options.without)?);
        let pipelines = Arc::new(Pipelines::new(Arc::clone(&device), options.checked_shaders)?);
        Ok(Gpu { device, pipelines, info: adapters::info(&adapter) })
    }

    /// The adapter's name.
    pub fn adapter(&self) -> &str {
        &self.device.name
    }

    /// What there is to know of the adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What it can do.
    pub fn caps(&self) -> &Caps {
        &self.device.caps
    }

    /// Bytes that are allocated on the device now, of all models and of the driver's own; `None` where the API does not
    /// tell.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device.device.generate_allocator_report().map(|report| report.total_allocated_bytes)
    }
}

impl Backend for Gpu {
    fn name(&self) -> String {
        format!("gpu ({})", self.device.name)
    }

    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error> {
        let memory = self.estimate(plan, config)?;
        Ok(Box::new(GpuExecutor::new(&self.device, &self.pipelines, plan, weights, config, memory)?))
    }

    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error> {
        let kv = config.kv.bytes(plan.kv_layers(), &plan.kv_groups());
        Ok(MemoryUse { weights: weight_bytes(plan)?, kv, scratch: self.scratch_bytes(plan, config) })
    }
}

impl Gpu {
    /// Bytes of values, of their 8-bit forms, of attention's splits and of results on their way.
    fn scratch_bytes(&self, plan: &Plan, config: &ExecConfig) -> usize {
        let values = scratch(plan, &fuse(plan, &self.device.caps)).bytes(config.max_tokens, config.max_outputs);
        let mut quantized = HashSet::new();
        for op in plan.ops() {
            if let Op::Linear { x, weight, .. } = *op {
                let (weight, value) = (plan.weight(weight), plan.value(x));
                let weights = shader_weights(weight.format);
                let is_a8 = policy::activations(weights, weight.cols as u32, &self.device.caps)
                    == silhak_shaders::Activations::A8;
                if is_a8 {
                    quantized.insert((most_rows(value.rows, config), value.width));
                }
            }
        }
        let a8: usize = quantized.iter().map(|(rows, width)| rows * width / 32 * 40).sum();
        let outputs = output_bytes(plan, config.max_tokens, config.max_outputs) as usize;
        values + a8 + partial_bytes(plan, config) + outputs
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

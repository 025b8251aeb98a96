//! Pipelines, each made once per device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use silhak_shaders::{Binding, Shader};
use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModule,
    ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource, ShaderStages,
};

use crate::GpuError;
use crate::device::Device;

/// The pipelines of a device.
#[derive(Debug)]
pub(crate) struct Pipelines {
    device: Arc<Device>,
    /// Bind group 1: the batch.
    pub(crate) batch_layout: BindGroupLayout,
    /// Whether shaders check every index, though ours never leave their bounds.
    checked: bool,
    made: Mutex<HashMap<Shader, ComputePipeline>>,
}

impl Pipelines {
    pub(crate) fn new(device: Arc<Device>, checked: bool) -> Result<Self, GpuError> {
        let batch_layout = layout(&device, &[Binding::Read(0)])?;
        Ok(Pipelines { device, batch_layout, checked, made: Mutex::default() })
    }

    /// The pipeline of a shader.
    pub(crate) fn get(&self, shader: Shader) -> Result<ComputePipeline, GpuError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = made.get(&shader) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.make(shader)?;
        made.insert(shader, pipeline.clone());
        Ok(pipeline)
    }

    fn make(&self, shader: Shader) -> Result<ComputePipeline, GpuError> {
        let device = &self.device;
        let own = layout(device, &shader.bindings())?;
        let name = shader.name();
        tracing::debug!(shader = name, "pipeline");
        let made = device.checked("a shader", 0, || {
            let module = self.module(&name, &shader);
            let layout = device.device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some(&name),
                bind_group_layouts: &[Some(&own), Some(&self.batch_layout)],
                immediate_size: 0,
            });
            device.device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(&name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(shader.entry()),
                // Every kernel writes its shared memory before it reads it.
                compilation_options: PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..PipelineCompilationOptions::default()
                },
                cache: None,
            })
        });
        made.map_err(|error| match error {
            GpuError::Refused { adapter, reason, .. } => GpuError::Refused { adapter, what: name, reason },
            other => other,
        })
    }

    fn module(&self, name: &str, shader: &Shader) -> ShaderModule {
        let source = ShaderSource::Wgsl(shader.source().into());
        let descriptor = ShaderModuleDescriptor { label: Some(name), source };
        if self.checked {
            return self.device.device.create_shader_module(descriptor);
        }
        #[allow(unsafe_code, reason = "a check of every index and every loop costs up to a hundred times the work")]
        // SAFETY: the shaders are our own. They index buffers by sizes that the executor has checked, and their loops
        // end; the tests run all of them with the checks too and compare.
        unsafe {
            self.device.device.create_shader_module_trusted(descriptor, ShaderRuntimeChecks::unchecked())
        }
    }
}

/// The layout of a bind group.
pub(crate) fn layout(device: &Device, bindings: &[Binding]) -> Result<BindGroupLayout, GpuError> {
    let entry = |binding: &Binding| {
        let ty = match binding {
            Binding::Params => BufferBindingType::Uniform,
            Binding::Read(_) => BufferBindingType::Storage { read_only: true },
            Binding::Write(_) => BufferBindingType::Storage { read_only: false },
        };
        BindGroupLayoutEntry {
            binding: binding.number(),
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        }
    };
    let entries: Vec<_> = bindings.iter().map(entry).collect();
    let descriptor = BindGroupLayoutDescriptor { label: None, entries: &entries };
    device.checked("a bind group layout", 0, || device.device.create_bind_group_layout(&descriptor))
}

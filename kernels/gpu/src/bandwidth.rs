//! Measuring what a GPU's memory gives.

use std::time::{Duration, Instant};

use silhak_shaders::Shader;
use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, BufferUsages, CommandEncoderDescriptor};

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::executor::BatchBuffer;
use crate::gpu::Opened;
use crate::pipelines;

/// Far larger than every cache, where the device allows it.
const MOST_BYTES: u64 = 1 << 30;

/// What is too small to measure with.
const LEAST_BYTES: u64 = 16 << 20;

/// Enough threads to keep every card busy.
const GROUPS: u32 = 4096;

/// A run of at least this long; shorter ones measure the submission.
const LONG_ENOUGH: Duration = Duration::from_millis(50);

/// Best of so many runs: others can only be disturbed.
const RUNS: usize = 3;

/// Bytes per second that a kernel gets which does nothing but read.
pub(crate) fn read(opened: &Opened) -> Result<f64, GpuError> {
    let Opened { device, pipelines, .. } = opened;
    let data = largest(device)?;
    let groups = GROUPS.min(device.caps.max_workgroups);
    let words = [(data.size() / 16) as u32, groups * Shader::READ_THREADS, 0, 0];
    let params = device.buffer("parameters", 16, BufferUsages::UNIFORM | BufferUsages::COPY_DST)?;
    device.write(&params, 0, bytemuck::cast_slice(&words))?;
    let bound = bind(device, &params, &data, &device.storage("results", 16)?)?;
    let batch = BatchBuffer::new(device, pipelines, 16)?;
    let pipeline = pipelines.get(Shader::ReadAll)?;
    let time = |n: u32| {
        let mut encoder = device.device.create_command_encoder(&CommandEncoderDescriptor::default());
        let mut pass = batch.pass(&mut encoder, None);
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bound, &[]);
        (0..n).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
        drop(pass);
        let begun = Instant::now();
        let submission = device.checked("a batch", 0, || device.queue.submit([encoder.finish()]))?;
        device.wait(&submission)?;
        Ok::<_, GpuError>(begun.elapsed())
    };
    // The first run also writes the zeros, and compiles the kernel on some drivers.
    let mut n = 1;
    time(n)?;
    while time(n)? < LONG_ENOUGH {
        n *= 2;
    }
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        best = best.min(time(n)?);
    }
    Ok(u64::from(n) as f64 * data.size() as f64 / best.as_secs_f64())
}

/// The largest buffer that there is room for.
fn largest(device: &Device) -> Result<Buffer, GpuError> {
    let mut bytes = MOST_BYTES.min(device.caps.max_binding).min(device.caps.max_buffer) / 16 * 16;
    loop {
        match device.storage("a measurement", bytes) {
            Err(GpuError::OutOfMemory { .. } | GpuError::OverBudget { .. }) if bytes > LEAST_BYTES => bytes /= 2,
            other => return other,
        }
    }
}

fn bind(device: &Device, params: &Buffer, data: &Buffer, found: &Buffer) -> Result<BindGroup, GpuError> {
    let bindings = Shader::ReadAll.bindings();
    let layout = pipelines::layout(device, &bindings)?;
    let entries: Vec<BindGroupEntry<'_>> = bindings
        .iter()
        .zip([params, data, found])
        .map(|(binding, buffer)| BindGroupEntry { binding: binding.number(), resource: buffer.as_entire_binding() })
        .collect();
    let descriptor = BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
    device.checked("a bind group", 0, || device.device.create_bind_group(&descriptor))
}

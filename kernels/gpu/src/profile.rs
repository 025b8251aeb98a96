//! Timing of each kernel, by timestamps that the GPU writes itself.

use std::collections::HashMap;

use silhak_ops::KernelTime;
use silhak_shaders::Shader;
use wgpu::{
    BufferUsages, CommandEncoder, ComputePassTimestampWrites, QUERY_RESOLVE_BUFFER_ALIGNMENT, QUERY_SET_MAX_QUERIES,
    QUERY_SIZE, QuerySet, QuerySetDescriptor, QueryType,
};

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;

/// Times the steps of batches. Every step is a pass of its own, with a timestamp at its beginning and one at its end: that
/// is all that every API can do, and a step waits for the one before anyway.
#[derive(Debug)]
pub(crate) struct Profiler {
    sets: Vec<QuerySet>,
    resolved: Buffer,
    seconds_per_tick: f64,
    /// What ran in this batch, and the weights it read.
    ran: Vec<(Shader, u64)>,
    /// By name: variants that differ in a constant alone are told as one.
    totals: HashMap<String, KernelTime>,
}

/// Bytes of a step's two timestamps.
const STEP_BYTES: usize = 2 * QUERY_SIZE as usize;

/// Steps of a query set.
const STEPS_PER_SET: usize = QUERY_SET_MAX_QUERIES as usize / 2;

impl Profiler {
    pub(crate) fn new(device: &Device, n_steps: usize) -> Result<Self, GpuError> {
        let set = |_| {
            let descriptor = QuerySetDescriptor { label: None, ty: QueryType::Timestamp, count: QUERY_SET_MAX_QUERIES };
            device.checked("timestamps", 0, || device.device.create_query_set(&descriptor))
        };
        let sets = (0..n_steps.div_ceil(STEPS_PER_SET).max(1)).map(set).collect::<Result<Vec<_>, _>>()?;
        let bytes = (n_steps * STEP_BYTES) as u64;
        let resolved = device.buffer(
            "timestamps",
            bytes.next_multiple_of(QUERY_RESOLVE_BUFFER_ALIGNMENT),
            BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
        )?;
        let seconds_per_tick = f64::from(device.queue.get_timestamp_period()) * 1e-9;
        Ok(Profiler { sets, resolved, seconds_per_tick, ran: Vec::with_capacity(n_steps), totals: HashMap::new() })
    }

    /// Bytes of the timestamps of a batch.
    pub(crate) fn bytes(&self) -> u64 {
        self.resolved.size()
    }

    /// Forgets the timestamps of the batch before.
    pub(crate) fn begin(&mut self) {
        self.ran.clear();
    }

    /// Where the next step writes its timestamps.
    pub(crate) fn next(&mut self, shader: Shader, weight_bytes: u64) -> Option<ComputePassTimestampWrites<'_>> {
        let at = self.ran.len();
        // An embedding reads the rows of its tokens alone.
        self.ran.push((shader, if matches!(shader, Shader::Embed { .. }) { 0 } else { weight_bytes }));
        let first = (at % STEPS_PER_SET * 2) as u32;
        self.sets.get(at / STEPS_PER_SET).map(|query_set| ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        })
    }

    /// Gathers the timestamps of the batch, as part of `encoder`: the buffer, and how many bytes of it.
    pub(crate) fn resolve(&self, encoder: &mut CommandEncoder) -> (&Buffer, u64) {
        for (i, (set, steps)) in self.sets.iter().zip(self.ran.chunks(STEPS_PER_SET)).enumerate() {
            let offset = (i * STEPS_PER_SET * STEP_BYTES) as u64;
            encoder.resolve_query_set(set, 0..2 * steps.len() as u32, &self.resolved, offset);
        }
        (&self.resolved, (self.ran.len() * STEP_BYTES) as u64)
    }

    /// Adds up the timestamps of the batch.
    pub(crate) fn add(&mut self, timestamps: &[u8]) {
        for ((shader, weight_bytes), ticks) in self.ran.iter().zip(timestamps.chunks_exact(STEP_BYTES)) {
            let [begin, end] = bytemuck::pod_read_unaligned::<[u64; 2]>(ticks);
            let kernel = shader.name();
            let total = self.totals.entry(kernel.clone()).or_insert(KernelTime {
                kernel,
                calls: 0,
                seconds: 0.0,
                weight_bytes: 0,
            });
            total.calls += 1;
            total.seconds += end.saturating_sub(begin) as f64 * self.seconds_per_tick;
            total.weight_bytes += weight_bytes;
        }
    }

    /// What was measured since the last call, the slowest first.
    pub(crate) fn take(&mut self) -> Vec<KernelTime> {
        let mut kernels: Vec<KernelTime> = self.totals.drain().map(|(_, total)| total).collect();
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kernels
    }
}

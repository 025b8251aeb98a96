//! Runs batches.

use std::sync::Arc;

use bytes::Bytes;
use silhak_ops::{Batch, Error, ExecConfig, Executor, KernelTime, KvGroup, MemoryUse, Page, Plan, Rows, ValueId};
use silhak_shaders::{BATCH_HEADER, Shader};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, CommandEncoder, CommandEncoderDescriptor, ComputePass,
    ComputePassDescriptor, ComputePassTimestampWrites, ComputePipeline,
};

use crate::GpuError;
use crate::ahead::Ahead;
use crate::batch_words::batch_words;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::gpu::Opened;
use crate::kv::KvStore;
use crate::pipelines::Pipelines;
use crate::policy;
use crate::profile::Profiler;
use crate::program::{Compiler, Program, Sizes};
use crate::readback::Readback;
use crate::tune::tune;

/// A plan on a GPU.
pub(crate) struct GpuExecutor {
    device: Arc<Device>,
    pipelines: Arc<Pipelines>,
    plan: Arc<Plan>,
    config: ExecConfig,
    groups: Vec<KvGroup>,
    kv: KvStore,
    program: Program,
    /// What the last batch ran: the next is often of the same sizes.
    recipe: Option<Recipe>,
    batch: BatchBuffer,
    readback: Readback,
    ahead: Ahead,
    profiler: Option<Profiler>,
    memory: MemoryUse,
}

/// The dispatches for batches of some sizes.
struct Recipe {
    sizes: Sizes,
    /// Whether tokens are chosen.
    chooses: bool,
    dispatches: Vec<Dispatch>,
}

struct Dispatch {
    /// The step whose bind group it takes.
    step: usize,
    shader: Shader,
    pipeline: ComputePipeline,
    workgroups: [u32; 3],
}

impl GpuExecutor {
    pub(crate) fn new(
        opened: &Opened,
        plan: &Arc<Plan>,
        weights: &[Bytes],
        config: &ExecConfig,
        memory: MemoryUse,
    ) -> Result<Self, Error> {
        plan.check_weights(weights)?;
        let Opened { device, pipelines, known_forms } = opened;
        let groups = plan.kv_groups();
        let kv = KvStore::new(device, plan, &groups, &config.kv)?;
        let mut program = Compiler::new(device, plan, weights, config, &kv)?.program()?;
        if let Some(known) = known_forms {
            tune(&mut program, device, pipelines, known)?;
        }
        let profiler = if device.timestamps { Some(Profiler::new(device, program.steps.len())?) } else { None };
        let bytes = output_bytes(plan, config.max_tokens, config.max_outputs);
        let mut executor = GpuExecutor {
            recipe: None,
            readback: Readback::new(device, bytes + profiler.as_ref().map_or(0, Profiler::bytes))?,
            ahead: Ahead::default(),
            profiler,
            batch: BatchBuffer::new(device, pipelines, BatchBuffer::FIRST_BYTES)?,
            device: Arc::clone(device),
            pipelines: Arc::clone(pipelines),
            plan: Arc::clone(plan),
            config: config.clone(),
            groups,
            kv,
            program,
            memory,
        };
        executor.warm_up()?;
        Ok(executor)
    }

    /// Makes the pipelines that decoding needs, so that the first token does not wait for them.
    fn warm_up(&mut self) -> Result<(), Error> {
        let tiling = policy::tiling(1, 1, self.program.heads_per_kv);
        self.prepare_recipe(Sizes { tiling, ..Sizes::ONE_TOKEN }, self.can_choose())?;
        Ok(())
    }

    /// Works out the dispatches for batches of these sizes, unless the last batch had them too.
    fn prepare_recipe(&mut self, sizes: Sizes, chooses: bool) -> Result<(), GpuError> {
        if self.recipe.as_ref().is_some_and(|recipe| recipe.sizes == sizes && recipe.chooses == chooses) {
            return Ok(());
        }
        let steps = &self.program.steps[..if chooses { self.program.steps.len() } else { self.program.choosing }];
        let mut dispatches = Vec::with_capacity(steps.len());
        for (i, step) in steps.iter().enumerate() {
            if let Some((shader, workgroups)) = step.work.dispatch(&sizes, &self.device.caps) {
                dispatches.push(Dispatch { step: i, shader, pipeline: self.pipelines.get(shader)?, workgroups });
            }
        }
        self.recipe = Some(Recipe { sizes, chooses, dispatches });
        Ok(())
    }

    /// Writes the batch to the device and encodes its steps.
    fn prepare_batch(&mut self, batch: &Batch, chooses: bool) -> Result<CommandEncoder, Error> {
        let longest = batch.positions().iter().max().map_or(0, |&position| position as usize + 1);
        let tiling = policy::tiling(batch.n_tokens(), longest, self.program.heads_per_kv);
        let (words, n_tiles) = batch_words(batch, &self.program.ropes, self.groups.len(), tiling);
        self.batch.write(&self.device, &self.pipelines, &words)?;
        let (n_tokens, n_outputs) = (batch.n_tokens(), batch.n_outputs());
        self.prepare_recipe(Sizes { n_tokens, n_outputs, n_tiles, tiling }, chooses)?;
        let mut encoder = self.device.device.create_command_encoder(&CommandEncoderDescriptor::default());
        self.encode(&mut encoder);
        Ok(encoder)
    }

    fn check(&self, batch: &Batch, inputs: &[&[f32]], n_outputs: usize) -> Result<(), Error> {
        self.plan.check_io(batch.n_tokens(), inputs, n_outputs)?;
        batch.check(&self.plan, &self.groups, &self.config.kv)?;
        for (what, found, most) in [
            ("tokens", batch.n_tokens(), self.config.max_tokens),
            ("outputs", batch.n_outputs(), self.config.max_outputs),
        ] {
            if found > most {
                return Err(Error::Batch(format!("expected at most {most} {what}, found {found}")));
            }
        }
        Ok(())
    }

    /// The dispatches of the recipe: in one pass, or where they are timed in a pass each.
    fn encode(&mut self, encoder: &mut CommandEncoder) {
        let dispatches = self.recipe.iter().flat_map(|recipe| &recipe.dispatches);
        let run = |pass: &mut ComputePass<'_>, Dispatch { step, pipeline, workgroups: [x, y, z], .. }: &Dispatch| {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &self.program.steps[*step].bind_group, &[]);
            pass.dispatch_workgroups(*x, *y, *z);
        };
        match &mut self.profiler {
            None => {
                let mut pass = self.batch.pass(encoder, None);
                dispatches.for_each(|dispatch| run(&mut pass, dispatch));
            }
            Some(profiler) => {
                profiler.begin();
                for dispatch in dispatches {
                    let weight_bytes = self.program.steps[dispatch.step].weight_bytes();
                    let timestamps = profiler.next(dispatch.shader, weight_bytes);
                    run(&mut self.batch.pass(encoder, timestamps), dispatch);
                }
            }
        }
    }
}

impl Executor for GpuExecutor {
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        self.check(batch, inputs, outputs.len())?;
        for (&id, input) in self.plan.inputs().iter().zip(inputs) {
            self.device.write(self.program.slot(id), 0, bytemuck::cast_slice(input))?;
        }

        let (n_tokens, n_outputs) = (batch.n_tokens(), batch.n_outputs());
        let mut encoder = self.prepare_batch(batch, false)?;
        let mut end = 0;
        for (&id, output) in self.plan.outputs().iter().zip(outputs.iter_mut()) {
            let value = self.plan.value(id);
            let n_rows = if value.rows == Rows::Tokens { n_tokens } else { n_outputs };
            output.resize(value.width * n_rows, 0.0);
            let bytes = 4 * output.len() as u64;
            self.readback.take(&mut encoder, self.program.slot(id), end, bytes);
            end += bytes;
        }
        if let Some(profiler) = &self.profiler {
            let (timestamps, bytes) = profiler.resolve(&mut encoder);
            self.readback.take(&mut encoder, timestamps, end, bytes);
            end += bytes;
        }
        let pending = self.readback.submit(&self.device, encoder, end)?;
        self.readback.read(&self.device, pending, |mut bytes| {
            for output in outputs {
                let (mine, rest) = bytes.split_at(4 * output.len());
                output.copy_from_slice(bytemuck::cast_slice(mine));
                bytes = rest;
            }
            if let Some(profiler) = &mut self.profiler {
                profiler.add(bytes);
            }
        })?;
        Ok(())
    }

    /// Not where kernels are timed: who wants that wants to wait for each batch.
    fn can_choose(&self) -> bool {
        self.program.tokens.is_some() && self.profiler.is_none()
    }

    fn start(&mut self, batch: &Batch) -> Result<(), Error> {
        let tokens = self.program.tokens.clone().filter(|_| self.can_choose());
        let tokens = tokens.ok_or_else(|| Error::Batch("this plan has no logits to choose from".into()))?;
        if batch.choices().is_empty() {
            return Err(Error::Batch("expected a batch that chooses".into()));
        }
        self.check(batch, &[], 1)?;
        let encoder = self.prepare_batch(batch, true)?;
        Ok(self.ahead.submit(&self.device, encoder, &tokens, batch.n_outputs())?)
    }

    fn finish(&mut self) -> Result<Vec<Option<u32>>, Error> {
        self.ahead.finish(&self.device)?.ok_or_else(|| Error::Batch("no batch was started".into()))
    }

    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        self.kv.copy_page(&self.device, group, from, to)
    }

    fn memory(&self) -> MemoryUse {
        self.memory
    }

    fn profile(&mut self) -> Vec<KernelTime> {
        self.profiler.as_mut().map(Profiler::take).unwrap_or_default()
    }
}

/// The words of the batch, on the device.
pub(crate) struct BatchBuffer {
    buffer: Buffer,
    bind_group: BindGroup,
}

impl BatchBuffer {
    const FIRST_BYTES: u64 = 64 << 10;

    pub(crate) fn new(device: &Device, pipelines: &Pipelines, bytes: u64) -> Result<Self, GpuError> {
        let buffer = device.storage("a batch", bytes)?;
        let entries = [BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }];
        let layout = &pipelines.batch_layout;
        let descriptor = BindGroupDescriptor { label: Some("batch"), layout, entries: &entries };
        let bind_group = device.checked("a bind group", 0, || device.device.create_bind_group(&descriptor))?;
        Ok(BatchBuffer { buffer, bind_group })
    }

    /// A batch of one token whose output is wanted, for kernels that need to know no more.
    pub(crate) fn of_one_token(device: &Device, pipelines: &Pipelines) -> Result<Self, GpuError> {
        let mut batch = BatchBuffer::new(device, pipelines, 4 * BATCH_HEADER as u64)?;
        let mut words = [0; BATCH_HEADER];
        words[..2].fill(1);
        batch.write(device, pipelines, &words)?;
        Ok(batch)
    }

    /// A pass whose kernels know the batch.
    pub(crate) fn pass<'a>(
        &self,
        encoder: &'a mut CommandEncoder,
        timestamp_writes: Option<ComputePassTimestampWrites<'_>>,
    ) -> ComputePass<'a> {
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
        pass.set_bind_group(1, &self.bind_group, &[]);
        pass
    }

    /// Writes the words; the buffer grows where they need more.
    fn write(&mut self, device: &Device, pipelines: &Pipelines, words: &[u32]) -> Result<(), GpuError> {
        let bytes = size_of_val(words) as u64;
        if bytes > self.buffer.size() {
            *self = BatchBuffer::new(device, pipelines, bytes.next_power_of_two())?;
        }
        device.write(&self.buffer, 0, bytemuck::cast_slice(words))
    }
}

/// Bytes of all outputs of a batch.
pub(crate) fn output_bytes(plan: &Plan, n_tokens: usize, n_outputs: usize) -> u64 {
    let bytes = |id: &ValueId| {
        let value = plan.value(*id);
        4 * value.width * if value.rows == Rows::Tokens { n_tokens } else { n_outputs }
    };
    plan.outputs().iter().map(bytes).sum::<usize>() as u64
}

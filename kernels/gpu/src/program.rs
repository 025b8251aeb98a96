//! A plan turned into steps: for each, which kernels may run it, the bind group they share, and how many workgroups.

mod arena;
mod attention;
mod choosing;
mod experts;
mod heads;
mod linear;
mod work;

use std::collections::HashMap;
use std::mem;
use std::num::NonZero;

use bytes::Bytes;
use silhak_ops::{Access, Activation, Error, ExecConfig, Op, Plan, Rope, RopeTable, Rows, Scratch, ValueId, WeightId};
use silhak_shaders::{self as shaders, Epilogue, Shader};
use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, BufferBinding};

use crate::buffer::Buffer;
use crate::device::Device;
use crate::fuse::{Fused, fuse};
use crate::kv::KvStore;
use crate::rows::Rows as MatrixRows;
use crate::upload::Uploader;
use crate::weights::{self, Matrix, upload_vector, vector};
use crate::{pipelines, policy};
use arena::{Arena, PARAM_BYTES};
pub(crate) use choosing::choosing_bytes;
pub(crate) use work::{Sizes, Work};

/// One step of a batch.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) work: Work,
    pub(crate) bind_group: BindGroup,
    /// What the bind group holds, in its order.
    buffers: Vec<Buffer>,
}

impl Step {
    /// Bytes of the weights that it multiplies with.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.buffers.iter().filter(|buffer| buffer.what == weights::WHAT).map(|buffer| buffer.size()).sum()
    }
}

/// Everything that is made once per model.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    /// The first of the steps that choose tokens, and where these will be; the steps end there if there are none.
    pub(crate) choosing: usize,
    pub(crate) tokens: Option<Buffer>,
    /// Which values share a buffer.
    scratch: Scratch,
    /// The buffers of the plan's values.
    slots: Vec<Buffer>,
    pub(crate) ropes: Vec<RopeTable>,
    /// The heads of a key-value head, in the layer that has most of them.
    pub(crate) heads_per_kv: usize,
}

impl Program {
    /// The buffer of a value.
    pub(crate) fn slot(&self, value: ValueId) -> &Buffer {
        &self.slots[self.scratch.slot(value)]
    }
}

/// A step before its parameters have a place.
struct Draft {
    work: Work,
    params: u64,
    buffers: Vec<Buffer>,
}

/// Writes programs.
pub(crate) struct Compiler<'a> {
    device: &'a Device,
    plan: &'a Plan,
    weights: &'a [Bytes],
    config: &'a ExecConfig,
    kv: &'a KvStore,
    fused: Vec<Fused>,
    scratch: Scratch,
    slots: Vec<Buffer>,
    arena: Arena,
    drafts: Vec<Draft>,
    matrices: HashMap<Vec<WeightId>, Matrix>,
    vectors: HashMap<WeightId, Buffer>,
    uploader: Uploader<'a>,
    ropes: Vec<(Rope, RopeTable)>,
    /// 8-bit activations by the shape of what they are made from, and the value that they hold now.
    a8: HashMap<(Rows, u32), A8>,
    partials: Buffer,
    /// The token that was chosen last for each slot.
    chosen: Buffer,
    /// Stands where a kernel has an output that a step does not need.
    unused: Buffer,
    heads_per_kv: usize,
}

/// The 8-bit form of a value.
struct A8 {
    /// Quants and scales.
    buffers: [Buffer; 2],
    holds: ValueId,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        device: &'a Device,
        plan: &'a Plan,
        weights: &'a [Bytes],
        config: &'a ExecConfig,
        kv: &'a KvStore,
    ) -> Result<Self, Error> {
        let fused = fuse(plan, &device.caps);
        let scratch = scratch(plan, &fused);
        let bytes = |slot| 4 * scratch.len(slot, config.max_tokens, config.max_outputs) as u64;
        let slots = (0..scratch.shapes().len()).map(|slot| device.storage(VALUES, bytes(slot)));
        let slots = slots.collect::<Result<Vec<_>, _>>()?;
        let partials = device.storage("splits of attention", partial_bytes(plan, config) as u64)?;
        Ok(Compiler {
            device,
            plan,
            weights,
            config,
            kv,
            fused,
            scratch,
            slots,
            arena: Arena::default(),
            drafts: Vec::new(),
            matrices: HashMap::new(),
            vectors: HashMap::new(),
            uploader: Uploader::new(device),
            ropes: Vec::new(),
            a8: HashMap::new(),
            partials,
            chosen: device.storage("chosen tokens", 4 * config.kv.n_slots() as u64)?,
            unused: device.storage(VALUES, 0)?,
            heads_per_kv: 1,
        })
    }

    /// Uploads the weights and writes the steps.
    pub(crate) fn program(mut self) -> Result<Program, Error> {
        for step in mem::take(&mut self.fused) {
            self.fused(&step)?;
        }
        let choosing = self.drafts.len();
        let tokens = self.choosing()?;
        self.uploader.finish()?;
        let params = self.device.buffer("parameters", self.arena.bytes(), Arena::USAGE)?;
        self.device.write(&params, 0, self.arena.data())?;
        let drafts = mem::take(&mut self.drafts);
        let steps = drafts.into_iter().map(|draft| self.step(draft, &params)).collect::<Result<_, Error>>()?;
        let ropes = self.ropes.into_iter().map(|(_, table)| table).collect();
        let Compiler { scratch, slots, heads_per_kv, .. } = self;
        Ok(Program { steps, choosing, tokens, scratch, slots, ropes, heads_per_kv })
    }

    fn fused(&mut self, step: &Fused) -> Result<(), Error> {
        match *step {
            Fused::Op(ref op) => self.op(op),
            Fused::NormQuantized { x, weight, eps, out } => self.norm_quantized(x, weight, eps, out),
            Fused::LinearAdd { x, weight, residual, out } => {
                let after = vec![self.slot(out), self.slot(residual)];
                self.linear(x, &[weight], Epilogue::Add, [self.width(out), 0, 0], after)
            }
            Fused::Linears { x, ref parts } => self.linears(x, parts),
            Fused::Gated { x, gate, up, activation, out, quantized: false } => {
                let after = vec![self.slot(out)];
                let epilogue = Epilogue::Gate(shader_activation(activation));
                self.linear(x, &[gate, up], epilogue, [self.width(out), 0, 0], after)
            }
            Fused::Gated { x, gate, up, activation, out, quantized: true } => {
                self.gated_quantized(x, gate, up, shader_activation(activation), out)
            }
            Fused::AttentionQuantized { layer, q, scale, out } => {
                let a8 = self.a8_buffers(out)?;
                self.attention(layer, q, scale, a8, true);
                Ok(())
            }
            Fused::RopeKv { layer, q, k, v, head_dim, rope, out } => {
                self.rope_kv(layer, [q, k, v], head_dim, rope, out)
            }
        }
    }

    fn op(&mut self, op: &Op) -> Result<(), Error> {
        match *op {
            Op::Embed { table, out } => self.embed(table, out),
            Op::Select { x, out } => {
                let width = self.width(x);
                let work = Work::PerRow { shader: Shader::Select, groups: width.div_ceil(64), rows: Rows::Outputs };
                self.push(work, &[width], &[x, out]);
                Ok(())
            }
            Op::RmsNorm { x, weight, eps, out } => self.rms_norm(x, weight, eps, out),
            Op::Linear { x, weight, bias, out } => {
                let bias = bias.map(|bias| self.vector(bias)).transpose()?;
                let epilogue = if bias.is_some() { Epilogue::Bias } else { Epilogue::Store };
                let after = [self.slot(out)].into_iter().chain(bias).collect();
                self.linear(x, &[weight], epilogue, [self.width(out), 0, 0], after)
            }
            Op::Route { logits, bias, routing, out } => self.route(logits, bias, routing, out),
            Op::ExpertLinear { x, chosen, weight, n_experts, out } => {
                self.expert_linear(x, Some(chosen), weight, n_experts, out)
            }
            Op::HeadLinear { x, weight, n_heads, out } => self.expert_linear(x, None, weight, n_heads, out),
            Op::HeadSlice { x, n_heads, start, out } => {
                self.head_slice(x, n_heads, start, out);
                Ok(())
            }
            Op::HeadConcat { a, b, n_heads, out } => {
                self.head_concat(a, b, n_heads, out);
                Ok(())
            }
            Op::ExpertSum { x, chosen, out } => {
                self.expert_sum(x, chosen, out);
                Ok(())
            }
            Op::Rope { x, head_dim, rope, out } => self.rope(x, head_dim, rope, out),
            Op::KvWrite { layer, k, v } => {
                self.kv_write(layer, k, v);
                Ok(())
            }
            Op::Attention { layer, q, scale, out } => {
                let out = vec![self.slot(out)];
                self.attention(layer, q, scale, out, false);
                Ok(())
            }
            Op::Gate { gate, up, activation, out } => {
                let shader = Shader::Gate { activation: shader_activation(activation) };
                self.elements(shader, 0.0, &[gate, up, out]);
                Ok(())
            }
            Op::Add { a, b, out } => {
                self.elements(Shader::Add, 0.0, &[a, b, out]);
                Ok(())
            }
            Op::Scale { x, factor, out } => {
                self.elements(Shader::Scale, factor, &[x, out]);
                Ok(())
            }
            Op::SoftCap { x, cap, out } => {
                self.elements(Shader::SoftCap, cap, &[x, out]);
                Ok(())
            }
        }
    }

    fn embed(&mut self, table: WeightId, out: ValueId) -> Result<(), Error> {
        let (matrix, out) = (self.matrix(&[table], None)?, self.slot(out));
        let n_groups = matrix.n_groups();
        for chunk in &matrix.chunks {
            let shader = Shader::Embed { weights: matrix.weights };
            let work = Work::PerRow { shader, groups: n_groups.div_ceil(32), rows: Rows::Tokens };
            let buffers = chunk.planes.iter().cloned().chain([out.clone(), self.chosen.clone()]).collect();
            self.push_buffers(work, &[chunk.n_rows, n_groups, matrix.n_in, chunk.first_row], buffers);
        }
        Ok(())
    }

    fn rms_norm(&mut self, x: ValueId, weight: WeightId, eps: f32, out: ValueId) -> Result<(), Error> {
        let (len, rows) = (self.plan.weight(weight).cols, self.plan.value(x).rows);
        let runs = self.width(x) / len as u32;
        let shader = Shader::RmsNorm { reduce: policy::reduce(&self.device.caps), threads: policy::norm_threads(len) };
        let buffers = vec![self.slot(x), self.vector(weight)?, self.slot(out)];
        let work = Work::PerRow { shader, groups: runs, rows };
        self.push_buffers(work, &[len as u32, runs, eps.to_bits(), of_outputs(rows)], buffers);
        Ok(())
    }

    fn elements(&mut self, shader: Shader, factor: f32, values: &[ValueId]) {
        let (rows, width) = (self.plan.value(values[0]).rows, self.width(values[0]));
        let grid_width = work::ELEMENT_THREADS * self.device.caps.max_workgroups;
        let params = [width, of_outputs(rows), factor.to_bits(), grid_width];
        self.push(Work::Elements { shader, width, rows }, &params, values);
    }

    fn push(&mut self, work: Work, params: &[u32], values: &[ValueId]) {
        let buffers = values.iter().map(|&value| self.slot(value)).collect();
        self.push_buffers(work, params, buffers);
    }

    /// `buffers` are in the order of the kernel's bindings after its parameters.
    fn push_buffers(&mut self, work: Work, params: &[u32], buffers: Vec<Buffer>) {
        self.drafts.push(Draft { work, params: self.arena.push(params), buffers });
    }

    fn step(&self, draft: Draft, params: &Buffer) -> Result<Step, Error> {
        // Kernels that share a step share its bindings, so any of them tells the layout.
        let bindings = draft.work.example(&self.device.caps).bindings();
        let layout = pipelines::layout(self.device, &bindings)?;
        let own = BufferBinding { buffer: params, offset: draft.params, size: NonZero::new(PARAM_BYTES) };
        let resources = [BindingResource::Buffer(own)]
            .into_iter()
            .chain(draft.buffers.iter().map(|buffer| buffer.as_entire_binding()));
        let entries: Vec<BindGroupEntry<'_>> = bindings
            .iter()
            .zip(resources)
            .map(|(binding, resource)| BindGroupEntry { binding: binding.number(), resource })
            .collect();
        let descriptor = BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let device = &self.device.device;
        let bind_group = self.device.checked("a bind group", 0, || device.create_bind_group(&descriptor))?;
        Ok(Step { work: draft.work, bind_group, buffers: [params.clone()].into_iter().chain(draft.buffers).collect() })
    }

    fn slot(&self, value: ValueId) -> Buffer {
        self.slots[self.scratch.slot(value)].clone()
    }

    fn width(&self, value: ValueId) -> u32 {
        self.plan.value(value).width as u32
    }

    /// The matrix of some weights, uploaded when it is first asked for.
    fn matrix(&mut self, ids: &[WeightId], run: Option<usize>) -> Result<Matrix, Error> {
        if let Some(matrix) = self.matrices.get(ids) {
            return Ok(matrix.clone());
        }
        let part = |id: &WeightId| (self.plan.weight(*id), &self.weights[id.index()]);
        let rows = MatrixRows::new(&ids.iter().map(part).collect::<Vec<_>>(), run)?;
        let matrix = Matrix::upload(&mut self.uploader, rows)?;
        self.matrices.insert(ids.to_vec(), matrix.clone());
        Ok(matrix)
    }

    fn vector(&mut self, id: WeightId) -> Result<Buffer, Error> {
        if let Some(vector) = self.vectors.get(&id) {
            return Ok(vector.clone());
        }
        let vector = upload_vector(self.device, self.plan.weight(id), &self.weights[id.index()])?;
        self.vectors.insert(id, vector.clone());
        Ok(vector)
    }

    /// The table of a rope; ropes that turn alike share one.
    fn rope_table(&mut self, rope: Rope) -> Result<u32, Error> {
        let alike = |known: &Rope| Rope { pairing: known.pairing, ..rope } == *known;
        if let Some(table) = self.ropes.iter().position(|(known, _)| alike(known)) {
            return Ok(table as u32);
        }
        let factors = rope.factors.map(|id| vector(self.plan.weight(id), &self.weights[id.index()])).transpose()?;
        self.ropes.push((rope, RopeTable::new(&rope, factors.as_deref())));
        Ok(self.ropes.len() as u32 - 1)
    }
}

const VALUES: &str = "values between ops";

/// The buffers of the values that fused steps work on.
pub(crate) fn scratch(plan: &Plan, fused: &[Fused]) -> Scratch {
    Scratch::of_steps(plan, &fused.iter().map(Fused::access).collect::<Vec<Access>>())
}

fn shader_activation(activation: Activation) -> shaders::Activation {
    match activation {
        Activation::Silu => shaders::Activation::Silu,
        Activation::GeluTanh => shaders::Activation::GeluTanh,
    }
}

/// Most rows of a value.
pub(crate) fn most_rows(rows: Rows, config: &ExecConfig) -> usize {
    match rows {
        Rows::Tokens => config.max_tokens,
        Rows::Outputs => config.max_outputs,
    }
}

/// Bytes of the splits of attention: few tokens have any.
pub(crate) fn partial_bytes(plan: &Plan, config: &ExecConfig) -> usize {
    let per_token = |op: &Op| match *op {
        Op::Attention { layer, q, .. } => {
            let head_dim = plan.kv_layer(layer).head_dim;
            plan.value(q).width / head_dim * policy::MOST_SPLITS * (head_dim + 2) * 4
        }
        _ => 0,
    };
    plan.ops().iter().map(per_token).max().unwrap_or(0) * config.max_tokens.min(policy::FEW)
}

fn of_outputs(rows: Rows) -> u32 {
    u32::from(rows == Rows::Outputs)
}

//! The backend: a plan and its weights, made ready to run on a team of threads.

mod activations;
mod buffer;
mod experts;
mod panel_cache;
mod program;
mod readings;
mod repack;
mod run;
mod schedule;
mod storage;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use silhak_ops::{Backend, Batch, Error, ExecConfig, Executor, MemoryUse, Op, Page, Plan, RopeTable, Rows, Scratch};

pub(crate) use buffer::{Buffer, Shared};
pub use panel_cache::PanelCache;
pub use repack::{Release, Repack};

use crate::attention::{Attention, Queries};
use crate::kv::{self, KvStore};
use crate::team::{self, Team};
use crate::{Activations, Caps};
use activations::{ActivationSpec, activation_specs};
use panel_cache::Keeping;
use program::{Amount, Amounts, Compiler, Program, Weights};
use readings::Readings;
use repack::Repacked;
use run::{Run, SharedActivations};
use storage::Storages;

/// How the backend works.
#[derive(Clone, Debug, Default)]
pub struct CpuOptions {
    /// Threads, the caller's included; by default [`crate::default_threads`].
    pub threads: Option<NonZero<usize>>,
    /// Instruction sets that kernels may use; by default all that the machine has.
    pub caps: Option<Caps>,
    /// Repacks the weights for which there are faster kernels then; `None` uses all where they lie. Results are the same
    /// bits.
    pub repack: Option<Repack>,
}

/// The CPU backend. Weights are used in the formats of the file.
#[derive(Clone, Debug)]
pub struct Cpu {
    n_threads: NonZero<usize>,
    caps: Caps,
    repack: Option<Repack>,
}

impl Cpu {
    /// A backend; threads start when a plan is prepared.
    pub fn new(options: CpuOptions) -> Self {
        let n_threads = options.threads.unwrap_or_else(team::default_threads);
        Cpu { n_threads, caps: options.caps.unwrap_or_else(Caps::detect), repack: options.repack }
    }

    /// Threads that run a plan, the caller's included.
    pub fn n_threads(&self) -> usize {
        self.n_threads.get()
    }

    /// Instruction sets that its kernels use.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    fn storages(&self, plan: &Plan) -> Storages {
        Storages::new(plan, &self.caps, self.repack.is_some())
    }
}

impl Backend for Cpu {
    fn name(&self) -> String {
        format!("cpu-{}", self.caps.isa())
    }

    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error> {
        plan.check_weights(weights)?;
        check_config(config)?;
        let mut team = Team::new(self.n_threads)?;
        let kv = KvStore::new(plan, &config.kv)?;
        let scratch = Scratch::new(plan);
        let storages = self.storages(plan);
        let repacked = match &self.repack {
            Some(repack) => repack.run(plan, &storages, weights, &mut team)?,
            None => Repacked { weights: weights.to_vec(), ..Repacked::default() },
        };
        let readings = Readings::measure(plan, &storages, &repacked.weights, &self.caps, &mut team)?;
        let stored = Weights { given: weights, stored: &repacked.weights, storages: &storages, readings: &readings };
        let mut compiler = Compiler::new(plan, &scratch, stored, &self.caps);
        let [few, prefill, many] = Amounts::ALL.map(|amounts| compiler.program(amounts));
        let programs = [few?, prefill?, many?];
        let weight_bytes = compiler.vector_bytes() + repacked.held;
        let mapped_bytes = storages.mapped_bytes(plan)? + repacked.mapped;
        let Compiler { ropes, activations: specs, .. } = compiler;
        let sizes = Sizes::new(plan, &scratch, config, self.n_threads.get());

        let values = |len| Buffer::zeroed(len, "activations");
        let acts = |spec: &ActivationSpec| {
            let mut acts = Activations::new(&self.caps);
            acts.reset(spec.layout, spec.most_rows(config), spec.cols)?;
            Ok(acts)
        };
        let most_steps = programs.iter().map(|p| p.steps.len()).max().unwrap_or(0);
        Ok(Box::new(CpuExecutor {
            caps: self.caps,
            slots: sizes.slots.iter().map(|&len| values(len)).collect::<Result<_, _>>()?,
            turns: sizes.turns.iter().map(|&len| values(len)).collect::<Result<_, _>>()?,
            partials: values(sizes.partials)?,
            workspaces: values(sizes.workspaces)?,
            groups: Buffer::zeroed(sizes.groups, "groups of tokens")?,
            activations: specs.iter().map(acts).collect::<Result<_, Error>>()?,
            taken: (0..most_steps).map(|_| AtomicUsize::new(0)).collect(),
            queries: Queries::with_capacity(config.max_tokens),
            places: Vec::with_capacity(config.max_tokens),
            team,
            bound: bound_slots(plan, &scratch),
            ropes: ropes.into_iter().map(|(_, table)| table).collect(),
            plan: Arc::clone(plan),
            config: config.clone(),
            scratch,
            programs,
            specs,
            kv,
            weight_bytes,
            mapped_bytes,
            _keeping: repacked.keeping,
        }))
    }

    fn reads(&self, plan: &Plan, weights: &[Bytes]) -> Result<Vec<Bytes>, Error> {
        plan.check_weights(weights)?;
        let storages = self.storages(plan);
        let Some(kept) = self.repack.as_ref().and_then(|repack| repack.kept(plan, &storages)) else {
            return Ok(weights.to_vec());
        };
        let others = weights.iter().enumerate().filter(|(i, _)| !storages.is_repacked(*i));
        Ok(others.map(|(_, weight)| weight.clone()).chain([kept]).collect())
    }

    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error> {
        check_config(config)?;
        let groups = plan.kv_groups();
        config.kv.check(plan)?;
        let vectors = program::vector_weights(plan);
        let vector_bytes = |id: &silhak_ops::WeightId| 4 * plan.weight(*id).rows * plan.weight(*id).cols;
        let storages = self.storages(plan);
        let panels = storages.panels(plan).1;
        let is_cached = self.repack.as_ref().is_some_and(|repack| repack.cache.is_some());
        let (held, mapped) = if is_cached { (0, panels) } else { (panels, 0) };
        let specs = activation_specs(plan, &storages, &self.caps);
        let activation_bytes = |spec: &ActivationSpec| spec.layout.bytes(spec.most_rows(config), spec.cols);
        let sizes = Sizes::new(plan, &Scratch::new(plan), config, self.n_threads.get());
        Ok(MemoryUse {
            weights: vectors.iter().map(vector_bytes).sum::<usize>().saturating_add(held),
            mapped: storages.mapped_bytes(plan)?.saturating_add(mapped),
            kv: config.kv.bytes(plan.kv_layers(), &groups),
            scratch: 4 * sizes.len() + specs.iter().map(activation_bytes).sum::<usize>(),
        })
    }
}

/// Tokens of a batch are counted in 32 bits.
fn check_config(config: &ExecConfig) -> Result<(), Error> {
    let most = config.max_tokens.max(config.max_outputs);
    if u32::try_from(most).is_err() {
        return Err(Error::OutOfMemory { what: "activations", bytes: usize::MAX });
    }
    Ok(())
}

/// Values that each buffer of an executor holds, of 4 bytes each.
#[derive(Default)]
struct Sizes {
    slots: Vec<usize>,
    turns: Vec<usize>,
    partials: usize,
    workspaces: usize,
    /// Numbers of 32 bits.
    groups: usize,
}

impl Sizes {
    fn new(plan: &Plan, scratch: &Scratch, config: &ExecConfig, n_threads: usize) -> Self {
        let bound: Vec<usize> = bound_slots(plan, scratch).into_iter().flatten().collect();
        let slot = |slot| match bound.contains(&slot) {
            true => 0,
            false => scratch.len(slot, config.max_tokens, config.max_outputs),
        };
        let mut sizes = Sizes { slots: (0..scratch.shapes().len()).map(slot).collect(), ..Sizes::default() };
        let groups = plan.kv_groups();
        let mut ropes = Vec::new();
        let mut workspace = 0;
        let most_rows = config.max_tokens.max(config.max_outputs);
        for op in plan.ops() {
            match *op {
                Op::Rope { rope, .. } if !ropes.iter().any(|known| program::same_turns(known, &rope)) => {
                    sizes.turns.push(config.max_tokens * rope.n_rot);
                    ropes.push(rope);
                }
                Op::Attention { layer, q, scale, .. } => {
                    let attention = Attention::new(layer, *plan.kv_layer(layer), plan.value(q).width, scale);
                    let group = groups.iter().position(|g| g.layers.contains(&layer));
                    let n_pages = group.and_then(|g| config.kv.n_pages.get(g)).copied().unwrap_or(0);
                    let partials = attention.n_partials(n_pages * config.kv.page_len);
                    sizes.partials = sizes.partials.max(partials);
                    workspace = workspace.max(attention.workspace().len());
                }
                Op::ExpertLinear { chosen, n_experts, .. } => {
                    let n_used = plan.value(chosen).width / 2;
                    sizes.groups = sizes.groups.max(experts::group_len(most_rows, n_used, n_experts));
                    workspace = workspace.max(experts::TILE_LEN);
                }
                Op::HeadLinear { n_heads, .. } => {
                    sizes.groups = sizes.groups.max(experts::group_len(most_rows, n_heads, n_heads));
                    workspace = workspace.max(experts::TILE_LEN);
                }
                _ => {}
            }
        }
        sizes.workspaces = n_threads.saturating_mul(workspace.next_multiple_of(WORKSPACE_UNIT));
        sizes
    }

    fn len(&self) -> usize {
        self.slots.iter().chain(&self.turns).sum::<usize>() + self.partials + self.workspaces + self.groups
    }
}

/// The slot of each of the plan's outputs that is computed right where the caller wants it; `None` for an output that
/// is copied there: an input, or a value that is listed twice.
fn bound_slots(plan: &Plan, scratch: &Scratch) -> Vec<Option<usize>> {
    let outputs = plan.outputs();
    let bound = |(i, id)| {
        let direct = !plan.inputs().contains(id) && !outputs[..i].contains(id);
        direct.then(|| scratch.slot(*id))
    };
    outputs.iter().enumerate().map(bound).collect()
}

/// A plan on its team.
struct CpuExecutor {
    plan: Arc<Plan>,
    config: ExecConfig,
    caps: Caps,
    team: Team,
    scratch: Scratch,
    /// For each of [`Amounts::ALL`].
    programs: [Program; 3],
    ropes: Vec<RopeTable>,
    kv: KvStore,
    slots: Vec<Buffer<f32>>,
    turns: Vec<Buffer<f32>>,
    partials: Buffer<f32>,
    workspaces: Buffer<f32>,
    groups: Buffer<u32>,
    activations: Vec<Activations>,
    /// What each of `activations` is for.
    specs: Vec<ActivationSpec>,
    /// For each output, the slot that stands for it.
    bound: Vec<Option<usize>>,
    queries: Queries,
    taken: Vec<AtomicUsize>,
    places: Vec<u64>,
    /// Bytes of vectors and panels.
    weight_bytes: usize,
    /// Bytes of the weights that are read where they lie.
    mapped_bytes: usize,
    /// Whoever still writes the panels to a file: the executor's end waits for it.
    _keeping: Option<Keeping>,
}

impl Executor for CpuExecutor {
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        self.check(batch, inputs, outputs.len())?;
        for (id, output) in self.plan.outputs().iter().zip(outputs.iter_mut()) {
            let value = self.plan.value(*id);
            resize(output, n_rows(batch, value.rows) * value.width)?;
        }
        for (id, input) in self.plan.inputs().iter().zip(inputs) {
            self.slots[self.scratch.slot(*id)].as_mut_slice()[..input.len()].copy_from_slice(input);
        }
        self.run_program(batch, outputs)?;
        self.copy_outputs(outputs);
        Ok(())
    }

    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        self.kv.copy_page(group, from, to)
    }

    fn memory(&self) -> MemoryUse {
        let values = self.slots.iter().chain(&self.turns).chain([&self.partials, &self.workspaces]);
        MemoryUse {
            weights: self.weight_bytes,
            mapped: self.mapped_bytes,
            kv: self.kv.bytes(),
            scratch: values.map(Buffer::bytes).sum::<usize>()
                + self.groups.bytes()
                + self.activations.iter().map(Activations::bytes).sum::<usize>(),
        }
    }
}

impl CpuExecutor {
    /// Checks all that the steps rely on.
    fn check(&mut self, batch: &Batch, inputs: &[&[f32]], n_outputs: usize) -> Result<(), Error> {
        let (ExecConfig { kv, max_tokens, max_outputs }, groups) = (&self.config, self.kv.groups());
        batch.check(&self.plan, groups, kv)?;
        self.plan.check_io(batch.n_tokens(), inputs, n_outputs)?;
        for (what, found, most) in
            [("tokens", batch.n_tokens(), *max_tokens), ("outputs", batch.n_outputs(), *max_outputs)]
        {
            if found > most {
                return Err(Error::Batch(format!("expected at most {most} {what}, found {found}; split the batch")));
            }
        }
        kv::check_places(batch, groups, kv.page_len, &mut self.places)
    }

    fn run_program(&mut self, batch: &Batch, outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        let amounts = Amounts { tokens: Amount::of(batch.n_tokens()), outputs: Amount::of(batch.n_outputs()) };
        let Some(program) = Amounts::ALL.iter().position(|a| *a == amounts).map(|i| &self.programs[i]) else {
            return Err(Error::Batch("there are more outputs than tokens".into()));
        };
        for &i in &program.activations {
            let spec = &self.specs[i];
            self.activations[i].reset(spec.layout, spec.rows_of(n_rows(batch, spec.rows)), spec.cols)?;
        }
        self.queries.set(batch);
        self.taken.iter().for_each(|taken| taken.store(0, Ordering::Relaxed));

        // Three short lists are all that a batch allocates, whatever its size.
        let mut slots: Vec<Shared<f32>> = self.slots.iter().map(Buffer::share).collect();
        for (slot, output) in self.bound.iter().zip(outputs) {
            if let Some(slot) = *slot {
                slots[slot] = Shared::new(output);
            }
        }
        let turns: Vec<Shared<f32>> = self.turns.iter().map(Buffer::share).collect();
        let activations: Vec<SharedActivations> = self.activations.iter_mut().map(SharedActivations::new).collect();
        let run = Run {
            caps: &self.caps,
            program,
            batch,
            amounts,
            kv: &self.kv,
            queries: &self.queries,
            ropes: &self.ropes,
            turns: &turns,
            slots: &slots,
            activations: &activations,
            partials: self.partials.share(),
            workspaces: self.workspaces.share(),
            groups: self.groups.share(),
            taken: &self.taken,
        };
        self.team.run(|member| run.run(member))
    }

    /// Copies the outputs that were not computed in their place.
    fn copy_outputs(&mut self, outputs: &mut [Vec<f32>]) {
        for i in 0..outputs.len() {
            if self.bound[i].is_some() {
                continue;
            }
            let id = self.plan.outputs()[i];
            match self.plan.outputs()[..i].iter().position(|earlier| *earlier == id) {
                Some(earlier) => {
                    let (done, rest) = outputs.split_at_mut(i);
                    rest[0].copy_from_slice(&done[earlier]);
                }
                None => {
                    let len = outputs[i].len();
                    outputs[i].copy_from_slice(&self.slots[self.scratch.slot(id)].as_mut_slice()[..len]);
                }
            }
        }
    }
}

fn n_rows(batch: &Batch, rows: Rows) -> usize {
    match rows {
        Rows::Tokens => batch.n_tokens(),
        Rows::Outputs => batch.n_outputs(),
    }
}

/// Makes an output as long as it must be; what it holds is overwritten.
fn resize(output: &mut Vec<f32>, len: usize) -> Result<(), Error> {
    let more = len.saturating_sub(output.len());
    output.try_reserve_exact(more).map_err(|_| Error::OutOfMemory { what: "outputs", bytes: 4 * len })?;
    output.resize(len, 0.0);
    Ok(())
}

/// Workspaces begin on cache lines of their own.
const WORKSPACE_UNIT: usize = 32;

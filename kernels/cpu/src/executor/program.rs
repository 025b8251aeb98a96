//! A plan turned into steps, once per model, so that nothing is looked up or decided while a batch runs.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use silhak_ops::{
    Activation, Error, KvId, Op, Pairing, Plan, Rope, RopeTable, Routing, Rows, Scratch, Value, ValueId, Weight,
    WeightId,
};
use silhak_quant::{Format, dequantize};

use super::activations::{ActivationSpec, ActivationUse, RowOrder};
use super::experts::{ExpertLinear, Experts};
use super::readings::Readings;
use super::schedule::{self, Schedule};
use super::storage::Storages;
use crate::attention::Attention;
use crate::linear::ROWS;
use crate::policy::{MATMUL_TOKENS, Storage};
use crate::{Caps, LinearKernel};

/// A buffer of the plan's [`Scratch`].
pub(super) type Slot = usize;

/// How many rows a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Fewer than [`MATMUL_TOKENS`]: threads share each row.
    Few,
    /// Threads take different rows, and different weights of a matmul.
    Many,
}

impl Amount {
    /// What `n_rows` are.
    pub(super) fn of(n_rows: usize) -> Self {
        if n_rows < MATMUL_TOKENS { Amount::Few } else { Amount::Many }
    }

    /// Some number of rows that is this amount.
    pub(super) fn example(self) -> usize {
        match self {
            Amount::Few => 1,
            Amount::Many => MATMUL_TOKENS,
        }
    }
}

/// The amounts that a program is made for: tokens, and outputs among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) tokens: Amount,
    pub(super) outputs: Amount,
}

impl Amounts {
    /// The amounts that batches come in; there are never more outputs than tokens.
    pub(super) const ALL: [Amounts; 3] = [
        Amounts { tokens: Amount::Few, outputs: Amount::Few },
        Amounts { tokens: Amount::Many, outputs: Amount::Few },
        Amounts { tokens: Amount::Many, outputs: Amount::Many },
    ];

    /// The amount of such rows.
    pub(super) fn of(self, rows: Rows) -> Amount {
        match rows {
            Rows::Tokens => self.tokens,
            Rows::Outputs => self.outputs,
        }
    }
}

/// One step. `value` is the shape of what it writes.
#[derive(Debug)]
pub(super) enum Step {
    /// Cosines and sines of the batch's positions.
    Turns { table: usize },
    /// Token lookup.
    Embed { table: Matrix, out: Slot },
    /// The rows whose logits are wanted.
    Select { x: Slot, out: Slot, width: usize },
    /// RMS norm of runs of `weight.len()` values.
    RmsNorm { x: Slot, weight: Arc<[f32]>, eps: f32, out: Slot, value: Value },
    /// Activations to the form that linears take, each row in so many parts.
    Quantize { x: Slot, acts: usize, parts: usize, value: Value },
    /// Weights times activations.
    Linear { acts: usize, kernel: LinearKernel, weight: Matrix, bias: Option<Arc<[f32]>>, out: Slot, value: Value },
    /// The choice of experts; `value` is the shape of the logits.
    Route { logits: Slot, bias: Option<Arc<[f32]>>, routing: Routing, out: Slot, value: Value },
    /// Which tokens go to which expert.
    Group { experts: Experts, rows: Rows },
    /// Activations to the form that linears take, in the order of the experts that they go to.
    QuantizeByExpert { x: Slot, acts: usize, experts: Experts, value: Value },
    /// The weights of the chosen experts times activations.
    ExpertLinear(ExpertLinear),
    /// What the experts of each token say.
    ExpertSum { x: Slot, experts: Experts, out: Slot, value: Value },
    /// Some values of each head.
    HeadSlice { x: Slot, n_heads: usize, start: usize, out: Slot, width: usize, value: Value },
    /// The values of each head behind those of another; `widths` are those of the two rows.
    HeadConcat { parts: [Slot; 2], widths: [usize; 2], n_heads: usize, out: Slot, value: Value },
    /// Rotation by position.
    Rope { x: Slot, table: usize, head_dim: usize, pairing: Pairing, out: Slot, value: Value },
    /// Keys and values into their pages.
    KvWrite { layer: KvId, k: Slot, v: Slot, width: usize },
    /// Attention, or its splits.
    Attention { attention: Attention, layer: KvId, q: Slot, out: Slot },
    /// The splits put together.
    Merge { attention: Attention, q: Slot, out: Slot },
    /// Ops on each value alone.
    Elementwise { op: Elementwise, out: Slot, value: Value },
}

/// What is done to each value alone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Elementwise {
    Gate { gate: Slot, up: Slot, activation: Activation },
    Add { a: Slot, b: Slot },
    Scale { x: Slot, factor: f32 },
    SoftCap { x: Slot, cap: f32 },
}

/// A weight in the format of the file.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    data: Bytes,
    storage: Storage,
    row_bytes: usize,
    pub(super) format: Format,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Matrix {
    /// The bytes of some rows. Those of panels begin at a multiple of [`ROWS`], and end at one or with the matrix.
    pub(super) fn bytes(&self, rows: Range<usize>) -> &[u8] {
        let end = match self.storage {
            Storage::Rows => rows.end,
            Storage::Panels => rows.end.next_multiple_of(ROWS),
        };
        &self.data[rows.start * self.row_bytes..end * self.row_bytes]
    }
}

/// The bytes of a plan's weights.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// As they were given.
    pub(super) given: &'a [Bytes],
    /// As linears read them.
    pub(super) stored: &'a [Bytes],
    pub(super) storages: &'a Storages,
    pub(super) readings: &'a Readings,
}

/// The steps for some amounts of rows.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) schedule: Schedule,
    /// The activations that it uses, as indices into [`Compiler::activations`].
    pub(super) activations: Vec<usize>,
}

/// Compiles programs, and gathers what they share.
pub(super) struct Compiler<'a> {
    plan: &'a Plan,
    scratch: &'a Scratch,
    weights: Weights<'a>,
    caps: &'a Caps,
    /// Vectors in float32, by weight.
    vectors: HashMap<WeightId, Arc<[f32]>>,
    pub(super) ropes: Vec<(Rope, RopeTable)>,
    pub(super) activations: Vec<ActivationSpec>,
}

impl<'a> Compiler<'a> {
    /// A compiler for `plan`, whose weights have been checked.
    pub(super) fn new(plan: &'a Plan, scratch: &'a Scratch, weights: Weights<'a>, caps: &'a Caps) -> Self {
        let (vectors, ropes, activations) = Default::default();
        Compiler { plan, scratch, weights, caps, vectors, ropes, activations }
    }

    /// Bytes of the vectors that were converted to float32.
    pub(super) fn vector_bytes(&self) -> usize {
        self.vectors.values().map(|v| size_of_val(&**v)).sum()
    }

    /// Writes the steps of the plan.
    pub(super) fn program(&mut self, amounts: Amounts) -> Result<Program, Error> {
        let mut steps = Vec::new();
        let mut live = ActivationUse::new(self.plan, amounts, self.weights.storages, self.caps);
        for (i, op) in self.plan.ops().iter().enumerate() {
            self.push(i, op, &mut live, &mut steps)?;
        }
        let tables = (0..self.ropes.len()).map(|table| Step::Turns { table });
        let steps: Vec<Step> = tables.chain(steps).collect();
        let mut activations: Vec<usize> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Quantize { acts, .. } | Step::QuantizeByExpert { acts, .. } => Some(*acts),
                _ => None,
            })
            .collect();
        activations.sort_unstable();
        activations.dedup();
        Ok(Program { schedule: schedule::barriers(&steps, amounts), steps, activations })
    }

    fn push(&mut self, index: usize, op: &Op, live: &mut ActivationUse, steps: &mut Vec<Step>) -> Result<(), Error> {
        let slot = |id: ValueId| self.scratch.slot(id);
        let value = |id: ValueId| *self.plan.value(id);
        let elementwise = |op, out| Step::Elementwise { op, out: slot(out), value: value(out) };
        let step = match *op {
            Op::Embed { table, out } => Step::Embed { table: self.table(table)?, out: slot(out) },
            Op::Select { x, out } => Step::Select { x: slot(x), out: slot(out), width: value(x).width },
            Op::RmsNorm { x, weight, eps, out } => {
                let (x, out, value) = (slot(x), slot(out), value(out));
                Step::RmsNorm { x, weight: self.vector(weight)?, eps, out, value }
            }
            Op::Linear { x, weight, bias, out } => {
                let (out, value) = (slot(out), value(out));
                let (kernel, acts) = self.activations(index, x, weight, RowOrder::PLAIN, live, steps);
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                Step::Linear { acts, kernel, weight: self.matrix(weight)?, bias, out, value }
            }
            Op::Route { logits, bias, routing, out } => {
                let (logits, out, value) = (slot(logits), slot(out), value(logits));
                Step::Route { logits, bias: bias.map(|b| self.vector(b)).transpose()?, routing, out, value }
            }
            Op::ExpertLinear { x, chosen, weight, n_experts, out } => {
                let (out, value) = (slot(out), value(out));
                let experts = self.experts(Some(chosen), n_experts);
                let order = live.expert_order(x, weight, Some(chosen), n_experts);
                let (kernel, acts) = self.activations(index, x, weight, order, live, steps);
                let (weight, rows) = (self.matrix(weight)?, value.rows);
                Step::ExpertLinear(ExpertLinear { experts, order, acts, kernel, weight, out, rows })
            }
            Op::HeadLinear { x, weight, n_heads, out } => {
                let (out, value) = (slot(out), value(out));
                let experts = self.experts(None, n_heads);
                let order = live.expert_order(x, weight, None, n_heads);
                let (kernel, acts) = self.activations(index, x, weight, order, live, steps);
                let (weight, rows) = (self.matrix(weight)?, value.rows);
                Step::ExpertLinear(ExpertLinear { experts, order, acts, kernel, weight, out, rows })
            }
            Op::HeadSlice { x, n_heads, start, out } => {
                let (x, out, width, value) = (slot(x), slot(out), value(x).width, value(out));
                Step::HeadSlice { x, n_heads, start, out, width, value }
            }
            Op::HeadConcat { a, b, n_heads, out } => {
                let widths = [a, b].map(|id| value(id).width);
                Step::HeadConcat { parts: [slot(a), slot(b)], widths, n_heads, out: slot(out), value: value(out) }
            }
            Op::ExpertSum { x, chosen, out } => Step::ExpertSum {
                x: slot(x),
                experts: self.experts(Some(chosen), 0),
                out: slot(out),
                value: value(out),
            },
            Op::Rope { x, head_dim, rope, out } => {
                let (x, out, value) = (slot(x), slot(out), value(out));
                Step::Rope { x, table: self.rope(rope)?, head_dim, pairing: rope.pairing, out, value }
            }
            Op::KvWrite { layer, k, v } => Step::KvWrite { layer, k: slot(k), v: slot(v), width: value(k).width },
            Op::Attention { layer, q, scale, out } => {
                let attention = Attention::new(layer, *self.plan.kv_layer(layer), value(q).width, scale);
                steps.push(Step::Attention { attention, layer, q: slot(q), out: slot(out) });
                Step::Merge { attention, q: slot(q), out: slot(out) }
            }
            Op::Gate { gate, up, activation, out } => {
                elementwise(Elementwise::Gate { gate: slot(gate), up: slot(up), activation }, out)
            }
            Op::Add { a, b, out } => elementwise(Elementwise::Add { a: slot(a), b: slot(b) }, out),
            Op::Scale { x, factor, out } => elementwise(Elementwise::Scale { x: slot(x), factor }, out),
            Op::SoftCap { x, cap, out } => elementwise(Elementwise::SoftCap { x: slot(x), cap }, out),
        };
        steps.push(step);
        Ok(())
    }

    /// The kernel for op `index`, and the activations that it reads; pushes the steps that fill them.
    fn activations(
        &mut self,
        index: usize,
        x: ValueId,
        weight: WeightId,
        order: RowOrder,
        live: &mut ActivationUse,
        steps: &mut Vec<Step>,
    ) -> (LinearKernel, usize) {
        let (from, value) = (self.scratch.slot(x), *self.plan.value(x));
        let (kernel, acts, fresh) = live.take(index, x, weight, order, &mut self.activations);
        if fresh {
            match order {
                RowOrder::Plain { parts } => steps.push(Step::Quantize { x: from, acts, parts, value }),
                RowOrder::ByExpert { chosen, n_experts, .. } => {
                    let experts = self.experts(chosen, n_experts);
                    if live.group(chosen, n_experts) {
                        steps.push(Step::Group { experts, rows: value.rows });
                    }
                    steps.push(Step::QuantizeByExpert { x: from, acts, experts, value });
                }
            }
        }
        (kernel.with_reading(self.weights.readings.of(self.plan.weight(weight).format)), acts)
    }

    /// Experts that a value chooses, or heads, each of which goes to a matrix of its own.
    fn experts(&self, chosen: Option<ValueId>, n: usize) -> Experts {
        let n_used = chosen.map_or(n, |id| self.plan.value(id).width / 2);
        Experts { chosen: chosen.map(|id| self.scratch.slot(id)), n_used, n }
    }

    /// A matrix that linears multiply with.
    fn matrix(&self, id: WeightId) -> Result<Matrix, Error> {
        self.stored(id, self.weights.stored, self.weights.storages.of(id))
    }

    /// A matrix whose rows are looked up.
    fn table(&self, id: WeightId) -> Result<Matrix, Error> {
        self.stored(id, self.weights.given, Storage::Rows)
    }

    fn stored(&self, id: WeightId, weights: &[Bytes], storage: Storage) -> Result<Matrix, Error> {
        let Weight { format, rows, cols, .. } = *self.plan.weight(id);
        let row_bytes = self.plan.weight(id).row_bytes()?;
        Ok(Matrix { data: weights[id.index()].clone(), storage, row_bytes, format, rows, cols })
    }

    fn vector(&mut self, id: WeightId) -> Result<Arc<[f32]>, Error> {
        if let Some(vector) = self.vectors.get(&id) {
            return Ok(Arc::clone(vector));
        }
        let weight = self.plan.weight(id);
        let mut vector = vec![0.0; weight.rows * weight.cols];
        dequantize(weight.format, &self.weights.given[id.index()], &mut vector)?;
        let vector: Arc<[f32]> = vector.into();
        self.vectors.insert(id, Arc::clone(&vector));
        Ok(vector)
    }

    /// The table of a rope; ropes that are alike share one.
    fn rope(&mut self, rope: Rope) -> Result<usize, Error> {
        if let Some(table) = self.ropes.iter().position(|(known, _)| same_turns(known, &rope)) {
            return Ok(table);
        }
        let factors = rope.factors.map(|f| self.vector(f)).transpose()?;
        self.ropes.push((rope, RopeTable::new(&rope, factors.as_deref())));
        Ok(self.ropes.len() - 1)
    }
}

/// Whether two ropes turn by the same angles, whatever they pair up.
pub(super) fn same_turns(a: &Rope, b: &Rope) -> bool {
    Rope { pairing: a.pairing, ..*b } == *a
}

/// The weights of a plan that are held as float32 vectors: those of norms, biases and rope factors.
pub(super) fn vector_weights(plan: &Plan) -> Vec<WeightId> {
    let mut ids: Vec<WeightId> = Vec::new();
    for op in plan.ops() {
        let vector = match *op {
            Op::RmsNorm { weight, .. } => Some(weight),
            Op::Linear { bias, .. } | Op::Route { bias, .. } => bias,
            Op::Rope { rope, .. } => rope.factors,
            _ => None,
        };
        ids.extend(vector.filter(|id| !ids.contains(id)));
    }
    ids
}

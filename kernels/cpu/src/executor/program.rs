//! A plan turned into steps, once per model, so that nothing is looked up or decided while a batch runs.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use silhak_ops::{
    Activation, Error, ExecConfig, KvId, Op, Pairing, Plan, Rope, RopeTable, Rows, Scratch, Value, ValueId, WeightId,
};
use silhak_quant::{Format, dequantize};

use super::schedule::{self, Schedule};
use crate::attention::Attention;
use crate::policy::MATMUL_TOKENS;
use crate::{ActivationLayout, Caps, LinearKernel};

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
    fn example(self) -> usize {
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
    /// Activations to the form that linears take.
    Quantize { x: Slot, acts: usize, value: Value },
    /// Weights times activations.
    Linear { acts: usize, kernel: LinearKernel, weight: Matrix, bias: Option<Arc<[f32]>>, out: Slot, value: Value },
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
    pub(super) data: Bytes,
    pub(super) format: Format,
    pub(super) row_bytes: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// The steps for some amounts of rows.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) schedule: Schedule,
    /// The activations that it uses, as indices into [`Compiler::activations`].
    pub(super) activations: Vec<usize>,
}

/// Activations that programs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActivationSpec {
    pub(super) layout: ActivationLayout,
    pub(super) rows: Rows,
    pub(super) cols: usize,
    /// Whether there may be many rows.
    pub(super) many: bool,
}

impl ActivationSpec {
    /// The most rows that there may be.
    pub(super) fn most_rows(&self, config: &ExecConfig) -> usize {
        let most = match self.rows {
            Rows::Tokens => config.max_tokens,
            Rows::Outputs => config.max_outputs,
        };
        if self.many { most } else { most.min(MATMUL_TOKENS - 1) }
    }
}

/// Compiles programs, and gathers what they share.
pub(super) struct Compiler<'a> {
    plan: &'a Plan,
    scratch: &'a Scratch,
    weights: &'a [Bytes],
    caps: &'a Caps,
    /// Vectors in float32, by weight.
    vectors: HashMap<WeightId, Arc<[f32]>>,
    pub(super) ropes: Vec<(Rope, RopeTable)>,
    pub(super) activations: Vec<ActivationSpec>,
}

impl<'a> Compiler<'a> {
    /// A compiler for `plan`, whose weights have been checked.
    pub(super) fn new(plan: &'a Plan, scratch: &'a Scratch, weights: &'a [Bytes], caps: &'a Caps) -> Self {
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
        let mut live = ActivationUse::new(self.plan, amounts, self.caps);
        for (i, op) in self.plan.ops().iter().enumerate() {
            self.push(i, op, &mut live, &mut steps)?;
        }
        let tables = (0..self.ropes.len()).map(|table| Step::Turns { table });
        let steps: Vec<Step> = tables.chain(steps).collect();
        let mut activations: Vec<usize> = steps
            .iter()
            .filter_map(|step| if let Step::Quantize { acts, .. } = step { Some(*acts) } else { None })
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
            Op::Embed { table, out } => Step::Embed { table: self.matrix(table)?, out: slot(out) },
            Op::Select { x, out } => Step::Select { x: slot(x), out: slot(out), width: value(x).width },
            Op::RmsNorm { x, weight, eps, out } => {
                let (x, out, value) = (slot(x), slot(out), value(out));
                Step::RmsNorm { x, weight: self.vector(weight)?, eps, out, value }
            }
            Op::Linear { x, weight, bias, out } => {
                let (from, out, x_value, value) = (slot(x), slot(out), value(x), value(out));
                let (kernel, acts, fresh) = live.take(index, x, weight, &mut self.activations);
                if fresh {
                    steps.push(Step::Quantize { x: from, acts, value: x_value });
                }
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                Step::Linear { acts, kernel, weight: self.matrix(weight)?, bias, out, value }
            }
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

    fn matrix(&self, id: WeightId) -> Result<Matrix, Error> {
        let weight = self.plan.weight(id);
        let (data, row_bytes) = (self.weights[id.index()].clone(), weight.row_bytes()?);
        Ok(Matrix { data, format: weight.format, row_bytes, rows: weight.rows, cols: weight.cols })
    }

    fn vector(&mut self, id: WeightId) -> Result<Arc<[f32]>, Error> {
        if let Some(vector) = self.vectors.get(&id) {
            return Ok(Arc::clone(vector));
        }
        let weight = self.plan.weight(id);
        let mut vector = vec![0.0; weight.rows * weight.cols];
        dequantize(weight.format, &self.weights[id.index()], &mut vector)?;
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
            Op::Linear { bias, .. } => bias,
            Op::Rope { rope, .. } => rope.factors,
            _ => None,
        };
        ids.extend(vector.filter(|id| !ids.contains(id)));
    }
    ids
}

/// Which linears share activations, and when these are last used.
pub(super) struct ActivationUse<'a> {
    plan: &'a Plan,
    amounts: Amounts,
    caps: &'a Caps,
    /// The op that last reads each value in each layout.
    last: HashMap<(ValueId, ActivationLayout), usize>,
    /// What stands in activations now, by their index.
    holds: HashMap<usize, (ValueId, ActivationLayout)>,
}

impl<'a> ActivationUse<'a> {
    pub(super) fn new(plan: &'a Plan, amounts: Amounts, caps: &'a Caps) -> Self {
        let mut uses = ActivationUse { plan, amounts, caps, last: HashMap::new(), holds: HashMap::new() };
        for (i, op) in plan.ops().iter().enumerate() {
            if let Op::Linear { x, weight, .. } = *op {
                uses.last.insert((x, uses.kernel(x, weight).layout()), i);
            }
        }
        uses
    }

    /// The kernel for op `index`, which multiplies `x` with `weight`; the activations that it reads; and whether they
    /// must be filled first.
    pub(super) fn take(
        &mut self,
        index: usize,
        x: ValueId,
        weight: WeightId,
        specs: &mut Vec<ActivationSpec>,
    ) -> (LinearKernel, usize, bool) {
        let kernel = self.kernel(x, weight);
        let key = (x, kernel.layout());
        if let Some((&acts, _)) = self.holds.iter().find(|(_, held)| **held == key) {
            return (kernel, acts, false);
        }
        let value = self.plan.value(x);
        let many = self.amounts.of(value.rows) == Amount::Many;
        let alike = |spec: &ActivationSpec| (spec.layout, spec.rows, spec.cols) == (key.1, value.rows, value.width);
        let over = |held: Option<&(ValueId, ActivationLayout)>| held.is_none_or(|held| self.last[held] < index);
        let free = specs.iter().enumerate().position(|(i, spec)| alike(spec) && over(self.holds.get(&i)));
        let acts = free.unwrap_or_else(|| {
            specs.push(ActivationSpec { layout: key.1, rows: value.rows, cols: value.width, many });
            specs.len() - 1
        });
        specs[acts].many |= many;
        self.holds.insert(acts, key);
        (kernel, acts, true)
    }

    fn kernel(&self, x: ValueId, weight: WeightId) -> LinearKernel {
        let amount = self.amounts.of(self.plan.value(x).rows);
        LinearKernel::choose(self.plan.weight(weight).format, amount.example(), self.caps)
    }
}

/// The activations that the programs of a plan share.
pub(super) fn activation_specs(plan: &Plan, caps: &Caps) -> Vec<ActivationSpec> {
    let mut specs = Vec::new();
    for amounts in Amounts::ALL {
        let mut live = ActivationUse::new(plan, amounts, caps);
        for (i, op) in plan.ops().iter().enumerate() {
            if let Op::Linear { x, weight, .. } = *op {
                live.take(i, x, weight, &mut specs);
            }
        }
    }
    specs
}

//! The scalar reference backend: every op in float32, in the plainest order of the sums.
//!
//! It defines what the ops mean. Faster backends are compared with it, so it is never tuned in a way that changes a
//! result; rows of a matmul are shared out to threads, because each is a sum of its own.

mod attention;
mod elementwise;
mod experts;
mod heads;
mod kv;
mod linear;
mod norm;
mod rope;

use std::sync::Arc;

use bytes::Bytes;
use silhak_quant::dequantize;

use crate::{Backend, Batch, Error, ExecConfig, Executor, KvGroup, MemoryUse, Op, Page, Plan, RopeTable};
use crate::{Rows, ValueId, WeightId};
use kv::KvStore;

/// The reference backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference {
    /// Rounds the activations of a matmul to 8 bits first, as the fast kernels do, so that their own error can be told
    /// from the rounding's.
    pub quantize_activations: bool,
}

impl Backend for Reference {
    fn name(&self) -> String {
        if self.quantize_activations { "reference-a8".into() } else { "reference".into() }
    }

    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error> {
        plan.check_weights(weights)?;
        let groups = plan.kv_groups();
        Ok(Box::new(ReferenceExecutor {
            quantize_activations: self.quantize_activations,
            kv: KvStore::new(plan, &groups, &config.kv)?,
            ropes: plan.ops().iter().map(|op| rope_table(plan, weights, op)).collect::<Result<_, _>>()?,
            plan: Arc::clone(plan),
            weights: weights.to_vec(),
            config: config.clone(),
            groups,
        }))
    }

    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error> {
        config.kv.check(plan)?;
        let rows = |rows| if rows == Rows::Tokens { config.max_tokens } else { config.max_outputs };
        let scratch = plan.values().iter().map(|v| 4 * v.width * rows(v.rows)).sum();
        let mapped = plan.weight_bytes()?;
        Ok(MemoryUse { weights: 0, mapped, kv: config.kv.bytes(plan.kv_layers(), &plan.kv_groups()), scratch })
    }
}

struct ReferenceExecutor {
    quantize_activations: bool,
    plan: Arc<Plan>,
    weights: Vec<Bytes>,
    config: ExecConfig,
    groups: Vec<KvGroup>,
    kv: KvStore,
    /// The angles of each rope op, by op.
    ropes: Vec<Option<RopeTable>>,
}

impl Executor for ReferenceExecutor {
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        batch.check(&plan, &self.groups, &self.config.kv)?;
        plan.check_io(batch.n_tokens(), inputs, outputs.len())?;
        let mut values = Values { of: vec![Vec::new(); plan.values().len()] };
        for (id, input) in plan.inputs().iter().zip(inputs) {
            values.set(*id, input.to_vec());
        }
        for (i, op) in plan.ops().iter().enumerate() {
            batch.check_cancelled()?;
            self.run_op(i, op, batch, &mut values)?;
        }
        for (id, output) in plan.outputs().iter().zip(outputs) {
            output.clone_from(values.get(*id));
        }
        Ok(())
    }

    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        self.kv.copy_page(group, from, to)
    }

    fn memory(&self) -> MemoryUse {
        MemoryUse { weights: 0, mapped: self.weights.iter().map(Bytes::len).sum(), kv: self.kv.bytes(), scratch: 0 }
    }
}

impl ReferenceExecutor {
    fn run_op(&mut self, index: usize, op: &Op, batch: &Batch, values: &mut Values) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        match *op {
            Op::Embed { table, out } => values.set(out, self.embed(table, batch.tokens())?),
            Op::Select { x, out } => {
                let width = plan.value(x).width;
                let x = values.get(x);
                let rows = batch.outputs().iter().map(|&t| &x[t as usize * width..][..width]);
                values.set(out, rows.flatten().copied().collect());
            }
            Op::RmsNorm { x, weight, eps, out } => {
                let weight = self.vector(weight)?;
                values.set(out, norm::rms_norm(values.get(x), &weight, eps));
            }
            Op::Linear { x, weight, bias, out } => {
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                let (w, data) = (plan.weight(weight), &self.weights[weight.index()]);
                let y = linear::linear(values.get(x), w, data, bias.as_deref(), self.quantize_activations)?;
                values.set(out, y);
            }
            Op::Route { logits, bias, routing, out } => {
                let bias = bias.map(|b| self.vector(b)).transpose()?;
                let n_experts = plan.value(logits).width;
                values.set(out, experts::route(values.get(logits), n_experts, bias.as_deref(), &routing));
            }
            Op::ExpertLinear { x, chosen, weight, n_experts, out } => {
                let (w, data) = (plan.weight(weight), &self.weights[weight.index()]);
                let n_used = plan.value(chosen).width / 2;
                let of = experts::Experts { n: n_experts, n_used, chosen: values.get(chosen) };
                values.set(out, experts::expert_linear(values.get(x), &of, w, data, self.quantize_activations)?);
            }
            Op::ExpertSum { x, chosen, out } => {
                let n_used = plan.value(chosen).width / 2;
                values.set(out, experts::expert_sum(values.get(x), values.get(chosen), n_used));
            }
            Op::HeadLinear { x, weight, n_heads, out } => {
                let (w, data) = (plan.weight(weight), &self.weights[weight.index()]);
                values.set(out, heads::linear(values.get(x), n_heads, w, data, self.quantize_activations)?);
            }
            Op::HeadSlice { x, n_heads, start, out } => {
                let (dim, len) = (plan.value(x).width / n_heads, plan.value(out).width / n_heads);
                values.set(out, heads::slice(values.get(x), dim, start..start + len));
            }
            Op::HeadConcat { a, b, n_heads, out } => {
                let [dim, more] = [a, b].map(|id| plan.value(id).width / n_heads);
                values.set(out, heads::concat(values.get(a), dim, values.get(b), more));
            }
            Op::Rope { x, head_dim, rope, out } => {
                let table = self.ropes[index].as_ref().expect("prepare made a table for every rope op");
                values.set(out, rope::rope(values.get(x), head_dim, &rope, table, batch.positions()));
            }
            Op::KvWrite { layer, k, v } => self.kv.write(layer, batch, values.get(k), values.get(v)),
            Op::Attention { layer, q, scale, out } => {
                values
                    .set(out, attention::attention(values.get(q), plan.value(q).width, layer, scale, &self.kv, batch));
            }
            Op::Gate { gate, up, activation, out } => {
                values.set(out, elementwise::gate(values.get(gate), values.get(up), activation));
            }
            Op::Add { a, b, out } => values.set(out, elementwise::add(values.get(a), values.get(b))),
            Op::Scale { x, factor, out } => values.set(out, values.get(x).iter().map(|x| factor * x).collect()),
            Op::SoftCap { x, cap, out } => {
                values.set(out, values.get(x).iter().map(|x| cap * (x / cap).tanh()).collect());
            }
        }
        Ok(())
    }

    fn embed(&self, table: WeightId, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let weight = self.plan.weight(table);
        let (row_bytes, cols) = (weight.row_bytes()?, weight.cols);
        let mut out = vec![0.0; tokens.len() * cols];
        for (&token, row) in tokens.iter().zip(out.chunks_exact_mut(cols)) {
            dequantize(weight.format, &self.weights[table.index()][token as usize * row_bytes..][..row_bytes], row)?;
        }
        Ok(out)
    }

    fn vector(&self, id: WeightId) -> Result<Vec<f32>, Error> {
        vector(&self.plan, &self.weights, id)
    }
}

/// The values of a batch, by [`ValueId`].
struct Values {
    of: Vec<Vec<f32>>,
}

impl Values {
    fn get(&self, id: ValueId) -> &Vec<f32> {
        &self.of[id.index()]
    }

    fn set(&mut self, id: ValueId, value: Vec<f32>) {
        self.of[id.index()] = value;
    }
}

/// A weight's values in float32.
fn vector(plan: &Plan, weights: &[Bytes], id: WeightId) -> Result<Vec<f32>, Error> {
    let weight = plan.weight(id);
    let mut out = vec![0.0; weight.rows * weight.cols];
    dequantize(weight.format, &weights[id.index()], &mut out)?;
    Ok(out)
}

fn rope_table(plan: &Plan, weights: &[Bytes], op: &Op) -> Result<Option<RopeTable>, Error> {
    let Op::Rope { rope, .. } = op else { return Ok(None) };
    let factors = rope.factors.map(|f| vector(plan, weights, f)).transpose()?;
    Ok(Some(RopeTable::new(rope, factors.as_deref())))
}

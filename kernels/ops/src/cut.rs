//! A plan cut into parts that run one after the other, each on a device of its own.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Batch, Error, ExecConfig, KvConfig, KvId, KvLayer, Op, Plan, Rope, Rows, Value, ValueId, Weight, WeightId,
};

/// Some consecutive ops of a plan, as a plan of their own: its inputs are what they need of the parts before.
#[derive(Clone, Debug)]
pub struct Part {
    plan: Arc<Plan>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    weights: Vec<WeightId>,
    kv_groups: Vec<usize>,
}

impl Part {
    /// The part itself.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The whole plan's values that are the part's inputs, in their order.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The whole plan's values that are the part's outputs, in their order: what later parts read, and what the whole
    /// plan gives back.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The whole plan's weights that the part reads, in the order of its own.
    pub fn weights(&self) -> &[WeightId] {
        &self.weights
    }

    /// The whole plan's key-value groups that the part's stand for.
    pub fn kv_groups(&self) -> &[usize] {
        &self.kv_groups
    }

    /// The part's weights among those of the whole plan.
    pub fn data(&self, weights: &[Bytes]) -> Vec<Bytes> {
        self.weights.iter().map(|id| weights[id.0].clone()).collect()
    }

    /// What the part is set up for where the whole plan is set up for `config`, which has pages for each of its groups.
    pub fn config(&self, config: &ExecConfig) -> ExecConfig {
        let n_pages = self.kv_groups.iter().map(|&group| config.kv.n_pages[group]).collect();
        ExecConfig { kv: KvConfig { n_pages, ..config.kv.clone() }, ..config.clone() }
    }

    /// A batch of the whole plan, with the page tables of the part's groups.
    pub fn batch(&self, batch: &Batch) -> Batch {
        batch.with_groups(&self.kv_groups)
    }
}

impl Plan {
    /// Cuts the plan before each of the ops at `cuts`, which ascend; `cuts.len() + 1` parts.
    ///
    /// # Errors
    /// [`Error::Cut`] where `cuts` do not ascend or are beyond the ops, where a value with a row per output would have to
    /// be handed over (a plan's inputs have a row per token), or where a layer's keys are written in one part and read in
    /// another.
    pub fn cut(&self, cuts: &[usize]) -> Result<Vec<Part>, Error> {
        let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([self.ops.len()]).collect();
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] > pair[1]) {
            let reason = format!("cuts ascend and stay within {} ops, and {} follows it", self.ops.len(), pair[1]);
            return Err(Error::Cut { at: pair[0], reason });
        }
        let parts = bounds.windows(2).map(|pair| self.part(pair[0], pair[1])).collect::<Result<Vec<_>, _>>()?;
        self.check_layers(&bounds)?;
        Ok(parts)
    }

    /// The ops from `from` up to `to`.
    fn part(&self, from: usize, to: usize) -> Result<Part, Error> {
        let (ops, later) = (&self.ops[from..to], &self.ops[to..]);
        let written: Vec<ValueId> = ops.iter().filter_map(Op::writes).collect();
        let mut inputs: Vec<ValueId> = Vec::new();
        for id in ops.iter().flat_map(Op::reads) {
            if !written.contains(&id) && !inputs.contains(&id) {
                inputs.push(id);
            }
        }
        if let Some(id) = inputs.iter().find(|id| self.value(**id).rows == Rows::Outputs) {
            let reason = format!("value %{} has a row per output; cut before the rows are selected", id.0);
            return Err(Error::Cut { at: from, reason });
        }
        let is_wanted = |id: &ValueId| self.outputs.contains(id) || later.iter().any(|op| op.reads().any(|x| x == *id));
        let outputs: Vec<ValueId> = written.into_iter().filter(is_wanted).collect();

        let mut own = Own::default();
        let plan = Plan {
            inputs: inputs.iter().map(|&id| own.value(id)).collect(),
            ops: ops.iter().map(|op| own.op(op)).collect(),
            outputs: outputs.iter().map(|&id| own.value(id)).collect(),
            values: own.values.order.iter().map(|&id| *self.value(id)).collect::<Vec<Value>>(),
            weights: own.weights.order.iter().map(|&id| self.weight(id).clone()).collect::<Vec<Weight>>(),
            kv_layers: own.layers.order.iter().map(|&id| *self.kv_layer(id)).collect::<Vec<KvLayer>>(),
        };
        let whole = self.kv_groups();
        let group = |window| whole.iter().position(|group| group.window == window);
        let kv_groups = plan.kv_groups().iter().filter_map(|own| group(own.window)).collect();
        Ok(Part { plan: Arc::new(plan), inputs, outputs, weights: own.weights.order, kv_groups })
    }

    /// Checks that all ops on a layer's keys and values are in one part.
    fn check_layers(&self, bounds: &[usize]) -> Result<(), Error> {
        let mut part_of = HashMap::new();
        for (i, op) in self.ops.iter().enumerate() {
            let (Op::KvWrite { layer, .. } | Op::Attention { layer, .. }) = op else { continue };
            let part = bounds.iter().skip(1).position(|&end| i < end);
            if *part_of.entry(layer.0).or_insert(part) != part {
                let reason = format!("the keys and values of layer {} are written before and read after it", layer.0);
                return Err(Error::Cut { at: bounds[part.unwrap_or(0)], reason });
            }
        }
        Ok(())
    }
}

/// Ids in the order in which they were first met.
struct Ids<T> {
    order: Vec<T>,
    at: HashMap<T, usize>,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Ids { order: Vec::new(), at: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Ids<T> {
    fn number(&mut self, id: T) -> usize {
        *self.at.entry(id).or_insert_with(|| {
            self.order.push(id);
            self.order.len() - 1
        })
    }
}

/// The numbers that a part gives to the whole plan's values, weights and layers.
#[derive(Default)]
struct Own {
    values: Ids<ValueId>,
    weights: Ids<WeightId>,
    layers: Ids<KvId>,
}

impl Own {
    fn value(&mut self, id: ValueId) -> ValueId {
        ValueId(self.values.number(id))
    }

    fn weight(&mut self, id: WeightId) -> WeightId {
        WeightId(self.weights.number(id))
    }

    fn layer(&mut self, id: KvId) -> KvId {
        KvId(self.layers.number(id))
    }

    fn op(&mut self, op: &Op) -> Op {
        match *op {
            Op::Embed { table, out } => Op::Embed { table: self.weight(table), out: self.value(out) },
            Op::Select { x, out } => Op::Select { x: self.value(x), out: self.value(out) },
            Op::RmsNorm { x, weight, eps, out } => {
                Op::RmsNorm { x: self.value(x), weight: self.weight(weight), eps, out: self.value(out) }
            }
            Op::Linear { x, weight, bias, out } => Op::Linear {
                x: self.value(x),
                weight: self.weight(weight),
                bias: bias.map(|bias| self.weight(bias)),
                out: self.value(out),
            },
            Op::Route { logits, bias, routing, out } => Op::Route {
                logits: self.value(logits),
                bias: bias.map(|bias| self.weight(bias)),
                routing,
                out: self.value(out),
            },
            Op::ExpertLinear { x, chosen, weight, n_experts, out } => Op::ExpertLinear {
                x: self.value(x),
                chosen: self.value(chosen),
                weight: self.weight(weight),
                n_experts,
                out: self.value(out),
            },
            Op::ExpertSum { x, chosen, out } => {
                Op::ExpertSum { x: self.value(x), chosen: self.value(chosen), out: self.value(out) }
            }
            Op::HeadLinear { x, weight, n_heads, out } => {
                Op::HeadLinear { x: self.value(x), weight: self.weight(weight), n_heads, out: self.value(out) }
            }
            Op::HeadSlice { x, n_heads, start, out } => {
                Op::HeadSlice { x: self.value(x), n_heads, start, out: self.value(out) }
            }
            Op::HeadConcat { a, b, n_heads, out } => {
                Op::HeadConcat { a: self.value(a), b: self.value(b), n_heads, out: self.value(out) }
            }
            Op::Rope { x, head_dim, rope, out } => {
                let rope = Rope { factors: rope.factors.map(|factors| self.weight(factors)), ..rope };
                Op::Rope { x: self.value(x), head_dim, rope, out: self.value(out) }
            }
            Op::KvWrite { layer, k, v } => Op::KvWrite { layer: self.layer(layer), k: self.value(k), v: self.value(v) },
            Op::Attention { layer, q, scale, out } => {
                Op::Attention { layer: self.layer(layer), q: self.value(q), scale, out: self.value(out) }
            }
            Op::Gate { gate, up, activation, out } => {
                Op::Gate { gate: self.value(gate), up: self.value(up), activation, out: self.value(out) }
            }
            Op::Add { a, b, out } => Op::Add { a: self.value(a), b: self.value(b), out: self.value(out) },
            Op::Scale { x, factor, out } => Op::Scale { x: self.value(x), factor, out: self.value(out) },
            Op::SoftCap { x, cap, out } => Op::SoftCap { x: self.value(x), cap, out: self.value(out) },
        }
    }
}

#[cfg(test)]
mod tests {
    use silhak_quant::Format;

    use super::*;
    use crate::PlanBuilder;

    /// Two layers, the second with a window, between a table that also serves as the output matrix.
    fn plan() -> Plan {
        let p = PlanBuilder::new();
        let weight = |name: &str, rows| p.weight(Weight { name: name.into(), format: Format::F32, rows, cols: 4 });
        let table = weight("table", 9);
        let mut h = p.embed(table);
        for (i, window) in [None, Some(3)].into_iter().enumerate() {
            let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: 4, window });
            let k = p.linear(h, weight(&format!("k{i}"), 4));
            p.kv_write(layer, k, h);
            h = p.add(h, p.attention(layer, h, 1.0));
        }
        p.output(p.linear(p.select(h), table));
        p.finish().unwrap()
    }

    fn names(part: &Part) -> Vec<&str> {
        part.plan().weights().iter().map(|weight| weight.name.as_str()).collect()
    }

    #[test]
    fn parts_have_what_they_use_and_hand_over_the_residual() {
        // embed | linear kv_write attention add | linear kv_write attention add select linear
        let parts = plan().cut(&[1, 5]).unwrap();
        let sizes: Vec<_> = parts.iter().map(|part| (part.plan().ops().len(), part.kv_groups().to_vec())).collect();
        assert_eq!(sizes, [(1, vec![]), (4, vec![0]), (6, vec![1])]);
        assert_eq!(parts.iter().map(names).collect::<Vec<_>>(), [vec!["table"], vec!["k0"], vec!["k1", "table"]]);
        assert!(parts[0].inputs().is_empty());
        for pair in parts.windows(2) {
            assert_eq!((pair[0].outputs(), pair[0].outputs().len()), (pair[1].inputs(), 1));
        }
        assert_eq!(parts[2].outputs(), plan().outputs());
        assert_eq!(parts[2].plan().kv_layers()[0].window, Some(3));
        assert_eq!((parts[0].plan().n_vocab(), parts[2].plan().n_vocab()), (Some(9), None));
    }

    #[test]
    fn one_part_is_the_whole() {
        let (whole, parts) = (plan(), plan().cut(&[]).unwrap());
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].plan().to_string(), whole.to_string());
    }

    #[test]
    fn cuts_that_cannot_be_are_refused() {
        let refused = |cuts: &[usize]| plan().cut(cuts).unwrap_err().to_string();
        assert!(refused(&[5, 1]).contains("ascend"));
        assert!(refused(&[99]).contains("11 ops"));
        assert!(refused(&[10]).contains("before the rows are selected"));
        assert!(refused(&[3]).contains("keys and values of layer 0"));
    }
}

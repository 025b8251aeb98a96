//! Writes a plan in the order of the maths.

use std::cell::RefCell;
use std::ops::Range;

use crate::{Activation, Error, KvId, KvLayer, Op, Plan, Rope, Routing, Rows, Value, ValueId, Weight, WeightId};

/// Appends ops to a plan, and checks their shapes.
///
/// The methods take `&self` so that expressions nest: `p.add(h, p.linear(x, w))`. The first shape error is kept, and
/// [`PlanBuilder::finish`] returns it.
#[derive(Debug, Default)]
pub struct PlanBuilder {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    error: Option<Error>,
}

impl PlanBuilder {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plan, or the first error met while it was written.
    pub fn finish(self) -> Result<Plan, Error> {
        let State { plan, error } = self.state.into_inner();
        error.map_or(Ok(plan), Err)
    }

    /// Declares a weight. One tensor that serves twice (a tied embedding) is declared once.
    pub fn weight(&self, weight: Weight) -> WeightId {
        let checked = weight.bytes().map(|_| ());
        let mut state = self.state.borrow_mut();
        state.keep(checked);
        state.plan.weights.push(weight);
        WeightId(state.plan.weights.len() - 1)
    }

    /// Declares an attention layer's keys and values.
    pub fn kv_layer(&self, layer: KvLayer) -> KvId {
        let mut state = self.state.borrow_mut();
        state.plan.kv_layers.push(layer);
        KvId(state.plan.kv_layers.len() - 1)
    }

    /// A value that the caller provides with each batch: `[n_tokens, width]`.
    pub fn input(&self, width: usize) -> ValueId {
        let mut state = self.state.borrow_mut();
        let id = state.value(width, Rows::Tokens);
        state.plan.inputs.push(id);
        id
    }

    /// Values per row of a value.
    pub fn width(&self, x: ValueId) -> usize {
        self.state.borrow().plan.values[x.0].width
    }

    /// Marks a value that the caller gets back.
    pub fn output(&self, x: ValueId) {
        self.state.borrow_mut().plan.outputs.push(x);
    }

    /// The token embeddings of the batch: `[n_tokens, width]`.
    pub fn embed(&self, table: WeightId) -> ValueId {
        let mut state = self.state.borrow_mut();
        let cols = state.plan.weights[table.0].cols;
        let out = state.value(cols, Rows::Tokens);
        state.push(Op::Embed { table, out }, out)
    }

    /// The rows whose logits are wanted: `[n_outputs, width]`.
    pub fn select(&self, x: ValueId) -> ValueId {
        let mut state = self.state.borrow_mut();
        let width = state.plan.values[x.0].width;
        let out = state.value(width, Rows::Outputs);
        state.push(Op::Select { x, out }, out)
    }

    /// RMS norm over each run of the weight's length.
    pub fn rms_norm(&self, x: ValueId, weight: WeightId, eps: f32) -> ValueId {
        let mut state = self.state.borrow_mut();
        let (width, len) = (state.plan.values[x.0].width, state.plan.weights[weight.0].cols);
        state.expect(
            "rms_norm",
            Some(weight),
            "a divisor of the row's length",
            len,
            len > 0 && width.is_multiple_of(len),
        );
        let out = state.like(x);
        state.push(Op::RmsNorm { x, weight, eps, out }, out)
    }

    /// `x @ weight^T`.
    pub fn linear(&self, x: ValueId, weight: WeightId) -> ValueId {
        self.linear_with(x, weight, None)
    }

    /// `x @ weight^T + bias`, where there is a bias.
    pub fn linear_with(&self, x: ValueId, weight: WeightId, bias: Option<WeightId>) -> ValueId {
        let mut state = self.state.borrow_mut();
        let Value { width, rows } = state.plan.values[x.0];
        let (n_out, n_in) = (state.plan.weights[weight.0].rows, state.plan.weights[weight.0].cols);
        state.expect("linear", Some(weight), format!("rows of {width}"), n_in, n_in == width);
        if let Some(bias) = bias {
            let found = state.plan.weights[bias.0].cols;
            state.expect("linear", Some(bias), format!("{n_out} values"), found, found == n_out);
        }
        let out = state.value(n_out, rows);
        state.push(Op::Linear { x, weight, bias, out }, out)
    }

    /// The experts of each token, by the logits of a router; `bias` helps to choose them.
    pub fn route(&self, logits: ValueId, bias: Option<WeightId>, routing: Routing) -> ValueId {
        let mut state = self.state.borrow_mut();
        let Value { width: n_experts, rows } = state.plan.values[logits.0];
        let Routing { n_used, n_groups, n_used_groups, .. } = routing;
        let whole = n_groups > 0 && n_experts.is_multiple_of(n_groups) && (n_groups == 1 || n_experts / n_groups > 1);
        state.expect("route", None, "groups of as many experts, at least 2", format!("{n_experts}/{n_groups}"), whole);
        let enough = whole && (1..=n_groups).contains(&n_used_groups);
        state.expect("route", None, format!("1 to {n_groups} used groups"), n_used_groups, enough);
        let most = if enough { n_experts / n_groups * n_used_groups } else { n_experts };
        state.expect("route", None, format!("1 to {most} used experts"), n_used, (1..=most).contains(&n_used));
        if let Some(bias) = bias {
            let found = state.plan.weights[bias.0].cols;
            state.expect("route", Some(bias), format!("{n_experts} values"), found, found == n_experts);
        }
        let out = state.value(2 * n_used, rows);
        state.push(Op::Route { logits, bias, routing, out }, out)
    }

    /// `x @ weight[expert]^T` for each expert of a token, of the `n_experts` matrices in the weight.
    pub fn expert_linear(&self, x: ValueId, chosen: ValueId, weight: WeightId, n_experts: usize) -> ValueId {
        let mut state = self.state.borrow_mut();
        let (n_used, Value { width, rows }) = (state.plan.values[chosen.0].width / 2, state.plan.values[x.0]);
        let (n_rows, n_in) = (state.plan.weights[weight.0].rows, state.plan.weights[weight.0].cols);
        let fits = width == n_in || width == n_used * n_in;
        state.expect("expert_linear", Some(weight), format!("rows of {width} or {width}/{n_used}"), n_in, fits);
        let whole = n_experts > 0 && n_rows.is_multiple_of(n_experts);
        state.expect("expert_linear", Some(weight), format!("{n_experts} matrices"), format!("{n_rows} rows"), whole);
        let out = state.value(n_used * (n_rows / n_experts.max(1)), rows);
        state.push(Op::ExpertLinear { x, chosen, weight, n_experts, out }, out)
    }

    /// What the experts of a token say, by their weights.
    pub fn expert_sum(&self, x: ValueId, chosen: ValueId) -> ValueId {
        let mut state = self.state.borrow_mut();
        let (n_used, Value { width, rows }) = (state.plan.values[chosen.0].width / 2, state.plan.values[x.0]);
        let whole = n_used > 0 && width.is_multiple_of(n_used);
        state.expect("expert_sum", None, format!("{n_used} parts"), format!("rows of {width}"), whole);
        let out = state.value(width / n_used.max(1), rows);
        state.push(Op::ExpertSum { x, chosen, out }, out)
    }

    /// `x @ weight[head]^T` for each head, of the `n_heads` matrices in the weight.
    pub fn head_linear(&self, x: ValueId, weight: WeightId, n_heads: usize) -> ValueId {
        let mut state = self.state.borrow_mut();
        let Value { width, rows } = state.plan.values[x.0];
        let (n_rows, n_in) = (state.plan.weights[weight.0].rows, state.plan.weights[weight.0].cols);
        state.expect("head_linear", Some(weight), format!("{n_heads} parts of {width}"), n_in, width == n_heads * n_in);
        let whole = n_heads > 0 && n_rows.is_multiple_of(n_heads);
        state.expect("head_linear", Some(weight), format!("{n_heads} matrices"), format!("{n_rows} rows"), whole);
        let out = state.value(n_rows, rows);
        state.push(Op::HeadLinear { x, weight, n_heads, out }, out)
    }

    /// Some values of each of `n_heads` heads.
    pub fn head_slice(&self, x: ValueId, n_heads: usize, range: Range<usize>) -> ValueId {
        let mut state = self.state.borrow_mut();
        let Value { width, rows } = state.plan.values[x.0];
        let whole = n_heads > 0 && width.is_multiple_of(n_heads);
        state.expect("head_slice", None, format!("{n_heads} heads"), format!("rows of {width}"), whole);
        let fits = whole && range.start < range.end && range.end <= width / n_heads;
        state.expect("head_slice", None, format!("some of {width}/{n_heads} values"), format!("{range:?}"), fits);
        let out = state.value(n_heads * range.len(), rows);
        state.push(Op::HeadSlice { x, n_heads, start: range.start, out }, out)
    }

    /// The values of each of `n_heads` heads of `b` behind those of `a`.
    pub fn head_concat(&self, a: ValueId, b: ValueId, n_heads: usize) -> ValueId {
        let mut state = self.state.borrow_mut();
        let [of_a, of_b] = [a, b].map(|id| state.plan.values[id.0]);
        let whole = |value: Value| n_heads > 0 && value.width.is_multiple_of(n_heads) && value.rows == of_a.rows;
        let fits = whole(of_a) && whole(of_b);
        state.expect("head_concat", None, format!("{n_heads} heads of both"), format!("{of_a:?}, {of_b:?}"), fits);
        let out = state.value(of_a.width + of_b.width, of_a.rows);
        state.push(Op::HeadConcat { a, b, n_heads, out }, out)
    }

    /// Rotates each head of `head_dim` values by its token's position.
    pub fn rope(&self, x: ValueId, head_dim: usize, rope: &Rope) -> ValueId {
        let mut state = self.state.borrow_mut();
        let width = state.plan.values[x.0].width;
        let whole = head_dim > 0 && width.is_multiple_of(head_dim);
        state.expect("rope", None, format!("whole heads of {head_dim}"), width, whole);
        let fits = rope.n_rot <= head_dim && rope.n_rot.is_multiple_of(2);
        state.expect("rope", None, format!("an even n_rot of at most {head_dim}"), rope.n_rot, fits);
        if let Some(factors) = rope.factors {
            let found = state.plan.weights[factors.0].cols;
            state.expect("rope", Some(factors), format!("{} factors", rope.n_rot / 2), found, found == rope.n_rot / 2);
        }
        let out = state.like(x);
        state.push(Op::Rope { x, head_dim, rope: *rope, out }, out)
    }

    /// Stores the batch's keys and values.
    pub fn kv_write(&self, layer: KvId, k: ValueId, v: ValueId) {
        let mut state = self.state.borrow_mut();
        let width = state.plan.kv_layers[layer.0].width();
        for x in [k, v] {
            let found = state.plan.values[x.0].width;
            state.expect("kv_write", None, format!("rows of {width}"), found, found == width);
        }
        state.plan.ops.push(Op::KvWrite { layer, k, v });
    }

    /// Attention of `q` over the stored keys and values of its sequence.
    pub fn attention(&self, layer: KvId, q: ValueId, scale: f32) -> ValueId {
        let mut state = self.state.borrow_mut();
        let (kv, width) = (state.plan.kv_layers[layer.0], state.plan.values[q.0].width);
        let whole = kv.width() > 0 && width.is_multiple_of(kv.width());
        state.expect("attention", None, format!("query heads in groups of {}", kv.width()), width, whole);
        let out = state.like(q);
        state.push(Op::Attention { layer, q, scale, out }, out)
    }

    /// `activation(gate) * up`.
    pub fn gate(&self, gate: ValueId, up: ValueId, activation: Activation) -> ValueId {
        let mut state = self.state.borrow_mut();
        state.same_shape("gate", gate, up);
        let out = state.like(gate);
        state.push(Op::Gate { gate, up, activation, out }, out)
    }

    /// `a + b`.
    pub fn add(&self, a: ValueId, b: ValueId) -> ValueId {
        let mut state = self.state.borrow_mut();
        state.same_shape("add", a, b);
        let out = state.like(a);
        state.push(Op::Add { a, b, out }, out)
    }

    /// `factor * x`.
    pub fn scale(&self, x: ValueId, factor: f32) -> ValueId {
        let mut state = self.state.borrow_mut();
        let out = state.like(x);
        state.push(Op::Scale { x, factor, out }, out)
    }

    /// `cap * tanh(x / cap)`.
    pub fn soft_cap(&self, x: ValueId, cap: f32) -> ValueId {
        let mut state = self.state.borrow_mut();
        let out = state.like(x);
        state.push(Op::SoftCap { x, cap, out }, out)
    }
}

impl State {
    fn value(&mut self, width: usize, rows: Rows) -> ValueId {
        self.plan.values.push(Value { width, rows });
        ValueId(self.plan.values.len() - 1)
    }

    fn like(&mut self, x: ValueId) -> ValueId {
        let Value { width, rows } = self.plan.values[x.0];
        self.value(width, rows)
    }

    fn push(&mut self, op: Op, out: ValueId) -> ValueId {
        self.plan.ops.push(op);
        out
    }

    fn keep(&mut self, checked: Result<(), Error>) {
        if let Err(error) = checked {
            self.error.get_or_insert(error);
        }
    }

    fn expect(
        &mut self,
        op: &str,
        weight: Option<WeightId>,
        expected: impl Into<String>,
        found: impl ToString,
        holds: bool,
    ) {
        if !holds {
            let op = weight.map_or(op.to_string(), |w| format!("{op} {}", self.plan.weights[w.0].name));
            self.keep(Err(Error::Shape { op, expected: expected.into(), found: found.to_string() }));
        }
    }

    fn same_shape(&mut self, op: &str, a: ValueId, b: ValueId) {
        let (a, b) = (self.plan.values[a.0], self.plan.values[b.0]);
        self.expect(op, None, format!("{a:?}"), format!("{b:?}"), a == b);
    }
}

#[cfg(test)]
mod tests {
    use silhak_quant::Format;

    use super::*;

    fn weight(rows: usize, cols: usize) -> Weight {
        Weight { name: "w".into(), format: Format::F32, rows, cols }
    }

    #[test]
    fn the_first_shape_error_is_returned() {
        let p = PlanBuilder::new();
        let x = p.input(8);
        let y = p.linear(x, p.weight(weight(4, 9)));
        p.output(p.add(x, y));
        let error = p.finish().unwrap_err().to_string();
        assert!(error.contains("linear w") && error.contains("rows of 8") && error.contains('9'), "{error}");
    }

    #[test]
    fn rows_of_broken_blocks_are_refused() {
        let p = PlanBuilder::new();
        p.weight(Weight { name: "w".into(), format: Format::Q4K, rows: 2, cols: 100 });
        assert!(p.finish().is_err());
    }
}

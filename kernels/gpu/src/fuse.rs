//! Ops that one kernel does together: fewer dispatches, and values that never leave the chip.
//!
//! A pass over the list of ops. A fused step stands where its first op stood, so whatever else it reads must have been
//! written before.

use std::collections::HashSet;

use silhak_ops::{Access, Activation, KvId, Op, Plan, Rope, ValueId, WeightId};
use silhak_quant::planar::GROUP;
use silhak_shaders::{Activations, Epilogue};

use crate::weights::shader_weights;
use crate::{Caps, policy};

/// Something that one kernel does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fused {
    /// An op on its own.
    Op(Op),
    /// An RMS norm whose result is only wanted in 8 bits.
    NormQuantized { x: ValueId, weight: WeightId, eps: f32, out: ValueId },
    /// A linear, and another value added to it.
    LinearAdd { x: ValueId, weight: WeightId, residual: ValueId, out: ValueId },
    /// Two or three linears of the same value, with weights of the same format.
    Linears { x: ValueId, parts: Vec<Part> },
    /// Two linears of the same value, the activation of one times the other; `quantized` where the result is only wanted
    /// in 8 bits.
    Gated { x: ValueId, gate: WeightId, up: WeightId, activation: Activation, out: ValueId, quantized: bool },
    /// Attention whose result is only wanted in 8 bits.
    AttentionQuantized { layer: KvId, q: ValueId, scale: f32, out: ValueId },
    /// The rotation of queries and keys, and the writing of keys and values.
    RopeKv { layer: KvId, q: ValueId, k: ValueId, v: ValueId, head_dim: usize, rope: Rope, out: ValueId },
}

/// One of several linears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) weight: WeightId,
    pub(crate) bias: Option<WeightId>,
    pub(crate) out: ValueId,
}

/// The steps of a plan.
pub(crate) fn fuse(plan: &Plan, caps: &Caps) -> Vec<Fused> {
    let fuser = Fuser::new(plan, caps);
    let mut done: HashSet<usize> = HashSet::new();
    let mut steps = Vec::new();
    for (i, op) in plan.ops().iter().enumerate() {
        if done.contains(&i) {
            continue;
        }
        let (step, also) = fuser.at(i, op);
        done.extend(also);
        steps.push(step);
    }
    steps
}

impl Fused {
    /// What it reads and writes.
    pub(crate) fn access(&self) -> Access {
        let (reads, writes) = match self {
            Fused::Op(op) => (op.reads().collect(), op.writes().into_iter().collect()),
            Fused::NormQuantized { x, .. } => (vec![*x], vec![]),
            Fused::AttentionQuantized { q, .. } => (vec![*q], vec![]),
            Fused::LinearAdd { x, residual, out, .. } => (vec![*x, *residual], vec![*out]),
            Fused::Linears { x, parts } => (vec![*x], parts.iter().map(|part| part.out).collect()),
            Fused::Gated { x, out, .. } => (vec![*x], vec![*out]),
            Fused::RopeKv { q, k, v, out, .. } => (vec![*q, *k, *v], vec![*out]),
        };
        Access { reads, writes }
    }
}

/// Where each value comes from and goes to.
struct Fuser<'a> {
    plan: &'a Plan,
    caps: &'a Caps,
    written: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
}

impl<'a> Fuser<'a> {
    fn new(plan: &'a Plan, caps: &'a Caps) -> Self {
        let n = plan.values().len();
        let (mut written, mut readers) = (vec![None; n], vec![Vec::new(); n]);
        for (i, op) in plan.ops().iter().enumerate() {
            op.reads().for_each(|id| readers[id.index()].push(i));
            op.writes().into_iter().for_each(|id| written[id.index()] = Some(i));
        }
        Fuser { plan, caps, written, readers }
    }

    /// The step that begins with op `i`, and the later ops that it does too.
    fn at(&self, i: usize, op: &Op) -> (Fused, Vec<usize>) {
        let fused = match *op {
            Op::RmsNorm { x, weight, eps, out } => self.norm_quantized(i, x, weight, eps, out),
            Op::Linear { x, weight, bias, out } => {
                let part = Part { weight, bias, out };
                self.gated(i, x, part).or_else(|| self.linear_add(i, x, part)).or_else(|| self.linears(i, x, part))
            }
            Op::Rope { .. } => self.rope_kv(i),
            Op::Attention { layer, q, scale, out } => self.attention_quantized(i, layer, q, scale, out),
            _ => None,
        };
        fused.unwrap_or_else(|| (Fused::Op(op.clone()), Vec::new()))
    }

    fn norm_quantized(
        &self,
        i: usize,
        x: ValueId,
        weight: WeightId,
        eps: f32,
        out: ValueId,
    ) -> Option<(Fused, Vec<usize>)> {
        let whole_row = self.plan.weight(weight).cols == self.plan.value(x).width;
        let fits = whole_row && self.is_only_in_8_bits(i, out);
        fits.then(|| (Fused::NormQuantized { x, weight, eps, out }, Vec::new()))
    }

    fn attention_quantized(
        &self,
        i: usize,
        layer: KvId,
        q: ValueId,
        scale: f32,
        out: ValueId,
    ) -> Option<(Fused, Vec<usize>)> {
        let whole_blocks = self.plan.kv_layer(layer).head_dim.is_multiple_of(GROUP);
        let fits = whole_blocks && self.is_only_in_8_bits(i, out);
        fits.then(|| (Fused::AttentionQuantized { layer, q, scale, out }, Vec::new()))
    }

    /// Whether a value that is written by op `i`, or in its place, is only read in 8 bits.
    fn is_only_in_8_bits(&self, i: usize, out: ValueId) -> bool {
        let readers = &self.readers[out.index()];
        let Some(&last) = readers.last() else { return false };
        let shape = self.plan.value(out);
        // The 8-bit form must last until it is read: another value of the same shape would take its place. And a kernel
        // cannot read one where it writes the other.
        let lasts = self.plan.ops()[i..=last].iter().all(|op| match *op {
            Op::Linear { x, .. } | Op::ExpertLinear { x, .. } | Op::HeadLinear { x, .. } => {
                x == out || self.plan.value(x) != shape
            }
            _ => true,
        });
        lasts && !self.is_output(out) && readers.iter().all(|&reader| self.is_a8(reader))
    }

    /// `activation(gate) * up`, where `part` is either of the two.
    fn gated(&self, i: usize, x: ValueId, part: Part) -> Option<(Fused, Vec<usize>)> {
        let at = self.only_reader(part.out)?;
        let Op::Gate { gate, up, activation, out } = self.plan.ops()[at] else { return None };
        let other = if part.out == gate { up } else { gate };
        let other_at = self.written[other.index()].filter(|_| self.only_reader(other) == Some(at))?;
        let Op::Linear { x: other_x, weight: other_weight, bias: None, .. } = self.plan.ops()[other_at] else {
            return None;
        };
        let (gate, up) = if part.out == gate { (part.weight, other_weight) } else { (other_weight, part.weight) };
        let fits = other_x == x
            && part.bias.is_none()
            && self.alike(gate, up)
            && self.plan.weight(gate).rows == self.plan.weight(up).rows
            && self.plan.weight(gate).rows.is_multiple_of(Epilogue::RUN);
        let rows = self.plan.weight(gate).rows;
        let quantized = fits && self.is_a8(other_at) && rows.is_multiple_of(GROUP) && self.is_only_in_8_bits(i, out);
        fits.then(|| (Fused::Gated { x, gate, up, activation, out, quantized }, vec![other_at, at]))
    }

    fn linear_add(&self, i: usize, x: ValueId, part: Part) -> Option<(Fused, Vec<usize>)> {
        let at = self.only_reader(part.out)?;
        let Op::Add { a, b, out } = self.plan.ops()[at] else { return None };
        let residual = if a == part.out { b } else { a };
        let fits = part.bias.is_none() && residual != part.out && self.is_written_before(residual, i);
        fits.then(|| (Fused::LinearAdd { x, weight: part.weight, residual, out }, vec![at]))
    }

    /// The other linears of `x` that can go along: at most two.
    fn linears(&self, i: usize, x: ValueId, part: Part) -> Option<(Fused, Vec<usize>)> {
        let (mut parts, mut also) = (vec![part], Vec::new());
        for &reader in &self.readers[x.index()] {
            let Op::Linear { weight, bias, out, .. } = self.plan.ops()[reader] else { continue };
            let other = Part { weight, bias, out };
            let is_fused_otherwise =
                self.gated(reader, x, other).is_some() || self.linear_add(reader, x, other).is_some();
            if reader > i && parts.len() < 3 && self.alike(weight, part.weight) && !is_fused_otherwise {
                parts.push(other);
                also.push(reader);
            }
        }
        let fits = parts.len() > 1 && self.fits_one_binding(&parts) && self.caps.max_bindings >= MOST_BINDINGS;
        fits.then_some((Fused::Linears { x, parts }, also))
    }

    fn rope_kv(&self, i: usize) -> Option<(Fused, Vec<usize>)> {
        let ops = self.plan.ops();
        let Op::Rope { x: k, head_dim, rope, out: turned_k } = ops[i] else { return None };
        let write_at = self.only_reader(turned_k)?;
        let Op::KvWrite { layer, k: written_k, v } = ops[write_at] else { return None };
        let attention = |op: &&Op| matches!(op, Op::Attention { layer: read, .. } if *read == layer);
        let Op::Attention { q: turned_q, .. } = ops.iter().find(attention)? else { return None };
        let q_at = self.written[turned_q.index()]?;
        let Op::Rope { x: q, head_dim: q_dim, rope: q_rope, out } = ops[q_at] else { return None };
        let fits = written_k == turned_k
            && q_at > i
            && (q_dim, q_rope) == (head_dim, rope)
            && head_dim.is_multiple_of(2)
            && self.is_written_before(q, i)
            && self.is_written_before(v, i);
        fits.then_some((Fused::RopeKv { layer, q, k, v, head_dim, rope, out }, vec![write_at, q_at]))
    }

    /// The op that reads a value, where there is one alone and it is not an output of the plan.
    fn only_reader(&self, value: ValueId) -> Option<usize> {
        match self.readers[value.index()][..] {
            [reader] if !self.is_output(value) => Some(reader),
            _ => None,
        }
    }

    fn is_output(&self, value: ValueId) -> bool {
        self.plan.outputs().contains(&value)
    }

    fn is_written_before(&self, value: ValueId, i: usize) -> bool {
        self.written[value.index()].map_or(self.plan.inputs().contains(&value), |at| at < i)
    }

    /// Whether op `i` is a linear that takes 8-bit activations.
    fn is_a8(&self, i: usize) -> bool {
        let Op::Linear { weight, .. } = self.plan.ops()[i] else { return false };
        let weight = self.plan.weight(weight);
        policy::activations(shader_weights(weight.format), weight.cols as u32, self.caps) == Activations::A8
    }

    fn alike(&self, a: WeightId, b: WeightId) -> bool {
        self.plan.weight(a).format == self.plan.weight(b).format
    }

    /// Whether no plane of the weights together is larger than a binding.
    fn fits_one_binding(&self, parts: &[Part]) -> bool {
        let bytes = |part: &Part| self.plan.weight(part.weight).bytes().unwrap_or(usize::MAX);
        let total = parts.iter().map(bytes).fold(0, usize::saturating_add);
        total as u64 <= self.caps.max_binding
    }
}

/// Storage buffers of the kernel that has most of them, with the batch's.
const MOST_BINDINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use silhak_ops::{KvLayer, Pairing, PlanBuilder, RopeScaling, Weight};
    use silhak_quant::Format;

    use super::*;

    /// A llama layer, its values in `v_format`.
    fn layer(v_format: Format) -> Plan {
        layer_of(v_format, 512)
    }

    fn layer_of(v_format: Format, n_ff: usize) -> Plan {
        let p = PlanBuilder::new();
        let matrix = |rows, format| p.weight(Weight { name: "w".into(), format, rows, cols: 256 });
        let vector = || p.weight(Weight { name: "norm".into(), format: Format::F32, rows: 1, cols: 256 });
        let rope = Rope { n_rot: 64, pairing: Pairing::Halves, base: 1e4, scaling: RopeScaling::None, factors: None };
        let h = p.input(256);
        let x = p.rms_norm(h, vector(), 1e-5);
        let q = p.linear(x, matrix(256, Format::Q4K));
        let k = p.linear(x, matrix(64, Format::Q4K));
        let v = p.linear(x, matrix(64, v_format));
        let kv = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: 64, window: None });
        p.kv_write(kv, p.rope(k, 64, &rope), v);
        let x = p.attention(kv, p.rope(q, 64, &rope), 0.125);
        let h = p.add(h, p.linear(x, matrix(256, Format::Q4K)));
        let x = p.rms_norm(h, vector(), 1e-5);
        let (gate, up) = (p.linear(x, matrix(n_ff, Format::Q4K)), p.linear(x, matrix(n_ff, Format::Q4K)));
        let x = p.gate(gate, up, Activation::Silu);
        let down = p.weight(Weight { name: "w".into(), format: Format::Q4K, rows: 256, cols: n_ff });
        p.output(p.add(h, p.linear(x, down)));
        p.finish().unwrap()
    }

    fn names(steps: &[Fused]) -> Vec<&'static str> {
        let name = |step: &Fused| match step {
            Fused::Op(op) => op.name(),
            Fused::NormQuantized { .. } => "norm_quantized",
            Fused::LinearAdd { .. } => "linear_add",
            Fused::Linears { parts, .. } => ["", "", "two_linears", "three_linears"][parts.len()],
            Fused::Gated { quantized, .. } => ["gated", "gated_quantized"][usize::from(*quantized)],
            Fused::AttentionQuantized { .. } => "attention_quantized",
            Fused::RopeKv { .. } => "rope_kv",
        };
        steps.iter().map(name).collect()
    }

    #[test]
    fn a_dense_layer_is_eight_steps() {
        let steps = fuse(&layer(Format::Q4K), &Caps::example());
        assert_eq!(
            names(&steps),
            [
                "norm_quantized",
                "three_linears",
                "rope_kv",
                "attention_quantized",
                "linear_add",
                "norm_quantized",
                "gated_quantized",
                "linear_add"
            ]
        );
        let mixed = names(&fuse(&layer(Format::Q6K), &Caps::example()));
        assert_eq!(mixed[1..3], ["two_linears", "linear"]);
    }

    #[test]
    fn what_a_device_lacks_is_not_fused() {
        let floats = names(&fuse(&layer(Format::Q4K), &Caps { packed_dot: false, ..Caps::example() }));
        assert_eq!(floats[0], "rms_norm");
        assert!(floats.contains(&"gated") && floats.contains(&"attention"));
        let few = names(&fuse(&layer(Format::Q4K), &Caps { max_bindings: 8, ..Caps::example() }));
        assert_eq!(few[1..4], ["linear", "linear", "linear"]);
    }

    /// The 8-bit forms of `x` and of the gate's result would be one buffer.
    #[test]
    fn a_gate_as_wide_as_its_input_is_not_made_8_bits_at_once() {
        let steps = names(&fuse(&layer_of(Format::Q4K, 256), &Caps::example()));
        assert!(steps.contains(&"gated") && !steps.contains(&"gated_quantized"), "{steps:?}");
    }

    #[test]
    fn every_value_that_is_read_was_written() {
        for v_format in [Format::Q4K, Format::Q6K, Format::F16] {
            let plan = layer(v_format);
            let mut there: HashSet<ValueId> = plan.inputs().iter().copied().collect();
            for step in fuse(&plan, &Caps::example()) {
                let Access { reads, writes } = step.access();
                let in_8_bits = match step {
                    Fused::NormQuantized { out, .. } | Fused::AttentionQuantized { out, .. } => Some(out),
                    _ => None,
                };
                assert!(reads.iter().all(|value| there.contains(value)), "{step:?}");
                there.extend(writes.into_iter().chain(in_8_bits));
            }
            assert!(plan.outputs().iter().all(|value| there.contains(value)));
        }
    }
}

//! Plans as text, one op a line.

use std::fmt;

use crate::{Op, Plan, Routing, ValueId};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in &self.inputs {
            writeln!(f, "{} = input", self.typed(*id))?;
        }
        for op in &self.ops {
            if let Some(out) = op.writes() {
                write!(f, "{} = ", self.typed(out))?;
            }
            write!(f, "{}", op.name())?;
            for id in op.reads() {
                write!(f, " %{}", id.0)?;
            }
            self.write_details(f, op)?;
            writeln!(f)?;
        }
        for id in &self.outputs {
            writeln!(f, "output %{}", id.0)?;
        }
        Ok(())
    }
}

impl Plan {
    fn typed(&self, id: ValueId) -> String {
        format!("%{}[{}]", id.0, self.values[id.0].width)
    }

    fn write_details(&self, f: &mut fmt::Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Embed { table: w, .. } => write!(f, " {}:{}", self.weight(*w).name, self.weight(*w).format),
            Op::RmsNorm { weight, eps, .. } => write!(f, " {} eps={eps:e}", self.weight(*weight).name),
            Op::Linear { weight, bias, .. } => {
                let w = self.weight(*weight);
                write!(f, " {}:{}", w.name, w.format)?;
                bias.map_or(Ok(()), |b| write!(f, " + {}", self.weight(b).name))
            }
            Op::Route { bias, routing: Routing { n_used, n_groups, n_used_groups, normalize, scale }, .. } => {
                bias.map_or(Ok(()), |b| write!(f, " + {}", self.weight(b).name))?;
                write!(f, " n_used={n_used} groups={n_used_groups}/{n_groups} normalize={normalize} scale={scale}")
            }
            Op::ExpertLinear { weight, n_experts, .. } => {
                let w = self.weight(*weight);
                write!(f, " {}:{} n_experts={n_experts}", w.name, w.format)
            }
            Op::HeadLinear { weight, n_heads, .. } => {
                let w = self.weight(*weight);
                write!(f, " {}:{} n_heads={n_heads}", w.name, w.format)
            }
            Op::HeadSlice { n_heads, start, .. } => write!(f, " n_heads={n_heads} start={start}"),
            Op::HeadConcat { n_heads, .. } => write!(f, " n_heads={n_heads}"),
            Op::Rope { head_dim, rope, .. } => {
                write!(f, " head_dim={head_dim} n_rot={} {:?} base={}", rope.n_rot, rope.pairing, rope.base)
            }
            Op::KvWrite { layer, .. } => write!(f, " kv{}", layer.0),
            Op::Attention { layer, scale, .. } => {
                let kv = self.kv_layer(*layer);
                write!(f, " kv{} n_kv_heads={} head_dim={} scale={scale}", layer.0, kv.n_kv_heads, kv.head_dim)?;
                kv.window.map_or(Ok(()), |w| write!(f, " window={w}"))
            }
            Op::Gate { activation, .. } => write!(f, " {activation:?}"),
            Op::Scale { factor, .. } => write!(f, " factor={factor}"),
            Op::SoftCap { cap, .. } => write!(f, " cap={cap}"),
            Op::Select { .. } | Op::ExpertSum { .. } | Op::Add { .. } => Ok(()),
        }
    }
}

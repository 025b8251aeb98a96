//! Which part of a model goes to a GPU: whole transformer blocks, as many as fit.

use std::fmt;
use std::str::FromStr;

use silhak_ops::Plan;

use crate::Error;

/// How many transformer blocks are wanted on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuLayers {
    /// As many as fit.
    #[default]
    Auto,
    /// All of them.
    All,
    /// This many, and no fewer.
    Exactly(usize),
}

impl fmt::Display for GpuLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GpuLayers::Auto => f.write_str("auto"),
            GpuLayers::All => f.write_str("all"),
            GpuLayers::Exactly(n) => write!(f, "{n}"),
        }
    }
}

impl FromStr for GpuLayers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(GpuLayers::Auto),
            "all" => Ok(GpuLayers::All),
            n => n.parse().map(GpuLayers::Exactly).map_err(|_| Error::GpuLayers { found: text.into() }),
        }
    }
}

/// What a GPU takes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// All of it.
    Whole,
    /// The last so many blocks, at least one, and the output matrix, which is read as often as they are. The embedding,
    /// of which a token needs a single row, stays on the CPU with the other blocks.
    Last(usize),
}

impl Offload {
    /// What could be done for `wanted`, from the most to the least; nothing where no block is wanted.
    pub fn choices(wanted: GpuLayers, n_blocks: usize) -> impl Iterator<Item = Offload> {
        let (most, least) = match wanted {
            GpuLayers::Auto => (n_blocks, 1),
            GpuLayers::All => (n_blocks, n_blocks.max(1)),
            GpuLayers::Exactly(n) => (n.min(n_blocks), n.min(n_blocks).max(1)),
        };
        let is_none = wanted == GpuLayers::Exactly(0);
        let whole = (most == n_blocks && !is_none).then_some(Offload::Whole);
        whole.into_iter().chain((least..=most).rev().map(Offload::Last))
    }

    /// Blocks on the GPU, of `n_blocks`.
    pub fn n_layers(self, n_blocks: usize) -> usize {
        match self {
            Offload::Whole => n_blocks,
            Offload::Last(n) => n,
        }
    }
}

/// Where the transformer blocks of a plan begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    starts: Vec<usize>,
}

impl Blocks {
    /// Finds the blocks of a plan by the names of the weights that its ops read: `blk.{i}.*`.
    pub fn of(plan: &Plan) -> Self {
        let (mut starts, mut last) = (Vec::new(), None);
        for (i, op) in plan.ops().iter().enumerate() {
            let block = op.weights().find_map(|id| block(&plan.weight(id).name));
            if block.is_some() && block != last {
                starts.push(i);
                last = block;
            }
        }
        Blocks { starts }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The op before which the plan is cut, so that the GPU has what comes after; `None` where it has all.
    pub fn cut(&self, offload: Offload) -> Option<usize> {
        match offload {
            Offload::Whole => None,
            Offload::Last(n) => self.starts.get(self.len().saturating_sub(n)).copied(),
        }
    }
}

fn block(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use silhak_ops::{PlanBuilder, Weight};
    use silhak_quant::Format;

    use super::*;

    fn choices(wanted: GpuLayers) -> Vec<Offload> {
        Offload::choices(wanted, 3).collect()
    }

    #[test]
    fn choices_go_from_much_to_little() {
        use Offload::{Last, Whole};
        assert_eq!(choices(GpuLayers::Auto), [Whole, Last(3), Last(2), Last(1)]);
        assert_eq!(choices(GpuLayers::All), [Whole, Last(3)]);
        assert_eq!(choices(GpuLayers::Exactly(2)), [Last(2)]);
        assert_eq!(choices(GpuLayers::Exactly(7)), [Whole, Last(3)]);
        assert_eq!(choices(GpuLayers::Exactly(0)), []);
        assert_eq!(Offload::choices(GpuLayers::All, 0).collect::<Vec<_>>(), [Whole]);
    }

    #[test]
    fn blocks_begin_where_their_first_weight_is_read() {
        let p = PlanBuilder::new();
        let weight = |name: &str| p.weight(Weight { name: name.into(), format: Format::F32, rows: 1, cols: 1 });
        let mut h = p.scale(p.embed(weight("token_embd.weight")), 2.0);
        for i in [0, 1, 10] {
            let x = p.rms_norm(h, weight(&format!("blk.{i}.attn_norm.weight")), 1e-5);
            h = p.add(h, p.linear(p.scale(x, 3.0), weight(&format!("blk.{i}.attn_q.weight"))));
        }
        p.output(p.rms_norm(h, weight("output_norm.weight"), 1e-5));
        let plan = p.finish().unwrap();
        let blocks = Blocks::of(&plan);
        assert_eq!(blocks, Blocks { starts: vec![2, 6, 10] });
        assert_eq!([1, 3].map(|n| blocks.cut(Offload::Last(n))), [Some(10), Some(2)]);
        assert_eq!(blocks.cut(Offload::Whole), None);
        assert!(plan.cut(&blocks.starts).unwrap().iter().skip(1).all(|part| part.inputs().len() == 1));
    }

    #[test]
    fn numbers_of_layers_are_read_as_they_are_written() {
        for wanted in [GpuLayers::Auto, GpuLayers::All, GpuLayers::Exactly(12)] {
            assert_eq!(wanted.to_string().parse::<GpuLayers>().unwrap(), wanted);
        }
        assert!("-1".parse::<GpuLayers>().unwrap_err().to_string().contains("'-1'"));
    }
}

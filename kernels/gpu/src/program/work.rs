//! Which kernel a step runs, and how many workgroups of it: from the sizes of a batch.

use silhak_ops::Rows;
use silhak_quant::planar::GROUP;
use silhak_shaders::{Activation, Activations, Epilogue, Form, Kv, Shader, Weights};

use crate::batch_words::Tiling;
use crate::{Caps, policy};

/// Threads of a workgroup of the ops on each value alone.
pub(super) const ELEMENT_THREADS: u32 = 256;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    /// A chunk of a weight times activations.
    Linear { weights: Weights, activations: Activations, epilogue: Epilogue, shape: Shape, form: Form, rows: Rows },
    /// So many workgroups for each row of a value.
    PerRow { shader: Shader, groups: u32, rows: Rows },
    /// So many workgroups for each of so many parts of each row of a value.
    PerPart { shader: Shader, groups: u32, n_parts: u32, rows: Rows },
    /// A workgroup for each row of a value, in x.
    RowGroups { shader: Shader, rows: Rows },
    /// A thread for each value.
    Elements { shader: Shader, width: u32, rows: Rows },
    /// Attention, by tiles and splits.
    Attention { kv: Kv, head_pairs: u32, heads_per_kv: u32, n_kv_heads: u32, quantized: bool },
    /// The splits put together, where there are any.
    Merge { n_heads: u32, head_pairs: u32, quantized: bool },
    /// A chunk of a gate and its other half times few rows of activations, in 8 bits.
    GatedFew { weights: Weights, activation: Activation, shape: Shape, form: Form, rows: Rows },
    /// What [`Work::GatedFew`] leaves to others: so many workgroups for each of many rows, and of few where it does nothing.
    PerManyRows { shader: Shader, groups: u32, rows: Rows, also_few: bool },
    /// Likewise: a chunk of a gate and its other half times rows of activations.
    GatedMany { weights: Weights, activation: Activation, shape: Shape, form: Form, rows: Rows, also_few: bool },
}

/// Of a chunk of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) n_rows: u32,
    /// Groups of 32 values per row.
    pub(crate) n_groups: u32,
}

/// The sizes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) n_tokens: usize,
    pub(crate) n_outputs: usize,
    pub(crate) n_tiles: usize,
    pub(crate) tiling: Tiling,
}

impl Work {
    /// The kernel and its workgroups; none where there is nothing to do.
    pub(crate) fn dispatch(&self, sizes: &Sizes, caps: &Caps) -> Option<(Shader, [u32; 3])> {
        let (shader, [x, y, z]) = match *self {
            Work::Linear { weights, activations, epilogue, shape: Shape { n_rows, .. }, form, rows } => {
                let n = sizes.rows(rows);
                let shader = policy::linear(weights, activations, epilogue, n, form, caps);
                if let Some((tile_rows, tile_columns)) = shader.tile() {
                    (shader, [n_rows.div_ceil(tile_rows), (n as u32).div_ceil(tile_columns), 1])
                } else {
                    (shader, if n == 0 { [0; 3] } else { grid(n_rows.div_ceil(form.rows), caps) })
                }
            }
            Work::PerRow { shader, groups, rows } => (shader, [groups, sizes.rows(rows) as u32, 1]),
            Work::PerPart { shader, groups, n_parts, rows } => {
                let [y, z, _] = grid(n_parts * sizes.rows(rows) as u32, caps);
                (shader, [groups, if sizes.rows(rows) == 0 { 0 } else { y }, z])
            }
            Work::RowGroups { shader, rows } => (shader, [sizes.rows(rows) as u32, 1, 1]),
            Work::Elements { shader, width, rows } => {
                let n_groups = (u64::from(width) * sizes.rows(rows) as u64).div_ceil(u64::from(ELEMENT_THREADS)) as u32;
                let x = n_groups.min(caps.max_workgroups);
                (shader, [x, n_groups.div_ceil(x.max(1)), 1])
            }
            Work::Attention { kv, head_pairs, heads_per_kv, n_kv_heads, quantized } => {
                let Tiling { tile_tokens, n_splits } = sizes.tiling;
                if sizes.n_tokens <= policy::FEW && policy::decodes(head_pairs) {
                    let queries = policy::decode_queries(heads_per_kv, head_pairs, n_splits);
                    let shader = Shader::Decode { kv, queries, head_pairs, quantized };
                    let blocks = heads_per_kv.div_ceil(queries);
                    return Some((shader, [sizes.n_tokens as u32, n_kv_heads * blocks, n_splits as u32]));
                }
                let n_queries = heads_per_kv as usize * tile_tokens;
                let queries = policy::queries(n_queries, head_pairs);
                let blocks = (n_queries as u32).div_ceil(queries);
                let shader = Shader::Attention { kv, queries, head_pairs, quantized };
                (shader, [sizes.n_tiles as u32, n_kv_heads * blocks, n_splits as u32])
            }
            Work::Merge { n_heads, head_pairs, quantized } => {
                let n = if sizes.tiling.n_splits > 1 { sizes.n_tokens as u32 } else { 0 };
                (Shader::Merge { head_pairs, quantized }, [n_heads, n, 1])
            }
            Work::GatedFew { weights, activation, shape: Shape { n_rows, .. }, form, rows } => {
                let n = sizes.rows(rows);
                let shader = Shader::GatedQuantized { weights, activation, form, columns: policy::columns(n) };
                let n_blocks = n_rows / 2 / GROUP as u32;
                let is_for_others = n > policy::FEW || n == 0 || form == Form::NONE;
                (shader, if is_for_others { [0; 3] } else { grid(n_blocks, caps) })
            }
            Work::PerManyRows { shader, groups, rows, also_few } => {
                let n = sizes.rows(rows);
                (shader, [groups, if also_few || n > policy::FEW { n as u32 } else { 0 }, 1])
            }
            Work::GatedMany { weights, activation, shape, form, rows, also_few } => {
                let (activations, epilogue) = (Activations::A8, Epilogue::Gate(activation));
                let work = Work::Linear { weights, activations, epilogue, shape, form, rows };
                return if also_few || sizes.rows(rows) > policy::FEW { work.dispatch(sizes, caps) } else { None };
            }
        };
        (x > 0 && y > 0 && z > 0).then_some((shader, [x, y, z]))
    }

    /// Changes the form; it must be one of [`Work::forms`].
    pub(crate) fn set_form(&mut self, new: Form) {
        if let Work::Linear { form, .. } | Work::GatedFew { form, .. } | Work::GatedMany { form, .. } = self {
            *form = new;
        }
    }

    /// Lets it take few rows too.
    pub(crate) fn take_few(&mut self) {
        if let Work::PerManyRows { also_few, .. } | Work::GatedMany { also_few, .. } = self {
            *also_few = true;
        }
    }

    /// The forms that it may have.
    pub(crate) fn forms(&self, caps: &Caps) -> Vec<Form> {
        match *self {
            Work::Linear { epilogue, shape, .. } => policy::forms(epilogue, shape.n_groups, caps),
            Work::GatedMany { activation, shape, .. } => {
                policy::forms(Epilogue::Gate(activation), shape.n_groups, caps)
            }
            Work::GatedFew { .. } => policy::gated_forms(caps),
            _ => Vec::new(),
        }
    }

    /// What forms are known by: the kernel and the shape.
    pub(crate) fn key(&self, caps: &Caps) -> Option<String> {
        let (Work::Linear { shape, .. } | Work::GatedFew { shape, .. } | Work::GatedMany { shape, .. }) = *self else {
            return None;
        };
        let mut plain = *self;
        plain.set_form(policy::FORM);
        Some(format!("{} {}x{}", plain.example(caps).name(), shape.n_rows, 32 * shape.n_groups))
    }

    /// A kernel of those that may run it.
    pub(super) fn example(&self, caps: &Caps) -> Shader {
        match *self {
            Work::Linear { weights, activations, epilogue, form, .. } => {
                policy::linear(weights, activations, epilogue, 1, form, caps)
            }
            Work::PerRow { shader, .. }
            | Work::PerPart { shader, .. }
            | Work::RowGroups { shader, .. }
            | Work::PerManyRows { shader, .. }
            | Work::Elements { shader, .. } => shader,
            Work::Attention { kv, head_pairs, quantized, .. } => {
                Shader::Attention { kv, queries: policy::queries(1, head_pairs), head_pairs, quantized }
            }
            Work::Merge { head_pairs, quantized, .. } => Shader::Merge { head_pairs, quantized },
            Work::GatedFew { weights, activation, form, .. } => {
                Shader::GatedQuantized { weights, activation, form, columns: 1 }
            }
            Work::GatedMany { weights, activation, form, .. } => {
                policy::linear(weights, Activations::A8, Epilogue::Gate(activation), 1, form, caps)
            }
        }
    }
}

impl Sizes {
    /// Those of decoding for one user.
    pub(crate) const ONE_TOKEN: Sizes =
        Sizes { n_tokens: 1, n_outputs: 1, n_tiles: 1, tiling: Tiling { tile_tokens: 1, n_splits: 1 } };

    fn rows(&self, rows: Rows) -> usize {
        match rows {
            Rows::Tokens => self.n_tokens,
            Rows::Outputs => self.n_outputs,
        }
    }
}

/// At least so many workgroups, in x and y where there are more than fit into one dimension.
fn grid(n: u32, caps: &Caps) -> [u32; 3] {
    let width = n.clamp(1, caps.max_workgroups);
    [width, n.div_ceil(width), 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(n_tokens: usize, n_outputs: usize) -> Sizes {
        Sizes { n_tokens, n_outputs, n_tiles: n_tokens, tiling: policy::tiling(n_tokens, 100, 4) }
    }

    #[test]
    fn every_row_has_a_workgroup() {
        let linear = |n_rows| Work::Linear {
            weights: Weights::Q4K,
            activations: Activations::A8,
            epilogue: Epilogue::Store,
            shape: Shape { n_rows, n_groups: 8 },
            form: Form { threads: 64, rows: 4 },
            rows: Rows::Outputs,
        };
        assert_eq!(linear(10).dispatch(&sizes(1, 1), &Caps::example()).unwrap().1, [3, 1, 1]);
        let [x, y, _] = linear(400_000).dispatch(&sizes(1, 1), &Caps::example()).unwrap().1;
        assert!(x <= 65535 && x * y >= 100_000);
        assert_eq!(linear(130).dispatch(&sizes(40, 33), &Caps::example()).unwrap().1, [3, 2, 1]);
        assert_eq!(linear(10).dispatch(&sizes(4, 0), &Caps::example()), None);
    }

    #[test]
    fn a_gate_is_one_kernel_or_two_for_a_token_and_two_for_many() {
        let (weights, activation, rows) = (Weights::Q4K, Activation::Silu, Rows::Tokens);
        let shape = Shape { n_rows: 128, n_groups: 8 };
        let mut few = Work::GatedFew { weights, activation, shape, form: policy::GATED_FORM, rows };
        let mut many = Work::GatedMany { weights, activation, shape, form: policy::FORM, rows, also_few: false };
        let runs = |work: &Work, n| work.dispatch(&sizes(n, n), &Caps::example()).is_some();
        assert!(runs(&few, 1) && !runs(&few, 9) && !runs(&many, 1) && runs(&many, 9));
        few.set_form(Form::NONE);
        many.take_few();
        assert!(!runs(&few, 1) && !runs(&few, 9) && runs(&many, 1) && runs(&many, 9));
        // Whatever is measured for a token runs.
        for work in [few, many] {
            for form in work.forms(&Caps::example()) {
                let mut formed = work;
                formed.set_form(form);
                assert_eq!(runs(&formed, 1), form != Form::NONE, "{formed:?}");
            }
        }
    }

    #[test]
    fn splits_are_merged_and_one_split_is_not() {
        let merge = Work::Merge { n_heads: 8, head_pairs: 32, quantized: true };
        assert_eq!(merge.dispatch(&sizes(1, 1), &Caps::example()), None);
        let split = Sizes { tiling: Tiling { tile_tokens: 1, n_splits: 4 }, ..sizes(2, 2) };
        assert_eq!(
            merge.dispatch(&split, &Caps::example()),
            Some((Shader::Merge { head_pairs: 32, quantized: true }, [8, 2, 1]))
        );
    }
}

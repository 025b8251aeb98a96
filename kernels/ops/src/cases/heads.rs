//! Ops on each head alone.

use silhak_quant::Format;

use super::{Case, Random, Step, plain_batch};
use crate::{PlanBuilder, Weight};

/// Linears of heads in every format, and heads cut and put together.
pub fn head_cases() -> Vec<Case> {
    let formats = Format::ALL.iter().enumerate();
    let linears =
        formats.flat_map(|(i, &format)| SHAPES.iter().map(move |&shape| linear_case(format, shape, i as u64)));
    linears.chain(cut_cases()).collect()
}

/// `(heads, rows of each, blocks per row, tokens)`: one token, few, many.
const SHAPES: &[(usize, usize, usize, usize)] = &[(3, 33, 2, 1), (4, 8, 1, 5), (2, 40, 2, 19)];

fn linear_case(format: Format, (n_heads, rows, n_blocks, n): (usize, usize, usize, usize), seed: u64) -> Case {
    let mut random = Random::new(10_000 + seed);
    let cols = if format.block_len() == 1 { 37 * n_blocks } else { format.block_len() * n_blocks };
    let p = PlanBuilder::new();
    let x = p.input(n_heads * cols);
    let weight = p.weight(Weight { name: "heads".into(), format, rows: n_heads * rows, cols });
    p.output(p.head_linear(x, weight, n_heads));
    let plan = p.finish().expect("the shapes of a case fit");
    let weights = vec![random.weights(format, n_heads * rows, cols)];
    let step = Step { batch: plain_batch(n), inputs: vec![random.activations(n * n_heads * cols)] };
    Case::without_kv(format!("linear of heads {format} {n_heads}x{rows}x{cols} n={n}"), plan, weights, vec![step])
}

/// The last values of each head before the first, and one head as wide as the row.
fn cut_cases() -> Vec<Case> {
    let case = |&(n_heads, dim, at, n): &(usize, usize, usize, usize)| {
        let mut random = Random::new(11_000 + n as u64);
        let p = PlanBuilder::new();
        let x = p.input(n_heads * dim);
        let (first, last) = (p.head_slice(x, n_heads, 0..at), p.head_slice(x, n_heads, at..dim));
        p.output(p.head_concat(last, first, n_heads));
        let plan = p.finish().expect("the shapes of a case fit");
        let step = Step { batch: plain_batch(n), inputs: vec![random.activations(n * n_heads * dim)] };
        Case::without_kv(format!("head_slice, head_concat {n_heads}x{dim} n={n}"), plan, Vec::new(), vec![step])
    };
    [(1, 37, 5, 1), (6, 24, 16, 3), (3, 48, 47, 17)].iter().map(case).collect()
}

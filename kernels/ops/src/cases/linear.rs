//! Matrix times activations: every format, at sizes that leave remainders everywhere.

use silhak_quant::Format;

use super::{Case, Random, Step, plain_batch};
use crate::{PlanBuilder, Weight};

/// `(rows, blocks per row, tokens, bias)`: one row, one block, odd rows, odd numbers of blocks and of tokens.
const SHAPES: &[(usize, usize, usize, bool)] = &[
    (1, 1, 1, false),
    (5, 3, 1, true),
    (64, 2, 1, false),
    (131, 5, 2, false),
    (33, 2, 3, true),
    (16, 4, 4, false),
    (40, 3, 7, true),
    (24, 2, 16, false),
    (67, 3, 33, false),
];

/// Every format with every shape.
pub fn linear_cases() -> Vec<Case> {
    let case = |(i, &format): (usize, &Format)| {
        let of_shape =
            move |(j, &shape): (usize, &(usize, usize, usize, bool))| linear_case(format, shape, (100 * i + j) as u64);
        SHAPES.iter().enumerate().map(of_shape).collect::<Vec<_>>()
    };
    Format::ALL.iter().enumerate().flat_map(case).chain(large_cases()).collect()
}

/// Activations that half floats cannot hold, beside some that they can.
fn large_cases() -> impl Iterator<Item = Case> {
    [Format::F16, Format::Q8_0, Format::Q4K].into_iter().enumerate().map(|(i, format)| {
        let mut case = linear_case(format, (70, 2, 20, false), 5000 + i as u64);
        case.name += " large";
        let x = &mut case.steps[0].inputs[0];
        let (n, half) = (x.len(), x.len() / 2);
        x[..half].iter_mut().for_each(|x| *x *= 3e5);
        x[n - 1] = 1e6;
        case
    })
}

fn linear_case(format: Format, (rows, n_blocks, n, bias): (usize, usize, usize, bool), seed: u64) -> Case {
    let mut random = Random::new(seed);
    // Floats come in "blocks" of one; 37 of them make rows that no vector length divides.
    let cols = if format.block_len() == 1 { 37 * n_blocks } else { format.block_len() * n_blocks };
    let p = PlanBuilder::new();
    let x = p.input(cols);
    let weight = p.weight(Weight { name: "weight".into(), format, rows, cols });
    let mut weights = vec![random.weights(format, rows, cols)];
    let bias = bias.then(|| {
        weights.push(random.weights(Format::F32, 1, rows));
        p.weight(Weight { name: "bias".into(), format: Format::F32, rows: 1, cols: rows })
    });
    p.output(p.linear_with(x, weight, bias));
    let plan = p.finish().expect("the shapes of a case fit");
    let step = Step { batch: plain_batch(n), inputs: vec![random.activations(n * cols)] };
    Case::without_kv(format!("linear {format} {rows}x{cols} n={n}"), plan, weights, vec![step])
}

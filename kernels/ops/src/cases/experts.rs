//! Mixtures of experts: the choice, the matrices that are chosen, and the sum.

use silhak_quant::Format;

use super::{Case, Random, Step, plain_batch};
use crate::{PlanBuilder, Routing, Weight};

/// The choice with and without groups and biases, and linears and sums of the chosen.
pub fn expert_cases() -> Vec<Case> {
    let formats = Format::ALL.iter().enumerate();
    let linears = formats.flat_map(|(i, &format)| SHAPES.iter().map(move |shape| linear_case(format, shape, i as u64)));
    route_cases().into_iter().chain(linears).chain(sum_cases()).collect()
}

/// `(experts, used, groups, used groups, bias, tokens)`.
const ROUTES: &[(usize, usize, usize, usize, bool, usize)] =
    &[(4, 1, 1, 1, false, 1), (128, 8, 1, 1, true, 5), (192, 8, 8, 4, true, 3), (65, 6, 1, 1, false, 33)];

fn route_cases() -> Vec<Case> {
    let case = |(i, &(n_experts, n_used, n_groups, n_used_groups, with_bias, n)): (usize, &(_, _, _, _, bool, _))| {
        let mut random = Random::new(7000 + i as u64);
        let p = PlanBuilder::new();
        let logits = p.input(n_experts);
        let bias =
            with_bias.then(|| p.weight(Weight { name: "bias".into(), format: Format::F32, rows: 1, cols: n_experts }));
        let routing = Routing { n_used, n_groups, n_used_groups, normalize: i % 2 == 1, scale: 2.5 };
        p.output(p.route(logits, bias, routing));
        let plan = p.finish().expect("the shapes of a case fit");
        let weights = bias.iter().map(|_| random.weights(Format::F32, 1, n_experts)).collect();
        // Logits far enough apart that rounding does not choose.
        let inputs = (0..n).flat_map(|_| shuffled(&mut random, n_experts)).collect();
        let step = Step { batch: plain_batch(n), inputs: vec![inputs] };
        let name = format!("route {n_used} of {n_experts}, {n_used_groups} of {n_groups} groups, n={n}");
        Case::without_kv(name, plan, weights, vec![step])
    };
    ROUTES.iter().enumerate().map(case).collect()
}

/// `n` numbers from -3 to 3 in an order of their own.
fn shuffled(random: &mut Random, n: usize) -> Vec<f32> {
    let mut values: Vec<f32> = (0..n).map(|i| 6.0 * i as f32 / n as f32 - 3.0).collect();
    (1..n).for_each(|i| values.swap(i, random.below(i + 1)));
    values
}

/// A linear of experts.
struct Shape {
    n_experts: usize,
    n_used: usize,
    /// Of each expert's matrix.
    rows: usize,
    n_blocks: usize,
    /// Whether all experts of a token take the same activations.
    shared: bool,
    tokens: usize,
}

/// One token; few; many, of which some experts have none and others more than a group of four.
const SHAPES: &[Shape] = &[
    Shape { n_experts: 4, n_used: 2, rows: 33, n_blocks: 2, shared: true, tokens: 1 },
    Shape { n_experts: 3, n_used: 3, rows: 8, n_blocks: 1, shared: false, tokens: 3 },
    Shape { n_experts: 7, n_used: 2, rows: 40, n_blocks: 2, shared: true, tokens: 19 },
    Shape { n_experts: 16, n_used: 1, rows: 67, n_blocks: 1, shared: false, tokens: 33 },
];

fn linear_case(format: Format, shape: &Shape, seed: u64) -> Case {
    let &Shape { n_experts, n_used, rows, n_blocks, shared, tokens } = shape;
    let mut random = Random::new(8000 + seed);
    let cols = if format.block_len() == 1 { 37 * n_blocks } else { format.block_len() * n_blocks };
    let p = PlanBuilder::new();
    let [chosen, x] = [2 * n_used, if shared { cols } else { n_used * cols }].map(|width| p.input(width));
    let weight = p.weight(Weight { name: "experts".into(), format, rows: n_experts * rows, cols });
    p.output(p.expert_linear(x, chosen, weight, n_experts));
    let plan = p.finish().expect("the shapes of a case fit");
    let weights = vec![random.weights(format, n_experts * rows, cols)];
    let chosen = chosen_experts(&mut random, n_experts, n_used, tokens);
    let x = random.activations(tokens * if shared { cols } else { n_used * cols });
    let step = Step { batch: plain_batch(tokens), inputs: vec![chosen, x] };
    let name = format!("linear of experts {format} {n_used}/{n_experts} {rows}x{cols} n={tokens}");
    Case::without_kv(name, plan, weights, vec![step])
}

fn sum_cases() -> Vec<Case> {
    let case = |&(n_used, width, n): &(usize, usize, usize)| {
        let mut random = Random::new(9000 + n as u64);
        let p = PlanBuilder::new();
        let (chosen, x) = (p.input(2 * n_used), p.input(n_used * width));
        p.output(p.expert_sum(x, chosen));
        let plan = p.finish().expect("the shapes of a case fit");
        let inputs = vec![chosen_experts(&mut random, 9, n_used, n), random.activations(n * n_used * width)];
        let step = Step { batch: plain_batch(n), inputs };
        Case::without_kv(format!("expert_sum {n_used}x{width} n={n}"), plan, Vec::new(), vec![step])
    };
    [(1, 7, 1), (8, 101, 2), (3, 64, 17)].iter().map(case).collect()
}

/// Experts of each token, no two the same, and their weights: `[n_tokens, 2 * n_used]`.
fn chosen_experts(random: &mut Random, n_experts: usize, n_used: usize, n_tokens: usize) -> Vec<f32> {
    let of_token = |random: &mut Random| {
        let first = random.below(n_experts);
        let experts: Vec<f32> = (0..n_used).map(|slot| ((first + slot) % n_experts) as f32).collect();
        let weights: Vec<f32> = (0..n_used).map(|_| random.uniform()).collect();
        [experts, weights].concat()
    };
    (0..n_tokens).flat_map(|_| of_token(random)).collect()
}

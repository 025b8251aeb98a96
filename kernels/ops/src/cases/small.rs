//! The ops that are neither a matmul nor attention.

use silhak_quant::Format;

use super::{Case, Random, Step, plain_batch};
use crate::{Activation, Batch, Pairing, PlanBuilder, Rope, RopeScaling, Weight};

fn f32_weight(name: &str, len: usize) -> Weight {
    Weight { name: name.into(), format: Format::F32, rows: 1, cols: len }
}

/// Token lookup from every format, then a choice of rows.
pub fn embed_cases() -> Vec<Case> {
    let case = |(i, &format): (usize, &Format)| {
        let mut random = Random::new(1000 + i as u64);
        let (n_vocab, cols) = (19, 2 * format.block_len().max(7));
        let p = PlanBuilder::new();
        let table = p.weight(Weight { name: "table".into(), format, rows: n_vocab, cols });
        let x = p.embed(table);
        p.output(x);
        p.output(p.select(x));
        let plan = p.finish().expect("the shapes of a case fit");
        let mut batch = Batch::new();
        let sequence = batch.add_sequence(Vec::new());
        for (i, token) in [18, 0, 7, 7, 3].into_iter().enumerate() {
            batch.add_token(sequence, token, i as u32, i % 2 == 1);
        }
        let weights = vec![random.weights(format, n_vocab, cols)];
        Case::without_kv(format!("embed {format}"), plan, weights, vec![Step { batch, inputs: Vec::new() }])
    };
    Format::ALL.iter().enumerate().map(case).collect()
}

/// Whole rows and single heads, at lengths that no vector divides.
pub fn rms_norm_cases() -> Vec<Case> {
    let case = |&(len, heads, n): &(usize, usize, usize)| {
        let mut random = Random::new(len as u64);
        let p = PlanBuilder::new();
        let x = p.input(len * heads);
        p.output(p.rms_norm(x, p.weight(f32_weight("norm", len)), 1e-6));
        let plan = p.finish().expect("the shapes of a case fit");
        let weights = vec![random.weights(Format::F32, 1, len)];
        let step = Step { batch: plain_batch(n), inputs: vec![random.activations(n * len * heads)] };
        Case::without_kv(format!("rms_norm {len}x{heads} n={n}"), plan, weights, vec![step])
    };
    [(1, 1, 1), (7, 1, 3), (64, 1, 1), (80, 5, 2), (576, 1, 2), (1023, 1, 5)].iter().map(case).collect()
}

/// Both pairings, part of a head, factors, and each scaling; positions near 0 and far out.
pub fn rope_cases() -> Vec<Case> {
    let yarn =
        RopeScaling::Yarn { factor: 4.0, original_ctx: 4096, beta_fast: 32.0, beta_slow: 1.0, attention_factor: 1.0 };
    let table = [
        (64, 64, Pairing::Adjacent, RopeScaling::None, false),
        (64, 64, Pairing::Halves, RopeScaling::None, false),
        (80, 80, Pairing::Halves, RopeScaling::None, true),
        (80, 32, Pairing::Halves, RopeScaling::Linear { factor: 8.0 }, false),
        (20, 12, Pairing::Adjacent, RopeScaling::None, true),
        (128, 128, Pairing::Halves, yarn, false),
    ];
    let case = |(i, &(head_dim, n_rot, pairing, scaling, factors)): (usize, &(_, _, _, _, bool))| {
        let mut random = Random::new(2000 + i as u64);
        let p = PlanBuilder::new();
        let x = p.input(3 * head_dim);
        let factors = factors.then(|| p.weight(f32_weight("rope_freqs", n_rot / 2)));
        let rope = Rope { n_rot, pairing, base: 10000.0, scaling, factors };
        p.output(p.rope(x, head_dim, &rope));
        let plan = p.finish().expect("the shapes of a case fit");
        let ones_and_more = |n| (0..n).map(|i| 1.0 + i as f32).flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let weights = factors.iter().map(|_| ones_and_more(n_rot / 2).into()).collect();
        let mut batch = Batch::new();
        for start in [0, 5, 4090] {
            let sequence = batch.add_sequence(Vec::new());
            (0..3).for_each(|j| batch.add_token(sequence, 0, start + j, false));
        }
        let step = Step { inputs: vec![random.activations(batch.n_tokens() * 3 * head_dim)], batch };
        Case::without_kv(format!("rope {head_dim}/{n_rot} {pairing:?} {scaling:?}"), plan, weights, vec![step])
    };
    table.iter().enumerate().map(case).collect()
}

/// Each activation, with arguments far enough out to saturate.
pub fn gate_cases() -> Vec<Case> {
    let case = |(i, &activation): (usize, &Activation)| {
        let mut random = Random::new(3000 + i as u64);
        let (width, n) = (101, 3);
        let p = PlanBuilder::new();
        let (gate, up) = (p.input(width), p.input(width));
        p.output(p.gate(gate, up, activation));
        let plan = p.finish().expect("the shapes of a case fit");
        let inputs = vec![random.activations(n * width), random.activations(n * width)];
        let step = Step { batch: plain_batch(n), inputs };
        Case::without_kv(format!("gate {activation:?}"), plan, Vec::new(), vec![step])
    };
    [Activation::Silu, Activation::GeluTanh].iter().enumerate().map(case).collect()
}

/// Add, scale and soft cap, in one plan.
pub fn small_cases() -> Vec<Case> {
    let case = |&n: &usize| {
        let mut random = Random::new(4000 + n as u64);
        let p = PlanBuilder::new();
        let (a, b) = (p.input(77), p.input(77));
        p.output(p.add(a, b));
        p.output(p.scale(a, 0.3));
        p.output(p.soft_cap(b, 30.0));
        let plan = p.finish().expect("the shapes of a case fit");
        let inputs = vec![random.activations(n * 77), random.activations(n * 77)];
        let step = Step { batch: plain_batch(n), inputs };
        Case::without_kv(format!("add, scale, soft_cap n={n}"), plan, Vec::new(), vec![step])
    };
    [1, 5].iter().map(case).collect()
}

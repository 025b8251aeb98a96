//! Attention over paged keys and values: group sizes, windows, page sizes, several sequences, prefill after decode.

use super::{Case, Random, Step};
use crate::{Batch, KvConfig, KvElement, KvLayer, Page, PageTable, PlanBuilder};

struct Shape {
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    page_len: usize,
    /// For each step, how many tokens each sequence adds.
    steps: &'static [&'static [usize]],
}

const SHAPES: &[Shape] = &[
    Shape { n_heads: 1, n_kv_heads: 1, head_dim: 8, window: None, page_len: 4, steps: &[&[1]] },
    Shape { n_heads: 4, n_kv_heads: 2, head_dim: 64, window: None, page_len: 16, steps: &[&[19], &[1], &[1]] },
    Shape { n_heads: 9, n_kv_heads: 3, head_dim: 64, window: None, page_len: 1, steps: &[&[5, 3], &[1, 1], &[0, 4]] },
    Shape { n_heads: 5, n_kv_heads: 1, head_dim: 80, window: None, page_len: 32, steps: &[&[70], &[3]] },
    Shape { n_heads: 4, n_kv_heads: 4, head_dim: 20, window: None, page_len: 7, steps: &[&[30, 1, 2], &[1, 9, 0]] },
    Shape { n_heads: 4, n_kv_heads: 1, head_dim: 256, window: Some(8), page_len: 4, steps: &[&[21], &[1], &[6]] },
    Shape { n_heads: 6, n_kv_heads: 2, head_dim: 128, window: Some(33), page_len: 16, steps: &[&[90, 10], &[1, 1]] },
    Shape { n_heads: 6, n_kv_heads: 3, head_dim: 96, window: Some(20), page_len: 24, steps: &[&[40, 1], &[1, 2]] },
    Shape { n_heads: 2, n_kv_heads: 1, head_dim: 32, window: None, page_len: 3, steps: &[&[11], &[1]] },
    Shape { n_heads: 8, n_kv_heads: 1, head_dim: 128, window: None, page_len: 64, steps: &[&[257], &[1], &[2]] },
    // The one key that all heads of latent attention share.
    Shape { n_heads: 9, n_kv_heads: 1, head_dim: 576, window: None, page_len: 16, steps: &[&[30], &[1], &[3]] },
];

/// Every shape with every way to store its keys and values.
pub fn attention_cases() -> Vec<Case> {
    let of_shape = |(i, shape): (usize, &'static Shape)| {
        let fits = |element: &KvElement| shape.head_dim.is_multiple_of(element.block_len());
        KvElement::ALL.into_iter().filter(fits).map(move |e| attention_case(shape, e, 5000 + i as u64))
    };
    SHAPES.iter().enumerate().flat_map(of_shape).collect()
}

fn attention_case(shape: &Shape, element: KvElement, seed: u64) -> Case {
    let &Shape { n_heads, n_kv_heads, head_dim, window, page_len, steps } = shape;
    let mut random = Random::new(seed);
    let layer = KvLayer { n_kv_heads, head_dim, window };
    let p = PlanBuilder::new();
    let id = p.kv_layer(layer);
    let (q, k, v) = (p.input(n_heads * head_dim), p.input(layer.width()), p.input(layer.width()));
    p.kv_write(id, k, v);
    p.output(p.attention(id, q, 1.0 / (head_dim as f32).sqrt()));
    let plan = p.finish().expect("the shapes of a case fit");

    let n_sequences = steps[0].len();
    let totals: Vec<usize> = (0..n_sequences).map(|s| steps.iter().map(|step| step[s]).sum()).collect();
    let tables = scattered_pages(&totals, page_len, &mut random);
    let n_pages = tables.iter().map(Vec::len).sum();
    let mut lengths = vec![0; n_sequences];
    let mut step = |added: &&[usize]| {
        let mut batch = Batch::new();
        for (s, &n) in added.iter().enumerate() {
            let sequence = batch.add_sequence(vec![tables[s].clone()]);
            (0..n).for_each(|j| batch.add_token(sequence, 0, (lengths[s] + j) as u32, false));
            lengths[s] += n;
        }
        let n = batch.n_tokens();
        let inputs = [n_heads * head_dim, layer.width(), layer.width()].map(|width| random.activations(n * width));
        Step { batch, inputs: inputs.to_vec() }
    };
    let steps = steps.iter().map(&mut step).collect();
    let kv = KvConfig { page_len, n_pages: vec![n_pages], element };
    let name = format!("attention {n_heads}/{n_kv_heads}x{head_dim} {element} window={window:?} page_len={page_len}");
    Case { name, plan: plan.into(), weights: Vec::new(), kv, steps }
}

/// Page tables for sequences of the given lengths, with the pages dealt out in random order.
fn scattered_pages(lengths: &[usize], page_len: usize, random: &mut Random) -> Vec<PageTable> {
    let total: usize = lengths.iter().map(|n| n.div_ceil(page_len)).sum();
    let mut pages: Vec<u32> = (0..total as u32).collect();
    for i in (1..pages.len()).rev() {
        pages.swap(i, random.below(i + 1));
    }
    let mut pages = pages.into_iter().map(|p| Some(Page(p)));
    lengths.iter().map(|n| pages.by_ref().take(n.div_ceil(page_len)).collect()).collect()
}

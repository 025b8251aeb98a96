//! Attention does not depend on what else is in a batch: results are the same bits however tokens are put together, and
//! whichever pages they live in. Shapes are drawn afresh in each run; a failure prints the seed that repeats it.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use silhak_cpu::{Caps, Cpu, CpuOptions, Isa};
use silhak_ops::cases::Random;
use silhak_ops::reference::Reference;
use silhak_ops::{
    Backend, Batch, ExecConfig, Executor, KvConfig, KvElement, KvLayer, Page, PageTable, Plan, PlanBuilder,
};

/// An attention layer of random shape, and sequences to run through it.
struct Sample {
    plan: Arc<Plan>,
    config: ExecConfig,
    n_heads: usize,
    layer: KvLayer,
    tables: Vec<PageTable>,
    /// Per sequence and position: queries, keys and values.
    rows: Vec<Vec<[Vec<f32>; 3]>>,
}

impl Sample {
    fn new(random: &mut Random, most_positions: usize) -> Self {
        // Long sequences get few heads, or the tests take minutes.
        let long = most_positions > 100;
        let n_kv_heads = 1 + random.below(3);
        let n_heads = n_kv_heads * [1, 2, 5, 7, 16, 50][random.below(if long { 3 } else { 6 })];
        let head_dim: usize = [4, 16, 20, 64, 80, 96, 128][random.below(if long { 4 } else { 7 })];
        let window = [None, None, Some(1), Some(1 + random.below(most_positions))][random.below(4)];
        let page_len = [1, 3, 16, 24, 32, 64, 256][random.below(7)];
        let fits = |element: &KvElement| head_dim.is_multiple_of(element.block_len());
        let elements: Vec<KvElement> = KvElement::ALL.into_iter().filter(fits).collect();
        let element = elements[random.below(elements.len())];
        let lengths: Vec<usize> = (0..1 + random.below(3)).map(|_| 1 + random.below(most_positions)).collect();

        let layer = KvLayer { n_kv_heads, head_dim, window };
        let p = PlanBuilder::new();
        let id = p.kv_layer(layer);
        let (q, k, v) = (p.input(n_heads * head_dim), p.input(layer.width()), p.input(layer.width()));
        p.kv_write(id, k, v);
        p.output(p.attention(id, q, 1.0 / (head_dim as f32).sqrt()));
        let plan = Arc::new(p.finish().expect("the shapes fit"));

        // Pages of the sequences are dealt in turns, from the last to the first.
        let n_pages: usize = lengths.iter().map(|n| n.div_ceil(page_len)).sum();
        let mut free: Vec<Page> = (0..n_pages as u32).map(Page).collect();
        let mut tables = vec![PageTable::new(); lengths.len()];
        while !free.is_empty() {
            for (table, n) in tables.iter_mut().zip(&lengths) {
                if table.len() < n.div_ceil(page_len) {
                    table.push(free.pop());
                }
            }
        }
        let widths = [n_heads * head_dim, layer.width(), layer.width()];
        let mut row = || widths.map(|width| (0..width).map(|_| random.normal()).collect());
        let rows = lengths.iter().map(|&n| (0..n).map(|_| row()).collect()).collect();
        let kv = KvConfig { page_len, n_pages: vec![n_pages], element };
        let config = ExecConfig { kv, max_tokens: lengths.iter().sum(), max_outputs: 0 };
        Sample { plan, config, n_heads, layer, tables, rows }
    }

    fn executor(&self, backend: &dyn Backend) -> Box<dyn Executor> {
        backend.prepare(&self.plan, &[], &self.config).expect("there is room")
    }

    /// Runs some tokens, `(sequence, position)`, as one batch; returns a row for each.
    fn run(&self, executor: &mut dyn Executor, tokens: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let mut batch = Batch::new();
        for table in &self.tables {
            batch.add_sequence(vec![table.clone()]);
        }
        let mut inputs = vec![Vec::new(); 3];
        for &(sequence, position) in tokens {
            batch.add_token(sequence as u32, 0, position as u32, false);
            inputs.iter_mut().zip(&self.rows[sequence][position]).for_each(|(input, row)| input.extend(row));
        }
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let width = self.n_heads * self.layer.head_dim;
        let mut outputs = [vec![f32::NAN; tokens.len() * width]];
        executor.run(&batch, &inputs, &mut outputs).expect("the batch fits");
        outputs[0].chunks(width).map(<[f32]>::to_vec).collect()
    }

    fn tokens(&self, sequence: usize) -> Vec<(usize, usize)> {
        (0..self.rows[sequence].len()).map(|position| (sequence, position)).collect()
    }

    /// All sequences, one after the other, each in a batch of its own.
    fn alone(&self, backend: &dyn Backend) -> Vec<Vec<f32>> {
        let mut executor = self.executor(backend);
        (0..self.rows.len()).flat_map(|s| self.run(&mut *executor, &self.tokens(s))).collect()
    }
}

fn cpu(isa: Isa, n_threads: usize) -> Option<Cpu> {
    let caps = Some(Caps::with_isa(isa)?);
    Some(Cpu::new(CpuOptions { threads: NonZero::new(n_threads), caps, repack: None }))
}

/// Runs `check` with fresh numbers, and says which.
fn with_seed(n: u64, check: impl Fn(&mut Random)) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos() as u64;
    for seed in seed..seed + n {
        eprintln!("seed {seed}");
        check(&mut Random::new(seed));
    }
}

fn same_bits(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |rows: &[Vec<f32>]| rows.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

#[test]
fn random_shapes_agree_with_the_reference() {
    with_seed(12, |random| {
        let sample = Sample::new(random, 80);
        let expected = sample.alone(&Reference::default());
        for cpu in Isa::ALL.iter().filter_map(|&isa| cpu(isa, 2)) {
            let found = sample.alone(&cpu);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 2e-5, "{:?} {:?}: {found}, not {expected}", cpu, sample.layer);
            }
        }
    });
}

#[test]
fn a_prompt_at_once_token_by_token_or_in_chunks_gives_the_same_bits() {
    with_seed(5, |random| {
        let sample = Sample::new(random, 600);
        for cpu in Isa::ALL.iter().filter_map(|&isa| cpu(isa, 2)) {
            let expected = sample.alone(&cpu);
            let mut executor = sample.executor(&cpu);
            let mut found = Vec::new();
            for s in 0..sample.rows.len() {
                let tokens = sample.tokens(s);
                let chunk = 1 + random.clone().below(tokens.len());
                // The first chunk whole, then one by one, then the rest.
                let (first, rest) = tokens.split_at(chunk);
                found.extend(sample.run(&mut *executor, first));
                let (single, rest) = rest.split_at(rest.len().min(9));
                single.iter().for_each(|&token| found.extend(sample.run(&mut *executor, &[token])));
                found.extend(sample.run(&mut *executor, rest));
            }
            assert!(same_bits(&found, &expected), "{cpu:?} {:?} {:?}", sample.layer, sample.config.kv);
        }
    });
}

#[test]
fn sequences_in_one_batch_give_the_bits_that_they_give_alone() {
    with_seed(6, |random| {
        let sample = Sample::new(random, 300);
        for cpu in Isa::ALL.iter().filter_map(|&isa| cpu(isa, 3)) {
            let expected = sample.alone(&cpu);
            // In turns, as long as each has tokens left.
            let mut tokens: Vec<(usize, usize)> = (0..sample.rows.len()).flat_map(|s| sample.tokens(s)).collect();
            tokens.sort_by_key(|&(sequence, position)| (position, sequence));
            let together = sample.run(&mut *sample.executor(&cpu), &tokens);
            let mut found: Vec<_> = tokens.into_iter().zip(together).collect();
            found.sort_by_key(|(token, _)| *token);
            let found: Vec<Vec<f32>> = found.into_iter().map(|(_, row)| row).collect();
            assert!(same_bits(&found, &expected), "{cpu:?} {:?} {:?}", sample.layer, sample.config.kv);
        }
    });
}

/// Few heads and a long past make threads share the positions of a head; that changes no bit.
#[test]
fn a_long_past_gives_the_same_bits_for_any_number_of_threads() {
    with_seed(3, |random| {
        let sample = Sample::new(random, LONG);
        let sequence = (0..sample.rows.len()).max_by_key(|&s| sample.rows[s].len()).unwrap();
        let tokens = sample.tokens(sequence);
        let (past, last) = tokens.split_at(tokens.len() - 1);
        for isa in Isa::ALL {
            let run = |n_threads| {
                let mut executor = sample.executor(&cpu(*isa, n_threads)?);
                sample.run(&mut *executor, past);
                Some(sample.run(&mut *executor, last))
            };
            let Some(one) = run(1) else { continue };
            for n_threads in [2, 5] {
                assert!(same_bits(&run(n_threads).unwrap(), &one), "{isa} {n_threads} {:?}", sample.layer);
            }
        }
    });
}

/// Positions that make several splits; fewer on ARM, where tests run in an emulator.
const LONG: usize = if cfg!(target_arch = "aarch64") { 600 } else { 1200 };

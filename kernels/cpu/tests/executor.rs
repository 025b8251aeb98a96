//! What the executor promises besides the results of its ops: memory that is known in advance, and errors instead of
//! faults.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use silhak_cpu::policy::{self, Storage};
use silhak_cpu::{Caps, Cpu, CpuOptions, Isa, PanelCache, Release, Repack};
use silhak_ops::cases::{Case, Random, Step, all_cases};
use silhak_ops::reference::Reference;
use silhak_ops::{Activation, Backend, Batch, Error, ExecConfig, KvConfig, KvElement, KvLayer, Page, Pairing};
use silhak_ops::{Plan, PlanBuilder, Rope, RopeScaling, Weight};
use silhak_quant::Format;

fn cpu(n_threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: NonZero::new(n_threads), ..CpuOptions::default() })
}

/// A layer of a model, with every kind of weight: norms, biases, matrices of two block lengths, tied embeddings.
fn layer() -> (Arc<Plan>, Vec<Bytes>) {
    let mut random = Random::new(7);
    let mut weights = Vec::new();
    let p = PlanBuilder::new();
    let mut weight = |format, rows, cols| {
        weights.push(random.weights(format, rows, cols));
        p.weight(Weight { name: format!("weight {}", weights.len()), format, rows, cols })
    };
    let table = weight(Format::Q4K, 300, 256);
    let norm = weight(Format::F32, 1, 256);
    let (q, k, v) = (weight(Format::Q4K, 256, 256), weight(Format::Q8_0, 64, 256), weight(Format::Q6K, 64, 256));
    let bias = weight(Format::F32, 1, 256);
    let o = weight(Format::F16, 256, 256);
    let (gate, up, down) =
        (weight(Format::Q4_0, 512, 256), weight(Format::Q4_0, 512, 256), weight(Format::Q5K, 256, 512));
    let kv = p.kv_layer(KvLayer { n_kv_heads: 2, head_dim: 32, window: None });
    let rope = Rope { n_rot: 32, pairing: Pairing::Halves, base: 1e4, scaling: RopeScaling::None, factors: None };

    let x = p.embed(table);
    let h = p.rms_norm(x, norm, 1e-6);
    let (q, k, v) = (p.linear_with(h, q, Some(bias)), p.linear(h, k), p.linear(h, v));
    p.kv_write(kv, p.rope(k, 32, &rope), v);
    let x = p.add(x, p.linear(p.attention(kv, p.rope(q, 32, &rope), 0.18), o));
    let h = p.rms_norm(x, norm, 1e-6);
    let x = p.add(x, p.linear(p.gate(p.linear(h, gate), p.linear(h, up), Activation::Silu), down));
    p.output(p.linear(p.rms_norm(p.select(x), norm, 1e-6), table));
    (Arc::new(p.finish().expect("the shapes fit")), weights)
}

fn config(max_tokens: usize) -> ExecConfig {
    let kv = KvConfig { page_len: 16, n_pages: vec![8], element: KvElement::F16 };
    ExecConfig { kv, max_tokens, max_outputs: 2.min(max_tokens) }
}

fn with_element(mut config: ExecConfig, element: KvElement) -> ExecConfig {
    config.kv.element = element;
    config
}

fn batch(n_tokens: usize, n_outputs: usize, pages: &[u32]) -> Batch {
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(vec![pages.iter().map(|&page| Some(Page(page))).collect()]);
    (0..n_tokens).for_each(|i| batch.add_token(sequence, i as u32, i as u32, i + n_outputs >= n_tokens));
    batch
}

#[test]
fn memory_is_what_was_estimated() {
    let (plan, weights) = layer();
    for n_threads in [1, 3] {
        for max_tokens in [1, 5, 40] {
            let (cpu, config) = (cpu(n_threads), config(max_tokens));
            let memory = cpu.prepare(&plan, &weights, &config).unwrap().memory();
            assert_eq!(memory, cpu.estimate(&plan, &config).unwrap());
            assert_eq!(memory.kv, 2 * 2 * 64 * 16 * 8, "two bytes, keys and values, width, positions, pages");
            assert_eq!(memory.weights, 4 * (256 + 256));
        }
    }
    for Case { name, plan, weights, kv, .. } in all_cases() {
        let config = ExecConfig { kv, max_tokens: 9, max_outputs: 9 };
        let memory = cpu(2).prepare(&plan, &weights, &config).unwrap().memory();
        assert_eq!(memory, cpu(2).estimate(&plan, &config).unwrap(), "{name}");
    }
}

/// Backends with each instruction set, one that repacks beside one that does not.
fn with_and_without_repacking() -> impl Iterator<Item = (Isa, [Cpu; 2])> {
    Isa::ALL.iter().filter_map(|&isa| Some((isa, Caps::with_isa(isa)?))).map(|(isa, caps)| {
        let cpu = |repack| Cpu::new(CpuOptions { threads: NonZero::new(2), caps: Some(caps), repack });
        (isa, [cpu(Some(Repack::default())), cpu(None)])
    })
}

#[test]
fn repacked_weights_give_the_same_bits() {
    let (plan, weights) = layer();
    let steps = [1, 5, 40].map(|n| Step { batch: batch(n, 1, &[3, 1, 2]), inputs: Vec::new() });
    let layer = Case { name: "a layer".into(), plan, weights, kv: config(40).kv, steps: steps.into() };
    for Case { name, plan, weights, kv, steps } in all_cases().into_iter().chain([layer]) {
        let config = ExecConfig { kv, max_tokens: 300, max_outputs: 300 };
        for (isa, cpus) in with_and_without_repacking() {
            let [repacked, in_place] = cpus.map(|cpu| {
                let mut executor = cpu.prepare(&plan, &weights, &config).unwrap();
                let run = |Step { batch, inputs }: &Step| {
                    let mut outputs = vec![vec![f32::NAN; 3]; plan.outputs().len()];
                    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                    executor.run(batch, &inputs, &mut outputs).unwrap();
                    outputs.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                steps.iter().map(run).collect::<Vec<_>>()
            });
            assert_eq!(repacked, in_place, "{name}, {isa}");
        }
    }
}

#[test]
fn repacked_weights_are_released_unless_somebody_reads_them() {
    let (plan, weights) = layer();
    for (isa, [repacking, in_place]) in with_and_without_repacking() {
        let released = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&released);
        let release: Arc<Release> =
            Arc::new(move |bytes| note.lock().unwrap().push((bytes.as_ptr().addr(), bytes.len())));
        let cpu = Cpu::new(CpuOptions {
            threads: NonZero::new(3),
            caps: Some(repacking.caps()),
            repack: Some(Repack { release: Some(release), cache: None }),
        });
        let memory = cpu.prepare(&plan, &weights, &config(5)).unwrap().memory();
        let before = in_place.prepare(&plan, &weights, &config(5)).unwrap().memory();
        // The embedding is looked up, though it is an output matrix too; there are no panels of floats.
        let repacked = |weight: &&Weight| weight.rows > 1 && weight.format.block_len() > 1 && weight.rows != 300;
        let in_panels = matches!(isa, Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni);
        let mut expected: Vec<_> = (plan.weights().iter().zip(&weights))
            .filter(|(weight, _)| in_panels && repacked(weight))
            .map(|(_, bytes)| (bytes.as_ptr().addr(), bytes.len()))
            .collect();
        let bytes: usize = expected.iter().map(|(_, len)| len).sum();
        let mut found = std::mem::take(&mut *released.lock().unwrap());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{isa}");
        assert_eq!(memory.mapped, before.mapped - bytes, "{isa}");
        let table = if in_panels { 304 * 144 } else { 0 };
        assert_eq!(memory.weights, before.weights + bytes + table, "{isa}: the embedding once more, in whole panels");
        assert_eq!(memory, cpu.estimate(&plan, &config(5)).unwrap(), "{isa}");
    }
}

#[test]
fn panels_that_are_kept_give_the_same_bits_and_are_read_instead_of_the_weights() {
    let (plan, weights) = layer();
    for (isa, [_, in_place]) in with_and_without_repacking() {
        let folder = tempfile::tempdir().unwrap();
        let (source, identity) = (folder.path().join("model.gguf"), "first".to_owned());
        let cache = PanelCache { folder: folder.path().join("panels"), source, identity };
        let cpu = |cache| {
            let repack = Some(Repack { cache: Some(cache), ..Repack::default() });
            Cpu::new(CpuOptions { caps: Some(in_place.caps()), threads: NonZero::new(2), repack })
        };
        let run = |cpu: &Cpu, weights: &[Bytes]| {
            let mut executor = cpu.prepare(&plan, weights, &config(40)).unwrap();
            assert_eq!(executor.memory(), cpu.estimate(&plan, &config(40)).unwrap(), "{isa}");
            let mut logits = [Vec::new()];
            executor.run(&batch(40, 2, &[3, 1, 2]), &[], &mut logits).unwrap();
            logits[0].iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let expected = run(&in_place, &weights);
        let kept = cpu(cache.clone());
        assert_eq!(kept.reads(&plan, &weights).unwrap(), weights, "{isa}");
        assert_eq!(run(&kept, &weights), expected, "{isa}");
        if policy::storage(Format::Q4K, 16, &in_place.caps()) == Storage::Panels {
            // The second time the matrices' own bytes are not looked at.
            let reads = kept.reads(&plan, &weights).unwrap();
            let blank =
                |weight: &Bytes| if reads.contains(weight) { weight.clone() } else { vec![0; weight.len()].into() };
            let mut blanked: Vec<Bytes> = weights.iter().map(blank).collect();
            blanked[0] = weights[0].clone(); // rows of the embedding are looked up
            assert_ne!(blanked, weights);
            assert_eq!(run(&kept, &blanked), expected, "{isa}");
            let changed = PanelCache { identity: "second".into(), ..cache };
            assert_ne!(run(&cpu(changed), &blanked), expected, "{isa}");
        }
    }
}

#[test]
fn memory_does_not_grow_as_batches_run() {
    let (plan, weights) = layer();
    let mut executor = cpu(2).prepare(&plan, &weights, &config(40)).unwrap();
    let before = executor.memory();
    for n in [40, 1, 7, 8, 40] {
        executor.run(&batch(n, 1, &[3, 1, 2]), &[], &mut [Vec::new()]).unwrap();
    }
    assert_eq!(executor.memory(), before);
}

/// Few and many tokens take different kernels, which round differently; so this is about what is computed at all.
#[test]
fn a_layer_gives_the_same_logits_at_once_and_token_by_token() {
    let (plan, weights) = layer();
    for caps in Isa::ALL.iter().filter_map(|&isa| Caps::with_isa(isa)) {
        let cpu = Cpu::new(CpuOptions { threads: NonZero::new(2), caps: Some(caps), ..CpuOptions::default() });
        let mut at_once = [Vec::new()];
        let mut executor = cpu.prepare(&plan, &weights, &config(40)).unwrap();
        executor.run(&batch(40, 2, &[3, 1, 2]), &[], &mut at_once).unwrap();

        let mut executor = cpu.prepare(&plan, &weights, &config(40)).unwrap();
        let mut found = Vec::new();
        for i in 0..40 {
            let mut one = Batch::new();
            let sequence = one.add_sequence(vec![[3, 1, 2].map(|page| Some(Page(page))).to_vec()]);
            one.add_token(sequence, i, i, i >= 38);
            let mut logits = [Vec::new()];
            executor.run(&one, &[], &mut logits).unwrap();
            found.extend_from_slice(&logits[0]);
        }
        assert_eq!(found.len(), 2 * 300);
        let most = at_once[0].iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (a, b) in found.iter().zip(&at_once[0]) {
            assert!((a - b).abs() <= 1e-3 * most, "{caps:?}: {a} is not {b}");
        }
    }
}

#[test]
fn a_batch_of_nothing_and_one_without_outputs_run() {
    let (plan, weights) = layer();
    let mut executor = cpu(2).prepare(&plan, &weights, &config(40)).unwrap();
    let mut logits = [vec![f32::NAN; 5]];
    executor.run(&Batch::new(), &[], &mut logits).unwrap();
    assert!(logits[0].is_empty());
    executor.run(&batch(12, 0, &[0]), &[], &mut logits).unwrap();
    assert!(logits[0].is_empty());
}

#[test]
fn an_input_and_a_value_listed_twice_come_out() {
    let p = PlanBuilder::new();
    let x = p.input(3);
    let y = p.scale(x, 2.0);
    [y, x, y].into_iter().for_each(|id| p.output(id));
    let plan = Arc::new(p.finish().unwrap());
    let kv = KvConfig { page_len: 1, n_pages: Vec::new(), element: KvElement::F16 };
    let mut executor = cpu(2).prepare(&plan, &[], &ExecConfig { kv, max_tokens: 1, max_outputs: 0 }).unwrap();
    let mut one = Batch::new();
    let sequence = one.add_sequence(Vec::new());
    one.add_token(sequence, 0, 0, false);
    let mut outputs = vec![vec![f32::NAN; 3]; 3];
    executor.run(&one, &[&[1.0, 2.0, 3.0]], &mut outputs).unwrap();
    assert_eq!(outputs, [[2.0, 4.0, 6.0], [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]);
}

#[test]
fn batches_that_do_not_fit_are_refused_and_the_next_runs() {
    let (plan, weights) = layer();
    let mut executor = cpu(2).prepare(&plan, &weights, &config(20)).unwrap();
    let mut shared = Batch::new();
    for _ in 0..2 {
        let sequence = shared.add_sequence(vec![vec![Some(Page(4))]]);
        shared.add_token(sequence, 0, 0, true);
    }
    for (batch, word) in [(batch(21, 1, &[0, 1]), "20 tokens"), (batch(5, 3, &[0]), "2 outputs"), (shared, "page 4")] {
        let error = executor.run(&batch, &[], &mut [Vec::new()]).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    executor.run(&batch(20, 2, &[0, 1]), &[], &mut [Vec::new()]).unwrap();
}

/// The flag is set before the batch runs: what a batch does when it is set later is the same.
#[test]
fn a_cancelled_batch_is_an_error_and_the_next_runs() {
    let (plan, weights) = layer();
    for backend in [&cpu(2) as &dyn Backend, &Reference::default()] {
        let mut executor = backend.prepare(&plan, &weights, &config(20)).unwrap();
        let flag = Arc::new(AtomicBool::new(true));
        let mut cancelled = batch(20, 1, &[0, 1]);
        cancelled.cancel_with(Arc::clone(&flag));
        let error = executor.run(&cancelled, &[], &mut [Vec::new()]).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        let expected = run(backend, &batch(20, 1, &[0, 1]));
        flag.store(false, Ordering::Relaxed);
        let mut found = [Vec::new()];
        executor.run(&cancelled, &[], &mut found).unwrap();
        assert_eq!(found, expected);
    }

    fn run(backend: &dyn Backend, batch: &Batch) -> [Vec<f32>; 1] {
        let (plan, weights) = layer();
        let mut logits = [Vec::new()];
        backend.prepare(&plan, &weights, &config(20)).unwrap().run(batch, &[], &mut logits).unwrap();
        logits
    }
}

#[test]
fn a_copied_page_serves_as_well_as_the_first() {
    let (plan, weights) = layer();
    for element in KvElement::ALL {
        let mut executor = cpu(2).prepare(&plan, &weights, &with_element(config(40), element)).unwrap();
        executor.run(&batch(20, 0, &[0, 1]), &[], &mut [Vec::new()]).unwrap();
        executor.copy_page(0, Page(0), Page(5)).unwrap();
        executor.copy_page(0, Page(1), Page(6)).unwrap();
        let mut next = |pages: [u32; 2]| {
            let mut one = Batch::new();
            let sequence = one.add_sequence(vec![pages.map(|page| Some(Page(page))).to_vec()]);
            one.add_token(sequence, 9, 20, true);
            let mut logits = [Vec::new()];
            executor.run(&one, &[], &mut logits).unwrap();
            logits
        };
        assert_eq!(next([0, 1]), next([5, 6]), "{element}");
        for (group, from, to) in [(0, 8, 0), (0, 0, 8), (1, 0, 0)] {
            assert!(matches!(executor.copy_page(group, Page(from), Page(to)), Err(Error::Batch(_))));
        }
    }
}

#[test]
fn what_cannot_be_prepared_is_an_error() {
    let (plan, weights) = layer();
    let prepare = |config: ExecConfig| cpu(1).prepare(&plan, &weights, &config).map(|_| ()).unwrap_err();
    let with_kv = |kv: KvConfig| ExecConfig { kv, ..config(8) };
    let kv = config(8).kv;
    assert!(matches!(prepare(with_kv(KvConfig { page_len: 0, ..kv.clone() })), Error::Count { .. }));
    assert!(matches!(prepare(with_kv(KvConfig { n_pages: vec![], ..kv.clone() })), Error::Count { .. }));
    assert!(matches!(prepare(with_kv(KvConfig { n_pages: vec![1 << 40], ..kv })), Error::OutOfMemory { .. }));
    assert!(matches!(prepare(ExecConfig { max_tokens: 1 << 40, ..config(8) }), Error::OutOfMemory { .. }));
    assert!(matches!(cpu(1).prepare(&plan, &weights[1..], &config(8)).map(|_| ()), Err(Error::Count { .. })));
}

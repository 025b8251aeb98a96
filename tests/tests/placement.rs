//! Models cut between devices: wherever the cut is, the logits are those of one device alone, and the memory is what was
//! said before.

use std::path::Path;
use std::sync::Arc;

use silhak::{Device, Error, Fit, GpuError, GpuLayers, LoadOptions, Model, ModelFile, architectures};
use silhak_cpu::{Cpu, CpuOptions};
use silhak_gpu::{Feature, GpuOptions};
use silhak_model::{Blocks, Offload};
use silhak_ops::cases::Random;
use silhak_ops::reference::Reference;
use silhak_ops::{Backend, Batch, ExecConfig, Executor, KvConfig, KvElement, Page, Split};
use silhak_tests::Distance;
use silhak_tests::gpu::open_or_skip;
use silhak_tests::tiny::Tiny;

const PAGE_LEN: usize = 16;
const MOST_TOKENS: usize = 64;

fn write(tiny: &Tiny, folder: &Path) -> ModelFile {
    let path = folder.join("tiny.gguf");
    tiny.write(&path).unwrap();
    ModelFile::open(path).unwrap()
}

fn tokens(n: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| random.below(256) as u32).collect()
}

fn config(file: &ModelFile) -> ExecConfig {
    let n_pages = vec![MOST_TOKENS / PAGE_LEN; file.model().plan().kv_groups().len()];
    let kv = KvConfig { page_len: PAGE_LEN, n_pages, element: KvElement::F16 };
    ExecConfig { kv, max_tokens: 32, max_outputs: 32 }
}

fn prepare(file: &ModelFile, backend: &dyn Backend) -> Box<dyn Executor> {
    backend.prepare(file.model().plan(), file.model().weights(), &config(file)).unwrap()
}

/// The logits of all tokens, run in batches of `n_batch`.
fn logits(file: &ModelFile, backend: &dyn Backend, tokens: &[u32], n_batch: usize) -> Vec<f32> {
    let mut executor = prepare(file, backend);
    let pages: Vec<_> = (0..(MOST_TOKENS / PAGE_LEN) as u32).map(|page| Some(Page(page))).collect();
    let n_groups = file.model().plan().kv_groups().len();
    let (mut all, mut position) = (Vec::new(), 0);
    for chunk in tokens.chunks(n_batch) {
        let mut batch = Batch::new();
        let sequence = batch.add_sequence(vec![pages.clone(); n_groups]);
        for &token in chunk {
            batch.add_token(sequence, token, position, true);
            position += 1;
        }
        let mut outputs = [Vec::new()];
        executor.run(&batch, &[], &mut outputs).unwrap();
        all.extend_from_slice(&outputs[0]);
    }
    all
}

/// The ops at which a model's blocks begin.
fn boundaries(file: &ModelFile) -> Vec<usize> {
    let blocks = Blocks::of(file.model().plan());
    (1..=blocks.len()).rev().map(|n| blocks.cut(Offload::Last(n)).unwrap()).collect()
}

fn shared(backend: impl Backend + 'static) -> Arc<dyn Backend> {
    Arc::new(backend)
}

#[test]
fn two_cpus_give_the_bits_of_one() {
    for architecture in architectures() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&Tiny::new(architecture), folder.path());
        let (cpu, tokens) = (shared(Cpu::new(CpuOptions::default())), tokens(50, 1));
        let whole = logits(&file, &*cpu, &tokens, 16);
        let cuts = boundaries(&file);
        assert_eq!(cuts.len(), file.model().hyper_params().n_layers);
        for cut in &cuts {
            let split = Split::new(vec![Arc::clone(&cpu); 2], vec![*cut]);
            assert_eq!(logits(&file, &split, &tokens, 16), whole, "{architecture}, cut before op {cut}");
        }
        let every = Split::new(vec![cpu; cuts.len() + 1], cuts);
        assert_eq!(logits(&file, &every, &tokens, 7), whole, "{architecture}, cut everywhere");
    }
}

/// In float32 on both sides, so that nothing but the order of sums and the rounding of half floats differs.
#[test]
fn a_gpu_gives_the_logits_of_the_reference_whole_or_in_part() {
    let Some(gpu) = open_or_skip(&GpuOptions {
        without: vec![Feature::PackedDot, Feature::CooperativeMatrix],
        ..GpuOptions::default()
    }) else {
        return;
    };
    let reference = Reference { quantize_activations: false };
    for architecture in architectures() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&Tiny::new(architecture), folder.path());
        let tokens = tokens(30, 2);
        let expected = logits(&file, &reference, &tokens, 30);
        let near = |found: Vec<f32>, what: &str| {
            let distance = Distance::between(&found, &expected);
            assert!(distance.max <= 2e-3, "{architecture}, {what}: {distance:?}");
        };
        near(logits(&file, &gpu, &tokens, 16), "whole");
        near(logits(&file, &gpu, &tokens, 1), "one by one");
        let cuts = boundaries(&file);
        for &cut in &cuts {
            let split = Split::new(vec![shared(reference), shared(gpu.clone())], vec![cut]);
            near(logits(&file, &split, &tokens, 30), &format!("on the GPU from op {cut} on"));
        }
        let sandwich = Split::new(vec![shared(gpu.clone()), shared(reference), shared(gpu.clone())], cuts[1..3].into());
        near(logits(&file, &sandwich, &tokens, 13), "with a layer off the GPU");
    }
}

/// As a user would: 8-bit activations on both, whose rounding the order of sums can tip (`the_devices_agree`).
#[test]
fn the_engine_runs_on_a_gpu_as_on_the_cpu() {
    if open_or_skip(&GpuOptions::default()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(&Tiny::new("gemma3"), folder.path());
    let load = |device, gpu_layers| {
        let options = LoadOptions { device, gpu_layers, n_ctx: Some(100), max_batch: 32, ..LoadOptions::default() };
        Model::load(folder.path().join("tiny.gguf"), options).unwrap()
    };
    let tokens = tokens(60, 3);
    let cpu = load(Device::Cpu, GpuLayers::Auto).logits(&tokens, 32).unwrap();
    for (wanted, layers) in [(GpuLayers::Auto, 7), (GpuLayers::Exactly(3), 3), (GpuLayers::Exactly(0), 0)] {
        let model = load(Device::Gpu, wanted);
        let on_gpu: usize = model.shares().iter().filter(|s| s.is_gpu).map(|s| s.layers.len()).sum();
        assert_eq!(on_gpu, layers, "{:?}", model.shares());
        assert_eq!(model.device().contains("gpu ("), layers > 0, "{}", model.device());
        assert_eq!(model.device().contains("cpu-"), layers < 7, "{}", model.device());
        let distance = Distance::between(&model.logits(&tokens, 32).unwrap(), &cpu);
        assert!(distance.nmse.sqrt() <= 0.05, "{wanted}: {distance:?}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    write(&Tiny::new("llama"), folder.path());
    let options = LoadOptions {
        device: Device::Gpu,
        adapter: Some("no such card".into()),
        n_ctx: Some(100),
        ..LoadOptions::default()
    };
    let load = |options| Model::load(folder.path().join("tiny.gguf"), options);
    match load(options.clone()).unwrap_err() {
        Error::Gpu(GpuError::NoAdapter | GpuError::UnknownAdapter { .. }) => {}
        error => panic!("{error}"),
    }
    let model = load(LoadOptions { device: Device::Auto, ..options }).unwrap();
    assert!(model.device().starts_with("cpu-"), "{}", model.device());
}

/// A model large enough that what it takes is not lost among what a driver takes for itself.
fn larger() -> Tiny {
    let (n_embd, n_ff, n_layers) = (512, 1536, 4);
    Tiny { n_embd, n_ff, n_layers, n_heads: 8, n_kv_heads: 4, head_dim: 64, ..Tiny::new("llama") }
}

#[test]
fn the_estimate_is_what_is_allocated() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = write(&larger(), folder.path());
    for cut in [None, Some(boundaries(&file)[2])] {
        let (plan, config) = (file.model().plan(), config(&file));
        let part = plan.cut(&cut.into_iter().collect::<Vec<_>>()).unwrap().pop().unwrap();
        let said = gpu.estimate(part.plan(), &part.config(&config)).unwrap().total() as f64;
        let Some(before) = gpu.allocated_bytes() else { return println!("SKIPPED: the driver does not tell") };
        let executor = gpu.prepare(part.plan(), &part.data(file.model().weights()), &part.config(&config)).unwrap();
        let taken = (gpu.allocated_bytes().unwrap() - before) as f64;
        println!("said {said}, taken {taken}");
        assert!((taken - said).abs() <= 0.05 * taken, "{said} bytes were said and {taken} taken");
        drop(executor);
    }
}

#[test]
fn a_budget_is_kept_and_fit_says_what_loading_does() {
    if open_or_skip(&GpuOptions::default()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&larger(), folder.path());
    let options = |gpu_memory| LoadOptions {
        device: Device::Gpu,
        gpu_memory,
        n_ctx: Some(128),
        max_batch: 16,
        ..LoadOptions::default()
    };
    let whole = Fit::new(&file, &options(None)).unwrap().estimate().unwrap();
    assert_eq!(whole.shares.len(), 1);
    for budget in [whole.gpu_bytes() - 1, whole.gpu_bytes() * 2 / 3] {
        let fit = Fit::new(&file, &options(Some(budget))).unwrap();
        let estimate = fit.estimate().unwrap();
        assert!(estimate.gpu_bytes() <= budget && estimate.shares.len() == 2, "{budget}: {estimate:?}");
        let longest = fit.largest_context(u64::MAX).unwrap().unwrap();
        assert!(longest.n_ctx >= 128 && longest.gpu_bytes() <= budget);
        assert_eq!(longest.shares[1].layers, estimate.shares[1].layers);
        let model = Model::load(folder.path().join("tiny.gguf"), options(Some(budget))).unwrap();
        assert_eq!(model.shares(), estimate.shares);
    }
    let error = Fit::new(&file, &options(Some(1000))).unwrap().estimate().unwrap_err();
    assert!(matches!(error, Error::GpuMemory { budget: 1000, .. }), "{error}");
}

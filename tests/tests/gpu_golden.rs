//! Real models on the GPU against golden logits that an independent float32 implementation computed
//! (`golden/README.md`).
//!
//! A software driver needs minutes for what a card does in a second, so only the first tokens of the text are run, fewer
//! of the larger models. `SILHAK_GPU_GOLDEN=full` runs all 256 of every model.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use silhak_gguf::Gguf;
use silhak_gpu::{Feature, Gpu, GpuOptions};
use silhak_model::Model;
use silhak_ops::{Backend, Batch, ExecConfig, KvConfig, KvElement, Page, PageTable};
use silhak_tests::gpu::open_or_skip;
use silhak_tests::models::model_or_skip;

/// One file of `golden/`.
#[derive(Deserialize)]
struct Golden {
    ids: Vec<u32>,
    /// Of each token but the first.
    nll: Vec<f64>,
}

/// Model, golden file, and how many tokens the float shaders and the packed-byte shaders are given.
const MODELS: [(&str, &str, usize, usize); 4] = [
    ("smollm2-135m", "smollm2", 48, 128),
    ("gemma-3-270m", "gemma3-270m", 24, 0),
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b", 16, 0),
    ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b", 8, 0),
];

#[test]
fn float_shaders_give_the_golden_likelihood() {
    let options = GpuOptions { without: vec![Feature::PackedDot, Feature::CooperativeMatrix], ..GpuOptions::default() };
    let Some(gpu) = open_or_skip(&options) else { return };
    for (file, name, n_tokens, _) in MODELS {
        agrees(&gpu, file, name, n_tokens, KvElement::F32, 0.001);
    }
}

#[test]
fn packed_byte_shaders_stay_near_the_golden_likelihood() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    for (file, name, _, n_tokens) in MODELS {
        agrees(&gpu, file, name, n_tokens, KvElement::F16, 0.02);
    }
}

fn agrees(gpu: &Gpu, file: &str, name: &str, n_tokens: usize, element: KvElement, most: f64) {
    let full = std::env::var("SILHAK_GPU_GOLDEN").is_ok_and(|value| value == "full");
    let golden = golden(name);
    let n_tokens = if full { golden.ids.len() } else { n_tokens };
    if n_tokens == 0 {
        return;
    }
    let Some(path) = model_or_skip(&format!("{file}.gguf")) else { return };
    let found = mean(&negative_log_likelihood(gpu, &path, &golden.ids[..n_tokens], element));
    let expected = mean(&golden.nll[..n_tokens - 1]);
    println!("{file}: {n_tokens} tokens: gpu {found:.6}, golden {expected:.6}");
    assert!((found - expected).abs() <= most, "{file}: {found} is not {expected}");
}

/// Of each token but the first, the prompt run in batches of 16.
fn negative_log_likelihood(gpu: &Gpu, path: &Path, ids: &[u32], element: KvElement) -> Vec<f64> {
    const BATCH: usize = 16;
    let gguf = Gguf::open(path).unwrap();
    let model = Model::from_gguf(&gguf).unwrap();
    let (plan, n_pages) = (model.plan(), ids.len().div_ceil(BATCH));
    let n_groups = plan.kv_groups().len();
    let kv = KvConfig { page_len: BATCH, n_pages: vec![n_pages; n_groups], element };
    let config = ExecConfig { kv, max_tokens: BATCH, max_outputs: BATCH };
    let mut executor = gpu.prepare(plan, model.weights(), &config).unwrap();
    let table: PageTable = (0..n_pages as u32).map(|i| Some(Page(i))).collect();
    let mut nll = Vec::new();
    for (i, chunk) in ids.chunks(BATCH).enumerate() {
        let mut batch = Batch::new();
        let sequence = batch.add_sequence(vec![table.clone(); n_groups]);
        for (j, &id) in chunk.iter().enumerate() {
            batch.add_token(sequence, id, (i * BATCH + j) as u32, true);
        }
        let mut outputs = [Vec::new()];
        executor.run(&batch, &[], &mut outputs).unwrap();
        let next = &ids[i * BATCH + 1..];
        nll.extend(
            outputs[0].chunks_exact(model.hyper_params().n_vocab).zip(next).map(|(row, &id)| -log_softmax(row, id)),
        );
    }
    nll
}

fn log_softmax(logits: &[f32], id: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    f64::from(logits[id as usize] - max) - sum.ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn golden(name: &str) -> Golden {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.constitution256.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

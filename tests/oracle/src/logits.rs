//! `oracle logits`: what llama.cpp predicts for a text.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

use crate::llama::{Context, Model, Settings, Wanted};

#[derive(Args)]
pub(crate) struct Options {
    /// A GGUF file
    model: PathBuf,
    /// Token ids, separated by commas
    #[arg(long, value_delimiter = ',', required_unless_present = "file")]
    tokens: Option<Vec<i32>>,
    /// Take the ids from the beginning of this text
    #[arg(long, conflicts_with = "tokens")]
    file: Option<PathBuf>,
    /// How many ids
    #[arg(short = 'n', long, default_value_t = 256)]
    n_tokens: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// llama.cpp's layers on the GPU, the output counted as one; needs a build with `--vulkan`
    #[arg(long, default_value_t = 0)]
    gpu_layers: u32,
    /// llama.cpp's default KV cache (f16) and fused attention, in place of float32 for both
    #[arg(long)]
    defaults: bool,
}

/// The fields of the files in `tests/golden`.
#[derive(Serialize)]
struct Prediction {
    n_tokens: usize,
    ids: Vec<i32>,
    mean_nll: f64,
    /// In nats, of token `i + 1` given those up to `i`.
    nll: Vec<f64>,
    /// (id, log-probability) of the likeliest tokens after the last one.
    last_top10: Vec<(usize, f64)>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let model = Model::load(&options.model, options.gpu_layers)?;
    let mut ids = match (&options.tokens, &options.file) {
        (Some(ids), _) => ids.clone(),
        (None, Some(file)) => model.tokenize(&read(file)?)?,
        (None, None) => bail!("give --tokens or --file"),
    };
    ids.truncate(options.n_tokens);
    let prediction = predict(&model, &ids, options.threads, !options.defaults)?;
    println!("{}", serde_json::to_string(&prediction)?);
    Ok(())
}

/// What llama.cpp predicts for `ids` in one window.
fn predict(model: &Model, ids: &[i32], threads: usize, precise: bool) -> Result<Prediction> {
    let mut nll = Vec::with_capacity(ids.len());
    let mut last_top10 = Vec::new();
    each_row(model, ids, threads, precise, |place, logits| {
        let log_sum = log_sum_exp(logits);
        match ids.get(place + 1) {
            Some(&next) => nll.push(log_sum - f64::from(logits[next as usize])),
            None => last_top10 = top(logits, 10).map(|id| (id, f64::from(logits[id]) - log_sum)).collect(),
        }
    })?;
    let mean_nll = nll.iter().sum::<f64>() / nll.len() as f64;
    Ok(Prediction { n_tokens: ids.len(), ids: ids.to_vec(), mean_nll, nll, last_top10 })
}

/// Runs `ids` in one window and hands each one's place and logits to `see`.
pub(crate) fn each_row(
    model: &Model,
    ids: &[i32],
    threads: usize,
    precise: bool,
    see: impl FnMut(usize, &[f32]),
) -> Result<()> {
    let n_vocab = model.n_vocab();
    if ids.len() < 2 || ids.iter().any(|&id| id < 0 || id as usize >= n_vocab) {
        bail!("expected at least two ids, all below {n_vocab}");
    }
    let mut context = Context::new(model, &Settings { n_ctx: ids.len(), threads, precise })?;
    context.decode(ids, 0, Wanted::All, see)
}

pub(crate) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

pub(crate) fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(max);
    max + logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}

/// The places of the `n` largest logits, largest first.
fn top(logits: &[f32], n: usize) -> impl Iterator<Item = usize> {
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    ids.sort_unstable_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    ids.into_iter().take(n)
}

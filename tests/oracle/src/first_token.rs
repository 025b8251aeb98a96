//! `oracle first-token`: how long llama.cpp takes from the start of loading a model until a token is chosen.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

use crate::llama::{Context, Model, Settings, Wanted, system_info};
use crate::memory;

#[derive(Args)]
pub(crate) struct Options {
    /// A GGUF file
    model: PathBuf,
    /// What the model goes on with, without a chat template
    prompt: String,
    /// Tokens that the context holds
    #[arg(long, default_value_t = 4096)]
    ctx: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// llama.cpp's layers on the GPU, the output counted as one (999: all); needs a build with `--vulkan`
    #[arg(long, default_value_t = 0)]
    gpu_layers: u32,
}

/// With the names that `run-model run --json` has.
#[derive(Serialize)]
struct Report {
    ids: Vec<i32>,
    prompt_ids: Vec<i32>,
    runs_on: String,
    timings: Timings,
}

#[derive(Serialize)]
struct Timings {
    /// Opening and reading the file, and setting up.
    load_s: f64,
    /// From the beginning of the load to the first token.
    first_token_s: f64,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let model = Model::load(&options.model, options.gpu_layers)?;
    let settings = Settings { n_ctx: options.ctx, threads: options.threads, precise: false };
    let mut context = Context::new(&model, &settings)?;
    let load_s = start.elapsed().as_secs_f64();
    let prompt_ids = model.tokenize(&options.prompt)?;
    if prompt_ids.is_empty() {
        bail!("the prompt has no tokens");
    }
    let mut first = 0;
    context.decode(&prompt_ids, 0, Wanted::Last, |_, logits| first = likeliest(logits))?;
    let first_token_s = start.elapsed().as_secs_f64();
    let timings = Timings { load_s, first_token_s, peak_rss_bytes: memory::peak() };
    let report = Report { ids: vec![first], prompt_ids, runs_on: system_info(), timings };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn likeliest(logits: &[f32]) -> i32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| id as i32)
}

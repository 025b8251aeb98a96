//! `oracle bench`: llama.cpp's speed. `cargo xtask peer` lets it take turns with run-model.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

use crate::llama::{Context, Model, Settings, Wanted, notes, system_info};
use crate::memory;

#[derive(Args)]
pub(crate) struct Options {
    /// A GGUF file
    model: PathBuf,
    /// Tokens of the prompt, all in one call; 0 leaves reading out
    #[arg(long, default_value_t = 512)]
    prefill: usize,
    /// Tokens one by one; 0 leaves writing out
    #[arg(long, default_value_t = 64)]
    decode: usize,
    /// Tokens that are there before the measured ones
    #[arg(long, default_value_t = 0)]
    depth: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// llama.cpp's layers on the GPU, the output counted as one (999: all); needs a build with `--vulkan`
    #[arg(long, default_value_t = 0)]
    gpu_layers: u32,
    #[arg(long, default_value_t = 5)]
    reps: usize,
    /// One line of JSON with all samples
    #[arg(long)]
    json: bool,
}

/// Tokens per second.
#[derive(Serialize)]
struct Samples {
    n_tokens: usize,
    median_tps: f64,
    samples_tps: Vec<f64>,
}

/// With the fields that `run-model bench --json` has, too.
#[derive(Serialize)]
struct Report {
    prefill: Option<Samples>,
    decode: Option<Samples>,
    /// The instruction set that llama.cpp was built for, among other things.
    runs_on: String,
    /// What llama.cpp said of devices, layers and fused attention.
    notes: Vec<String>,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.reps == 0 || options.prefill + options.decode == 0 {
        bail!("--reps, and one of --prefill and --decode, must be at least 1");
    }
    let report = measure(options)?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    Ok(())
}

impl Report {
    fn print(&self) {
        println!("{}", self.runs_on);
        self.notes.iter().for_each(|note| println!("{note}"));
        for (what, samples) in [("prefill", &self.prefill), ("decode", &self.decode)] {
            if let Some(Samples { n_tokens, median_tps, samples_tps }) = samples {
                println!("{what:7} {n_tokens:5} tokens, median {median_tps:8.2} tok/s of {samples_tps:.2?}");
            }
        }
        if let Some(bytes) = self.peak_rss_bytes {
            println!("peak memory {:.3} GB", bytes as f64 / 1e9);
        }
    }
}

fn measure(options: &Options) -> Result<Report> {
    let Options { prefill, decode, depth, reps, .. } = *options;
    let model = Model::load(&options.model, options.gpu_layers)?;
    // A decode has one token before those that are measured, as run-model's has.
    let n_ctx = depth + prefill.max(decode + 1);
    let settings = Settings { n_ctx, threads: options.threads, precise: false };
    let mut bench = Bench { context: Context::new(&model, &settings)?, tokens: tokens(n_ctx, model.n_vocab()) };
    Ok(Report {
        prefill: samples(prefill, reps, |n, depth| bench.prefill(n, depth), depth)?,
        decode: samples(decode, reps, |n, depth| bench.decode(n, depth), depth)?,
        runs_on: system_info(),
        notes: notes(),
        peak_rss_bytes: memory::peak(),
    })
}

/// Does the work once unmeasured, for pages of the file to come in and buffers to be allocated, then `reps` times.
fn samples(
    n_tokens: usize,
    reps: usize,
    mut work: impl FnMut(usize, usize) -> Result<f64>,
    depth: usize,
) -> Result<Option<Samples>> {
    if n_tokens == 0 {
        return Ok(None);
    }
    // At no depth, since filling the context is most of the time that a repetition takes.
    work(n_tokens, 0)?;
    let samples_tps = (0..reps).map(|_| work(n_tokens, depth)).collect::<Result<Vec<f64>>>()?;
    Ok(Some(Samples { n_tokens, median_tps: median(&samples_tps), samples_tps }))
}

struct Bench<'model> {
    context: Context<'model>,
    tokens: Vec<i32>,
}

impl Bench<'_> {
    /// Tokens per second of a prompt of `n` after `depth` tokens.
    fn prefill(&mut self, n: usize, depth: usize) -> Result<f64> {
        self.fill(depth)?;
        let start = Instant::now();
        self.context.decode(&self.tokens[depth..depth + n], depth, Wanted::Last, |_, _| {})?;
        Ok(n as f64 / start.elapsed().as_secs_f64())
    }

    /// Tokens per second of `n` one by one after `depth` tokens and a first one.
    fn decode(&mut self, n: usize, depth: usize) -> Result<f64> {
        self.fill(depth + 1)?;
        let start = Instant::now();
        for place in depth + 1..depth + 1 + n {
            self.context.decode(&self.tokens[place..place + 1], place, Wanted::Last, |_, _| {})?;
        }
        Ok(n as f64 / start.elapsed().as_secs_f64())
    }

    fn fill(&mut self, depth: usize) -> Result<()> {
        self.context.clear();
        self.context.decode(&self.tokens[..depth], 0, Wanted::Last, |_, _| {})
    }
}

/// Any tokens do: the work depends on how many there are, not on which. (Linear congruence: Knuth's MMIX.)
fn tokens(n: usize, n_vocab: usize) -> Vec<i32> {
    let mut state: u64 = 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize % n_vocab) as i32
        })
        .collect()
}

/// `samples` is not empty.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    (sorted[low] + sorted[high]) / 2.0
}

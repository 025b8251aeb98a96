//! `oracle bench`: llama.cpp's speed, alone or taking turns with run-model.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::llama::{Context, Model, Settings, Wanted, notes, system_info};

#[derive(Args)]
pub(crate) struct Options {
    /// A GGUF file
    model: PathBuf,
    /// Tokens of the prompt, all in one call
    #[arg(long, default_value_t = 512)]
    prefill: usize,
    /// Tokens one by one
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
    /// Take turns with this run-model program: one repetition each, `--reps` times
    #[arg(long, value_name = "RUN_MODEL")]
    vs: Option<PathBuf>,
    /// More arguments for `run-model bench`, separated by spaces, such as `--device gpu`
    #[arg(long, requires = "vs", allow_hyphen_values = true, default_value = "")]
    vs_args: String,
}

/// Tokens per second.
#[derive(Serialize, Deserialize)]
struct Samples {
    n_tokens: usize,
    median_tps: f64,
    samples_tps: Vec<f64>,
}

/// The part of `run-model bench --json` that this program reads, and its own notes.
#[derive(Serialize, Deserialize)]
struct Measured {
    prefill: Samples,
    decode: Samples,
    /// What run-model says it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runs_on: Option<String>,
    /// What llama.cpp said of devices, layers and fused attention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Comparison {
    llama_cpp: Measured,
    run_model: Measured,
    /// run-model's median over llama.cpp's.
    prefill_ratio: f64,
    decode_ratio: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.reps == 0 || options.prefill == 0 || options.decode == 0 {
        bail!("--reps, --prefill and --decode must be at least 1");
    }
    eprintln!("llama.cpp: {}", system_info());
    match &options.vs {
        None => {
            let measured = measure(options)?;
            if options.json {
                println!("{}", serde_json::to_string(&measured)?);
            } else {
                describe("llama.cpp", &measured);
            }
        }
        Some(run_model) => {
            let comparison = take_turns(options, run_model)?;
            if options.json {
                println!("{}", serde_json::to_string(&comparison)?);
            } else {
                describe("llama.cpp", &comparison.llama_cpp);
                describe("run-model", &comparison.run_model);
                let Comparison { prefill_ratio, decode_ratio, .. } = comparison;
                println!("run-model / llama.cpp: prefill {prefill_ratio:.3}, decode {decode_ratio:.3}");
            }
        }
    }
    Ok(())
}

fn describe(who: &str, measured: &Measured) {
    for note in measured.runs_on.iter().chain(&measured.notes) {
        println!("{who}  {note}");
    }
    for (what, samples) in [("prefill", &measured.prefill), ("decode", &measured.decode)] {
        let Samples { n_tokens, median_tps, samples_tps } = samples;
        println!("{who}  {what:7} {n_tokens:5} tokens, median {median_tps:8.2} tok/s of {samples_tps:.2?}");
    }
}

fn measure(options: &Options) -> Result<Measured> {
    let model = Model::load(&options.model, options.gpu_layers)?;
    let n_ctx = options.depth + options.prefill + options.decode;
    let settings = Settings { n_ctx, threads: options.threads, precise: false };
    let mut context = Context::new(&model, &settings)?;
    let tokens = tokens(n_ctx, model.n_vocab());
    let (before, measured) = tokens.split_at(options.depth);
    let (prompt, answer) = measured.split_at(options.prefill);
    // Once unmeasured: pages of the file come in, buffers are allocated.
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for repetition in 0..=options.reps {
        context.clear();
        context.decode(before, 0, Wanted::Last, |_, _| {})?;
        let start = Instant::now();
        context.decode(prompt, options.depth, Wanted::Last, |_, _| {})?;
        let prefill_tps = prompt.len() as f64 / start.elapsed().as_secs_f64();
        // Decode starts at the same depth, not after the prompt.
        context.clear();
        context.decode(before, 0, Wanted::Last, |_, _| {})?;
        let start = Instant::now();
        for (place, token) in answer.iter().enumerate() {
            context.decode(&[*token], options.depth + place, Wanted::Last, |_, _| {})?;
        }
        let decode_tps = answer.len() as f64 / start.elapsed().as_secs_f64();
        if repetition > 0 {
            prefill.push(prefill_tps);
            decode.push(decode_tps);
        }
    }
    let (prefill, decode) = (samples(options.prefill, prefill), samples(options.decode, decode));
    Ok(Measured { prefill, decode, runs_on: None, notes: notes() })
}

/// Each repetition in a process of its own, so that neither side's threads and memory disturb the other.
fn take_turns(options: &Options, run_model: &Path) -> Result<Comparison> {
    let oracle = env::current_exe()?;
    let gpu_layers = options.gpu_layers.to_string();
    let gpu_layers = ["--gpu-layers", &gpu_layers];
    let vs_args: Vec<&str> = options.vs_args.split_whitespace().collect();
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.reps {
        theirs.push(one_repetition(&oracle, options, &gpu_layers)?);
        ours.push(one_repetition(run_model, options, &vs_args)?);
    }
    let [llama_cpp, run_model] = [theirs, ours].map(|turns| Measured {
        prefill: samples(options.prefill, turns.iter().map(|turn| turn.prefill.median_tps).collect()),
        decode: samples(options.decode, turns.iter().map(|turn| turn.decode.median_tps).collect()),
        runs_on: turns.first().and_then(|turn| turn.runs_on.clone()),
        notes: turns.into_iter().next().map(|turn| turn.notes).unwrap_or_default(),
    });
    Ok(Comparison {
        prefill_ratio: run_model.prefill.median_tps / llama_cpp.prefill.median_tps,
        decode_ratio: run_model.decode.median_tps / llama_cpp.decode.median_tps,
        llama_cpp,
        run_model,
    })
}

fn one_repetition(program: &Path, options: &Options, more: &[&str]) -> Result<Measured> {
    let mut command = Command::new(program);
    command.arg("bench").arg(&options.model);
    for (name, value) in [
        ("--prefill", options.prefill),
        ("--decode", options.decode),
        ("--depth", options.depth),
        ("--threads", options.threads),
        ("--reps", 1),
    ] {
        command.arg(name).arg(value.to_string());
    }
    command.arg("--json").args(more);
    let output =
        command.stderr(Stdio::piped()).output().with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", program.display(), output.status, String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("cannot read what {} printed", program.display()))
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

/// `tps` is not empty.
fn samples(n_tokens: usize, tps: Vec<f64>) -> Samples {
    let mut sorted = tps.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    Samples { n_tokens, median_tps: (sorted[low] + sorted[high]) / 2.0, samples_tps: tps }
}

//! `cargo xtask peer`: run-model and llama.cpp on the same files, the two taking turns.

mod bystanders;
mod page_cache;
mod report;
mod scenario;
mod sides;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::env;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::oracle::{self, Build, Isa};
use crate::{commit, process};
use bystanders::Ticks;
use report::{Machine, Measured, Outcome, Report, Row};
use scenario::{PageCache, Scenario};
use sides::{Sample, Side, Task, Who};

#[derive(Args)]
pub(crate) struct Options {
    /// GGUF files; of a model split into several, any one of them
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// What to measure: `decode@DEPTH`, `prefill@TOKENS`, `load@cold`, `load@warm`. Filling a depth takes as long as a
    /// prefill of that many tokens, in every repetition
    #[arg(long = "scenario", value_delimiter = ',', default_value = scenario::DEFAULT)]
    scenarios: Vec<Scenario>,
    /// Numbers of threads; by default 1 and all physical cores that the process may run on
    #[arg(long, value_delimiter = ',')]
    threads: Vec<NonZero<usize>>,
    /// Turns of each side
    #[arg(long, default_value_t = NonZero::<usize>::MIN.saturating_add(4))]
    reps: NonZero<usize>,
    /// Tokens of a decode
    #[arg(long, default_value_t = NonZero::<usize>::MIN.saturating_add(31))]
    decode: NonZero<usize>,
    /// Hold both sides to an instruction set that the machine has more than; llama.cpp is built for it
    #[arg(long, conflicts_with = "vulkan")]
    isa: Option<Isa>,
    /// Measure on the GPU: llama.cpp is built with its Vulkan backend
    #[arg(long)]
    vulkan: bool,
    /// More arguments for `run-model bench` and `run-model run`, separated by spaces, such as `--gpu-layers 20`
    #[arg(long, allow_hyphen_values = true, value_name = "ARGUMENTS", default_value = "")]
    ours: String,
    /// More arguments for `oracle bench` and `oracle first-token`
    #[arg(long, allow_hyphen_values = true, value_name = "ARGUMENTS", default_value = "")]
    theirs: String,
    /// Write all samples to this file, anew after each row
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(missing) = options.models.iter().find(|model| !model.is_file()) {
        bail!("no file {}: expected the path of a GGUF file", missing.display());
    }
    let ours = Side { who: Who::RunModel, program: build_run_model()?, arguments: our_arguments(options) };
    let build = match (options.isa, options.vulkan) {
        (Some(isa), _) => Build::Isa(isa),
        (None, true) => Build::Vulkan,
        (None, false) => Build::Native,
    };
    let theirs = Side { who: Who::LlamaCpp, program: oracle::build(build)?, arguments: their_arguments(options) };
    let doctor: Doctor = ask(Command::new(&ours.program).args(["doctor", "--json"]))?;
    let threads = threads(options, doctor.uses.threads);
    let mut report = Report {
        machine: doctor.machine,
        commit: commit::describe(&[])?,
        command: command(env::args().skip(1), &options.models),
        llama_cpp_sys_2: oracle::version()?,
        n_reps: options.reps.get(),
        n_decode: options.decode.get(),
        run_model_runs_on: String::new(),
        llama_cpp_runs_on: String::new(),
        rows: Vec::new(),
    };
    for model in &options.models {
        let about: Show = ask(Command::new(&ours.program).args(["show", "--json"]).arg(model))?;
        let n_ctx = about.model.context_length.unwrap_or(usize::MAX);
        for &threads in &threads {
            for &scenario in &options.scenarios {
                let n_decode = options.decode.get();
                let task = Task { model, scenario, threads, n_decode, n_ctx: n_ctx.min(MOST_CONTEXT) };
                let before = Ticks::now();
                let outcome = measure(&task, n_ctx, options.reps, [&ours, &theirs], &mut report);
                let others_cores = before.and_then(Ticks::others_since);
                let row = Row { model: name(model), threads, scenario, outcome, others_cores };
                eprintln!("{} {scenario}, threads {threads}: {}", row.model, row.outcome);
                report.rows.push(row);
                if let Some(path) = &options.json {
                    report.write_json(path)?;
                }
            }
        }
    }
    println!("{}", report.markdown());
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The context of an answer, as run-model chooses it where a model has more.
const MOST_CONTEXT: usize = 4096;

/// Both sides in turns, if that can be measured at all. Notes in the report what they run on.
fn measure(task: &Task<'_>, n_ctx: usize, reps: NonZero<usize>, sides: [&Side; 2], report: &mut Report) -> Outcome {
    if let Some(n) = task.scenario.context(task.n_decode).filter(|n| *n > n_ctx) {
        return Outcome::Skipped(format!("it takes a context of {n} tokens, and the model's is {n_ctx}"));
    }
    let files = page_cache::files(task.model);
    if task.scenario == Scenario::FirstToken(PageCache::Cold)
        && let Err(error) = page_cache::empty(&files)
    {
        return Outcome::Skipped(format!("{error:#}"));
    }
    let measured = take_turns(task, &files, reps, sides).and_then(|[ours, theirs]| {
        for (runs_on, samples) in [(&mut report.run_model_runs_on, &ours), (&mut report.llama_cpp_runs_on, &theirs)] {
            if let (true, Some(sample)) = (runs_on.is_empty(), samples.first()) {
                runs_on.clone_from(&sample.runs_on);
            }
        }
        Measured::new(task.scenario.unit(), ours, theirs).context("there are no samples")
    });
    measured.map_or_else(|error| Outcome::Failed(format!("{error:#}")), Outcome::Measured)
}

fn take_turns(task: &Task<'_>, files: &[PathBuf], reps: NonZero<usize>, sides: [&Side; 2]) -> Result<[Vec<Sample>; 2]> {
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..reps.get() {
        for (side, samples) in sides.iter().zip(&mut samples) {
            match task.scenario {
                Scenario::FirstToken(PageCache::Cold) => page_cache::empty(files)?,
                Scenario::FirstToken(PageCache::Warm) => page_cache::fill(files)?,
                // The program warms up before it measures.
                Scenario::Decode { .. } | Scenario::Prefill { .. } => {}
            }
            samples.push(side.measure(task)?);
        }
        let [ours, theirs] = &samples;
        if ours.last().map(|sample| &sample.prompt_ids) != theirs.last().map(|sample| &sample.prompt_ids) {
            bail!("the two cut the prompt into different tokens, so they do different work");
        }
    }
    Ok(samples)
}

/// Builds run-model as it is shipped, and returns the program's path.
fn build_run_model() -> Result<PathBuf> {
    process::run(process::cargo().args(["build", "--locked", "--release", "--package", "run-model"]))?;
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata: Metadata =
        ask(process::cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]))?;
    Ok(metadata.target_directory.join("release").join(format!("run-model{}", env::consts::EXE_SUFFIX)))
}

/// The part of `run-model doctor --json` that this program reads.
#[derive(Deserialize)]
struct Doctor {
    #[serde(flatten)]
    machine: Machine,
    uses: Uses,
}

#[derive(Deserialize)]
struct Uses {
    threads: NonZero<usize>,
}

/// The part of `run-model show --json` that this program reads.
#[derive(Deserialize)]
struct Show {
    model: Facts,
}

#[derive(Deserialize)]
struct Facts {
    context_length: Option<usize>,
}

fn ask<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = process::output(command)?;
    serde_json::from_str(&text).with_context(|| format!("cannot read what {command:?} printed"))
}

fn our_arguments(options: &Options) -> Vec<String> {
    let mut arguments = words(&options.ours);
    // A GPU is used by default where there is one.
    set_unless_given(&mut arguments, "--device", if options.vulkan { "gpu" } else { "cpu" });
    if let Some(isa) = options.isa {
        set_unless_given(&mut arguments, "--isa", isa.name());
    }
    arguments
}

fn their_arguments(options: &Options) -> Vec<String> {
    let mut arguments = words(&options.theirs);
    if options.vulkan {
        set_unless_given(&mut arguments, "--gpu-layers", "999"); // all
    }
    arguments
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn set_unless_given(arguments: &mut Vec<String>, name: &str, value: &str) {
    let is_it =
        |argument: &String| argument.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    if !arguments.iter().any(is_it) {
        arguments.extend([name, value].map(str::to_owned));
    }
}

/// What was asked for; or one and all, where the threads are what works.
fn threads(options: &Options, all: NonZero<usize>) -> Vec<usize> {
    if !options.threads.is_empty() {
        return options.threads.iter().map(|n| n.get()).collect();
    }
    let mut threads = if options.vulkan { vec![all.get()] } else { vec![1, all.get()] };
    threads.dedup();
    threads
}

/// The command as a reader would type it, without the folders of this machine.
fn command(arguments: impl Iterator<Item = String>, models: &[PathBuf]) -> String {
    let argument = |argument: String| match models.iter().find(|model| *model == Path::new(&argument)) {
        Some(model) => model.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        None if argument.contains(' ') => format!("\"{argument}\""),
        None => argument,
    };
    let words = ["cargo".to_owned(), "xtask".to_owned()].into_iter().chain(arguments.map(argument));
    words.collect::<Vec<_>>().join(" ")
}

fn name(model: &Path) -> String {
    model.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Options {
        // The first word is the program's name.
        Line::try_parse_from(["peer", "m.gguf"].into_iter().chain(line.split(' ').filter(|w| !w.is_empty())))
            .unwrap()
            .options
    }

    #[test]
    fn both_sides_are_told_where_to_run() {
        let both = |line: &str| {
            let options = options(line);
            (our_arguments(&options).join(" "), their_arguments(&options).join(" "))
        };
        let expected = |ours: &str, theirs: &str| (ours.to_owned(), theirs.to_owned());
        assert_eq!(both(""), expected("--device cpu", ""));
        assert_eq!(both("--isa avx2"), expected("--device cpu --isa avx2", ""));
        assert_eq!(both("--vulkan"), expected("--device gpu", "--gpu-layers 999"));
        assert_eq!(both("--ours=--device=auto --theirs=-x"), expected("--device=auto", "-x"));
        assert_eq!(both("--vulkan --theirs=--gpu-layers=7"), expected("--device gpu", "--gpu-layers=7"));
    }

    #[test]
    fn one_thread_and_all() {
        let all = |n| NonZero::new(n).unwrap();
        assert_eq!(threads(&options(""), all(4)), [1, 4]);
        assert_eq!(threads(&options(""), all(1)), [1]);
        assert_eq!(threads(&options("--vulkan"), all(4)), [4]);
        assert_eq!(threads(&options("--threads 3,2"), all(4)), [3, 2]);
    }

    #[test]
    fn the_command_names_no_folder() {
        let arguments = ["peer", "/a/b/m.gguf", "--ours", "--isa avx2"].map(str::to_owned);
        let command = command(arguments.into_iter(), &[PathBuf::from("/a/b/m.gguf")]);
        assert_eq!(command, "cargo xtask peer m.gguf --ours \"--isa avx2\"");
    }
}

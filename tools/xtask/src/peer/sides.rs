//! The two programs, and what each is asked and answers.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::scenario::Scenario;
use crate::process;

/// Who is measured. Each has arguments of its own, after those that say what to measure.
pub(super) struct Side {
    pub(super) who: Who,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    RunModel,
    LlamaCpp,
}

/// What to do once.
pub(super) struct Task<'a> {
    pub(super) model: &'a Path,
    pub(super) scenario: Scenario,
    pub(super) threads: usize,
    pub(super) n_decode: usize,
    /// Tokens that the context holds when a model is loaded for an answer.
    pub(super) n_ctx: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    /// In the scenario's unit.
    pub(super) value: f64,
    pub(super) peak_bytes: Option<u64>,
    /// Of the program: its backends, or what it was built for and said of itself.
    #[serde(skip)]
    pub(super) runs_on: String,
    /// The ids of the prompt that an answer was given to.
    #[serde(skip)]
    pub(super) prompt_ids: Vec<u32>,
}

impl Side {
    /// Does the task in a process of its own, so that no threads and memory are left of the one before.
    pub(super) fn measure(&self, task: &Task<'_>) -> Result<Sample> {
        match task.scenario {
            Scenario::Decode { depth } => self.speed(task, 0, task.n_decode, depth),
            Scenario::Prefill { n_tokens } => self.speed(task, n_tokens, 0, 0),
            Scenario::FirstToken(_) => self.first_token(task),
        }
    }

    fn speed(&self, task: &Task<'_>, n_prefill: usize, n_decode: usize, depth: usize) -> Result<Sample> {
        let mut command = Command::new(&self.program);
        command.arg("bench").arg(task.model).args(["--reps", "1", "--json"]);
        for (name, value) in [("--prefill", n_prefill), ("--decode", n_decode), ("--depth", depth)] {
            command.arg(name).arg(value.to_string());
        }
        self.answer::<Speed>(command, task)?.sample()
    }

    fn first_token(&self, task: &Task<'_>) -> Result<Sample> {
        let mut command = Command::new(&self.program);
        match self.who {
            Who::RunModel => command.arg("run").arg(task.model).arg(PROMPT).args(RUN_MODEL_CHOOSES_ONE),
            Who::LlamaCpp => command.arg("first-token").arg(task.model).arg(PROMPT),
        };
        command.arg("--ctx").arg(task.n_ctx.to_string());
        self.answer::<FirstToken>(command, task)?.sample()
    }

    fn answer<T: DeserializeOwned>(&self, mut command: Command, task: &Task<'_>) -> Result<T> {
        command.arg("--threads").arg(task.threads.to_string()).args(&self.arguments);
        let text = process::output(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("cannot read what {} printed", self.program.display()))
    }
}

/// The most likely token alone, and how long it took.
const RUN_MODEL_CHOOSES_ONE: [&str; 6] = ["--raw", "--temp", "0", "--max-tokens", "1", "--json"];

/// "The capital of Korea is": a short prompt, so that loading is most of what is measured.
const PROMPT: &str = "대한민국의 수도는";

/// The part of `bench --json` that both programs print.
#[derive(Deserialize)]
struct Speed {
    prefill: Option<Rate>,
    decode: Option<Rate>,
    runs_on: String,
    /// llama.cpp's.
    #[serde(default)]
    notes: Vec<String>,
    peak_rss_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Rate {
    median_tps: f64,
}

impl Speed {
    fn sample(self) -> Result<Sample> {
        let Speed { prefill, decode, runs_on, notes, peak_rss_bytes: peak_bytes } = self;
        let rate = prefill.or(decode).context("expected a measurement of prefill or decode, found neither")?;
        let runs_on = [runs_on].into_iter().chain(notes).collect::<Vec<_>>().join("; ");
        Ok(Sample { value: rate.median_tps, peak_bytes, runs_on, prompt_ids: Vec::new() })
    }
}

/// The part of `run-model run --json` that `oracle first-token` prints, too.
#[derive(Deserialize)]
struct FirstToken {
    prompt_ids: Vec<u32>,
    runs_on: String,
    timings: Timings,
}

#[derive(Deserialize)]
struct Timings {
    first_token_s: Option<f64>,
    peak_rss_bytes: Option<u64>,
}

impl FirstToken {
    fn sample(self) -> Result<Sample> {
        let FirstToken { prompt_ids, runs_on, timings } = self;
        let seconds = timings.first_token_s.context("no token was chosen")?;
        Ok(Sample { value: 1e3 * seconds, peak_bytes: timings.peak_rss_bytes, runs_on, prompt_ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_understood() {
        let ours = r#"{"model": "m", "runs_on": "cpu-avx2", "prefill": null, "depth": 0, "peak_rss_bytes": 5,
            "decode": {"n_tokens": 8, "median_tps": 12.5, "samples_tps": [12.5]}}"#;
        let sample = serde_json::from_str::<Speed>(ours).unwrap().sample().unwrap();
        assert_eq!((sample.value, sample.peak_bytes, sample.runs_on.as_str()), (12.5, Some(5), "cpu-avx2"));
        let theirs = r#"{"ids": [7], "prompt_ids": [1, 2], "runs_on": "AVX2 = 1",
            "timings": {"load_s": 0.2, "first_token_s": 0.25, "peak_rss_bytes": null}}"#;
        let sample = serde_json::from_str::<FirstToken>(theirs).unwrap().sample().unwrap();
        assert_eq!((sample.value, sample.peak_bytes, sample.prompt_ids), (250.0, None, vec![1, 2]));
        let nothing = r#"{"runs_on": "", "prefill": null, "decode": null, "peak_rss_bytes": null}"#;
        assert!(serde_json::from_str::<Speed>(nothing).unwrap().sample().is_err());
    }
}

//! What was measured, as JSON and as a table for `docs/performance.md`.

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::scenario::Scenario;
use super::sides::Sample;

/// Everything, with what a number needs beside it to mean anything.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) commit: String,
    pub(super) command: String,
    /// The version of the crate that llama.cpp comes with.
    pub(super) llama_cpp_sys_2: String,
    pub(super) n_reps: usize,
    pub(super) n_decode: usize,
    /// What each said that it runs on; empty before anything is measured.
    pub(super) run_model_runs_on: String,
    pub(super) llama_cpp_runs_on: String,
    pub(super) rows: Vec<Row>,
}

/// As `run-model doctor --json` tells it.
#[derive(Serialize, serde::Deserialize)]
pub(super) struct Machine {
    cpu: Option<String>,
    cpu_features: Vec<String>,
    logical_cpus: Option<usize>,
    total_memory: Option<u64>,
}

/// One scenario with one model and number of threads.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) model: String,
    pub(super) threads: usize,
    #[serde(serialize_with = "by_name")]
    pub(super) scenario: Scenario,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// How many cores other programs used meanwhile.
    pub(super) others_cores: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Measured(Measured),
    /// Why it could not be measured here.
    Skipped(String),
    /// What went wrong.
    Failed(String),
}

/// The samples of both, in the order in which they were taken in turns.
#[derive(Serialize)]
pub(super) struct Measured {
    unit: &'static str,
    run_model: Of,
    llama_cpp: Of,
    /// run-model's median over llama.cpp's.
    ratio: f64,
    peak_ratio: Option<f64>,
}

#[derive(Serialize)]
struct Of {
    median: f64,
    /// The median of the processes' peaks.
    peak_bytes: Option<f64>,
    samples: Vec<Sample>,
}

impl Measured {
    /// `None` where a side has no samples.
    pub(super) fn new(unit: &'static str, run_model: Vec<Sample>, llama_cpp: Vec<Sample>) -> Option<Measured> {
        let (run_model, llama_cpp) = (Of::new(run_model)?, Of::new(llama_cpp)?);
        let peak_ratio = run_model.peak_bytes.zip(llama_cpp.peak_bytes).map(|(ours, theirs)| ours / theirs);
        Some(Measured { unit, ratio: run_model.median / llama_cpp.median, peak_ratio, run_model, llama_cpp })
    }
}

impl Of {
    fn new(samples: Vec<Sample>) -> Option<Of> {
        let median_of = |value: fn(&Sample) -> Option<f64>| {
            let values: Option<Vec<f64>> = samples.iter().map(value).collect();
            median(values?)
        };
        let peak_bytes = median_of(|sample| sample.peak_bytes.map(|bytes| bytes as f64));
        Some(Of { median: median_of(|sample| Some(sample.value))?, peak_bytes, samples })
    }
}

impl Report {
    pub(super) fn has_failures(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
    }

    pub(super) fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Machine, commit and command, and the table.
    pub(super) fn markdown(&self) -> String {
        let Machine { cpu, logical_cpus, total_memory, .. } = &self.machine;
        let unknown = || "an unknown number of".to_owned();
        format!(
            "{} virtual cores of {}, {} GiB of memory; commit {}; llama.cpp of `llama-cpp-sys-2` {}; the two \
             taking turns {} times, medians; {} tokens in each decode.\nSilhak ran on {}, llama.cpp on {}. \
             Other programs used {}.\n\n\
             ```sh\n{}\n```\n\n{}",
            logical_cpus.map_or_else(unknown, |n| n.to_string()),
            cpu.as_deref().unwrap_or("an unknown processor"),
            total_memory.map_or_else(unknown, |bytes| figure(bytes as f64 / f64::from(1 << 30))),
            self.commit,
            self.llama_cpp_sys_2,
            self.n_reps,
            self.n_decode,
            if self.run_model_runs_on.is_empty() { "nothing" } else { &self.run_model_runs_on },
            if self.llama_cpp_runs_on.is_empty() { "nothing" } else { &self.llama_cpp_runs_on },
            self.others(),
            self.command,
            self.table(),
        )
    }

    /// In the row that was disturbed most.
    fn others(&self) -> String {
        let measured = self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Measured(_)));
        let most = measured.map(|row| row.others_cores).collect::<Option<Vec<f64>>>();
        let most = most.and_then(|cores| cores.into_iter().max_by(f64::total_cmp));
        most.map_or_else(
            || "an unknown number of cores meanwhile".to_owned(),
            |cores| format!("at most {cores:.2} cores meanwhile"),
        )
    }

    fn table(&self) -> String {
        let mut text = String::from(HEAD);
        for row in &self.rows {
            let Row { model, threads, scenario, outcome, .. } = row;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {model} | {threads} | {}, {} | {outcome} |", scenario.title(), scenario.unit());
        }
        text
    }
}

const HEAD: &str = "\
| model | threads | | Silhak | llama.cpp | ratio | peak memory in GB, Silhak | llama.cpp | ratio |
|---|---|---|---|---|---|---|---|---|
";

impl std::fmt::Display for Outcome {
    /// The cells of the table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Measured { run_model, llama_cpp, ratio, peak_ratio, .. } = match self {
            Outcome::Measured(measured) => measured,
            Outcome::Skipped(why) => return write!(f, "SKIPPED: {} | | | | |", one_line(why)),
            Outcome::Failed(why) => return write!(f, "**FAILED**: {} | | | | |", one_line(why)),
        };
        let gigabytes = |bytes: Option<f64>| bytes.map_or_else(String::new, |bytes| figure(bytes / 1e9));
        write!(f, "{} | {} | {ratio:.2} | ", figure(run_model.median), figure(llama_cpp.median))?;
        write!(f, "{} | {} | ", gigabytes(run_model.peak_bytes), gigabytes(llama_cpp.peak_bytes))?;
        f.write_str(&peak_ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")))
    }
}

fn by_name<S: Serializer>(scenario: &Scenario, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(scenario)
}

/// For a cell of a table.
fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Three digits, or all before the point.
fn figure(x: f64) -> String {
    let decimals = match x {
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{x:.decimals$}")
}

/// The one in the middle, or the mean of the two there.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let low = values.get(values.len().checked_sub(1)? / 2)?;
    Some((low + values[values.len() / 2]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::scenario::PageCache;
    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let sample = |&value| Sample {
            value,
            peak_bytes: Some((value * 1e9) as u64),
            runs_on: String::new(),
            prompt_ids: Vec::new(),
        };
        values.iter().map(sample).collect()
    }

    fn report(rows: Vec<Row>) -> Report {
        Report {
            machine: Machine { cpu: None, cpu_features: vec![], logical_cpus: Some(2), total_memory: Some(24 << 30) },
            commit: "abc".to_owned(),
            command: "cargo xtask peer m.gguf".to_owned(),
            llama_cpp_sys_2: "0.1".to_owned(),
            n_reps: 3,
            n_decode: 32,
            run_model_runs_on: "cpu-avx2".to_owned(),
            llama_cpp_runs_on: "AVX2 = 1".to_owned(),
            rows,
        }
    }

    fn row(scenario: Scenario, outcome: Outcome) -> Row {
        Row { model: "m".to_owned(), threads: 2, scenario, outcome, others_cores: Some(0.125) }
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 10.0]), Some(3.0));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.1234, 1.234, 12.34, 123.4, 1234.5].map(figure);
        assert_eq!(figures, ["0.123", "1.23", "12.3", "123", "1234"]);
    }

    #[test]
    fn the_table_has_a_cell_for_everything() {
        let measured = Measured::new("tokens/s", samples(&[30.0, 10.0, 20.0]), samples(&[8.0, 10.0, 9.0])).unwrap();
        let report = report(vec![
            row(Scenario::Decode { depth: 0 }, Outcome::Measured(measured)),
            row(Scenario::Prefill { n_tokens: 512 }, Outcome::Skipped("too\nlong".to_owned())),
            row(Scenario::FirstToken(PageCache::Cold), Outcome::Failed("a | b".to_owned())),
        ]);
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "| m | 2 | decode after 0, tokens/s | 20.0 | 9.00 | 2.22 | 20.0 | 9.00 | 2.22 |");
        assert_eq!(lines[3], "| m | 2 | prefill 512, tokens/s | SKIPPED: too long | | | | | |");
        assert_eq!(lines[4], "| m | 2 | load to first token, cold, ms | **FAILED**: a \\| b | | | | | |");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{table}");
        assert!(report.has_failures());
        let text = report.markdown();
        assert!(text.starts_with("2 virtual cores of an unknown processor, 24.0 GiB of memory; commit abc;"), "{text}");
        assert!(text.contains("Other programs used at most 0.12 cores meanwhile."), "{text}");
    }

    #[test]
    fn the_json_has_all_samples() {
        let measured = Measured::new("ms", samples(&[3.0, 5.0]), samples(&[2.0, 2.0])).unwrap();
        let report = report(vec![row(Scenario::Decode { depth: 7 }, Outcome::Measured(measured))]);
        let json = serde_json::to_value(&report).unwrap();
        let row = &json["rows"][0];
        assert_eq!((row["scenario"].as_str(), row["measured"]["ratio"].as_f64()), (Some("decode@7"), Some(2.0)));
        assert_eq!(row["measured"]["run_model"]["samples"][1]["value"].as_f64(), Some(5.0));
        assert!(!report.has_failures());
    }
}

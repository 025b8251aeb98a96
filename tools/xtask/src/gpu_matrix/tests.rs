//! The tests that need a GPU, run file by file.

use anyhow::{Context, Result};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::driver::Driver;
use crate::{folders, process};

/// How a file of tests went.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) took: Duration,
}

/// Runs the models that `cargo xtask fetch` downloads.
const OF_MODELS: &str = "gpu_golden";

/// The files of `tests/tests` that begin with `gpu_`, without their extension.
pub(super) fn files(with_models: bool) -> Result<Vec<String>> {
    let folder = folders::checkout().join("tests/tests");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".rs"));
        files.extend(stem.filter(|stem| stem.starts_with("gpu_")).map(str::to_owned));
    }
    files.retain(|file| with_models || file != OF_MODELS);
    files.sort();
    Ok(files)
}

/// Builds the tests, so that no test's time has that in it.
pub(super) fn build(files: &[String]) -> Result<()> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "silhak-tests", "--no-run"]);
    for file in files {
        command.args(["--test", file]);
    }
    process::run(&mut command)
}

/// Runs a file's tests on a driver. What failed is shown.
pub(super) fn run(file: &str, driver: &Driver) -> Result<Outcome> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "silhak-tests", "--test", file]);
    // A test that finds no GPU here must not pass.
    driver.choose(&mut command).env("SILHAK_REQUIRE", "gpu").stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo test")?;
    let took = begun.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        println!("{text}");
    }
    let (passed, failed) = text.lines().find_map(counts).unwrap_or((0, u32::from(!output.status.success())));
    println!("{file:20} {passed} passed, {failed} failed ({:.0} s)", took.as_secs_f64());
    Ok(Outcome { passed, failed, took })
}

/// Reads `test result: ok. 4 passed; 0 failed; 0 ignored; ...`.
fn counts(line: &str) -> Option<(u32, u32)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ").filter_map(|part| part.split(' ').next()?.parse().ok());
    Some((counts.next()?, counts.next()?))
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn results_are_read_as_cargo_writes_them() {
        let line = "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s";
        assert_eq!(counts(line), Some((5, 1)));
        assert_eq!(counts("running 6 tests"), None);
    }

    #[test]
    fn the_tests_of_the_gpu_are_found() {
        let [few, all] = [false, true].map(|with_models| files(with_models).unwrap());
        assert!(few.contains(&"gpu_conformance".to_owned()));
        assert_eq!(all.len(), few.len() + 1);
    }
}

//! `cargo test` for the whole workspace, with the tests that skipped themselves picked out of its output.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::report::Outcome;
use crate::process;

/// `python`, when given, is the interpreter that tests use.
pub(super) fn run(python: Option<&Path>) -> Result<Vec<(String, Outcome)>> {
    let mut command = process::cargo();
    // --show-output: a test says on standard output that it was skipped.
    command.args(["test", "--locked", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    // Mesa's driver complains of a missing desktop at every start otherwise.
    command.env("NODEVICE_SELECT", "1");
    if let Some(python) = python {
        command.env("SILHAK_PYTHON", python);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut filter = Filter::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if filter.shows(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    let outcome =
        if status.success() { Outcome::Passed } else { Outcome::Failed(format!("cargo test ended with {status}")) };
    let mut parts = vec![("workspace".to_owned(), outcome)];
    parts.extend(filter.skipped.into_iter().map(|(test, why)| (test, Outcome::Skipped(why))));
    Ok(parts)
}

/// Hides what passing tests printed, save that they were skipped.
#[derive(Default)]
struct Filter {
    in_successes: bool,
    test: String,
    /// (test, why)
    skipped: Vec<(String, String)>,
}

impl Filter {
    fn shows(&mut self, line: &str) -> bool {
        if let Some(why) = line.strip_prefix(SKIPPED) {
            let why = why.trim_start_matches(':').trim();
            self.skipped.push((self.test.clone(), why.to_owned()));
            return true;
        }
        if let Some(test) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            test.clone_into(&mut self.test);
        }
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" {
            self.in_successes = false;
        } else if line.starts_with("test result: ") {
            self.in_successes = false;
            self.test.clear();
        }
        !self.in_successes && !line.is_empty()
    }
}

const SKIPPED: &str = "SKIPPED";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_found_and_the_chatter_of_passing_tests_is_hidden() {
        let output = "\
running 3 tests
test a::quiet ... ok
test a::real_model ... ok
test a::wrong ... FAILED

successes:

---- a::quiet stdout ----
loaded in 3 s

---- a::real_model stdout ----
SKIPPED: no smollm2-135m.gguf in the test-model folder


successes:
    a::quiet
    a::real_model

failures:

---- a::wrong stdout ----
thread 'a::wrong' panicked

failures:
    a::wrong

test result: FAILED. 2 passed; 1 failed; 0 ignored";
        let mut filter = Filter::default();
        let shown: Vec<&str> = output.lines().filter(|line| filter.shows(line)).collect();
        assert_eq!(
            filter.skipped,
            [("a::real_model".to_owned(), "no smollm2-135m.gguf in the test-model folder".to_owned())]
        );
        assert!(!shown.contains(&"loaded in 3 s"));
        assert!(shown.contains(&"thread 'a::wrong' panicked"));
        assert!(shown.iter().any(|line| line.starts_with("test result: FAILED")));
    }
}

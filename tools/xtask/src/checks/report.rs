//! Headings while steps run, and at the end what passed, what was skipped and why, and what failed.

use anyhow::Result;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(super) enum Outcome {
    Passed,
    /// Why it could not run here.
    Skipped(String),
    /// What is wrong.
    Failed(String),
}

/// What one step, or one part of a step, came to.
struct Line {
    name: String,
    outcome: Outcome,
    took: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Runs a step that has one outcome; an error is a failure.
    pub(super) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) {
        self.value(name, || {
            let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
            (outcome, ())
        });
    }

    /// Runs a step that also yields something for later ones.
    pub(super) fn value<T>(&mut self, name: &str, step: impl FnOnce() -> (Outcome, T)) -> T {
        heading(name);
        let start = Instant::now();
        let (outcome, value) = step();
        self.add(name.to_owned(), outcome, Some(start.elapsed()));
        value
    }

    /// Runs a step with parts that are reported one by one; an error fails the step as a whole.
    pub(super) fn steps(&mut self, name: &str, step: impl FnOnce() -> Result<Vec<(String, Outcome)>>) {
        heading(name);
        let start = Instant::now();
        let outcome = step();
        let took = Some(start.elapsed());
        match outcome {
            Ok(parts) => {
                for (index, (part, outcome)) in parts.into_iter().enumerate() {
                    let took = took.filter(|_| index == 0);
                    self.add(format!("{name}: {part}"), outcome, took);
                }
            }
            Err(error) => self.add(name.to_owned(), Outcome::Failed(format!("{error:#}")), took),
        }
    }

    fn add(&mut self, name: String, outcome: Outcome, took: Option<Duration>) {
        let line = Line { name, outcome, took };
        println!("{}", describe(&line));
        self.lines.push(line);
    }

    /// Prints the summary; the exit code says whether nothing failed.
    pub(super) fn finish(self) -> ExitCode {
        heading("summary");
        let (mut passed, mut skipped, mut failed) = (0, 0, 0);
        for line in &self.lines {
            match line.outcome {
                Outcome::Passed => passed += 1,
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Failed(_) => failed += 1,
            }
            println!("{}", describe(line));
        }
        println!("\n{passed} passed, {skipped} skipped, {failed} failed");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn heading(name: &str) {
    println!("\n=== {name}");
}

fn describe(line: &Line) -> String {
    let took = match line.took {
        Some(took) => format!(" ({:.0} s)", took.as_secs_f64()),
        None => String::new(),
    };
    match &line.outcome {
        Outcome::Passed => format!("passed   {}{took}", line.name),
        Outcome::Skipped(why) => format!("SKIPPED  {}{took}: {why}", line.name),
        Outcome::Failed(why) => format!("FAILED   {}{took}: {why}", line.name),
    }
}

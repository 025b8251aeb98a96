//! `cargo xtask test`: every check and test of the project, one heading each, and a summary of what ran.

mod cargo_test;
mod deny;
mod report;

use anyhow::{Result, bail};
use clap::Args;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::arm::{self, ARM};
use crate::{fetch, folders, process, python, spills};
use report::{Outcome, Report};

#[derive(Args)]
pub(crate) struct Options {
    /// Download nothing: what needs an absent download is skipped
    #[arg(long)]
    offline: bool,
}

/// What `SILHAK_REQUIRE` may name: with it, a test that lacks this fails instead of being skipped.
const MODELS: &str = "models";
const PYTHON: &str = "python";

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut report = Report::default();
    report.step("formatting", formatting);
    report.step("embedding stays lean", embedding);
    let mut interpreter = None;
    if !options.offline {
        report.step("fetch models and texts", models);
        interpreter = report.value("install Python packages", python);
        report.step("fetch references", references);
    }
    report.step("cargo clippy", clippy);
    report.step("documentation builds", documentation);
    report.steps("cargo deny", || deny::check(options.offline));
    report.steps("cargo test", || cargo_test::run(interpreter.as_deref()));
    report.step("inner loops in registers", spills);
    report.step("CPU kernels on ARM", || arm(options.offline, interpreter.as_deref()));
    Ok(report.finish())
}

/// Whether `SILHAK_REQUIRE`, a comma-separated list, names `thing`.
pub(crate) fn required(thing: &str) -> bool {
    env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|entry| entry.trim() == thing))
}

/// `why` something that is not there is no error, unless `SILHAK_REQUIRE` names it.
fn absent(thing: &str, why: String) -> Outcome {
    if required(thing) { Outcome::Failed(why) } else { Outcome::Skipped(why) }
}

fn formatting() -> Result<Outcome> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    for apart in ["tests/oracle", "tests/fuzz"] {
        let manifest = folders::checkout().join(apart).join("Cargo.toml");
        process::run(process::cargo().args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
    }
    Ok(Outcome::Passed)
}

/// An application that embeds the CPU engine must not have to compile any of these.
const NOT_FOR_EMBEDDING: &[&str] = &[
    "ash",
    "async-std",
    "curl",
    "hyper",
    "metal",
    "naga",
    "reqwest",
    "rustls",
    "smol",
    "tokio",
    "ureq",
    "wgpu",
    "wgpu-core",
    "wgpu-hal",
];

fn embedding() -> Result<Outcome> {
    let tree = process::output(process::cargo().args([
        "tree",
        "--locked",
        "--package",
        "embed-rust",
        "--no-default-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    if !names.contains(&"silhak") {
        bail!("expected silhak in the tree of examples/embed-rust, found:\n{tree}");
    }
    for name in NOT_FOR_EMBEDDING {
        if names.contains(name) {
            bail!(
                "examples/embed-rust compiles {name}: `cargo tree --package embed-rust --no-default-features --invert {name}` shows why"
            );
        }
    }
    process::run(process::cargo().args(["check", "--locked", "--package", "embed-rust", "--no-default-features"]))?;
    Ok(Outcome::Passed)
}

fn models() -> Result<Outcome> {
    let failures = fetch::models()?;
    if failures.is_empty() {
        return Ok(Outcome::Passed);
    }
    Ok(absent(MODELS, failures.join("\n")))
}

/// The interpreter that has the packages which tests compare with.
fn python() -> (Outcome, Option<PathBuf>) {
    match python::interpreter() {
        Ok(interpreter) => (Outcome::Passed, Some(interpreter)),
        Err(error) => (absent(PYTHON, format!("{error:#}")), None),
    }
}

fn references() -> Result<Outcome> {
    match fetch::references::make() {
        Ok(()) => Ok(Outcome::Passed),
        Err(error) => Ok(absent(MODELS, format!("{error:#}"))),
    }
}

fn arm(offline: bool, python: Option<&Path>) -> Result<Outcome> {
    match arm::Toolchain::find(offline) {
        Ok(toolchain) => toolchain.check(python).map(|()| Outcome::Passed),
        Err(error) => Ok(absent(ARM, format!("{error:#}"))),
    }
}

fn spills() -> Result<Outcome> {
    if let Some(why) = spills::cannot_run() {
        return Ok(absent(spills::BINUTILS, why));
    }
    spills::check(&spills::measure()?)?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    process::run(process::cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    Ok(Outcome::Passed)
}

fn documentation() -> Result<Outcome> {
    process::run(
        process::cargo()
            .args(["doc", "--locked", "--workspace", "--no-deps", "--keep-going"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    Ok(Outcome::Passed)
}

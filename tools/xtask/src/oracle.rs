//! Builds and runs `tests/oracle`, which links ggml and llama.cpp.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{folders, process};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Arguments for the oracle; `--help` lists them. With none, everything is compared on all test models
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    for (program, version) in [("cmake", "--version"), ("c++", "--version")] {
        if !process::available(program, &[version]) {
            bail!("needs {program} to build llama.cpp: install it (on Debian: apt-get install cmake libclang-dev g++)");
        }
    }
    let folder = folders::checkout().join("tests/oracle");
    let target = target_folder()?;
    // Cargo reads the oracle's own settings (instruction set) only when it starts in the oracle's folder.
    process::run(process::cargo().current_dir(&folder).args(["build", "--release", "--target-dir"]).arg(&target))?;
    let oracle = target.join("release").join(format!("oracle{}", env::consts::EXE_SUFFIX));
    if options.arguments.is_empty() {
        return everything(&oracle);
    }
    process::run(Command::new(oracle).args(&options.arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// All comparisons on all test models.
fn everything(oracle: &Path) -> Result<ExitCode> {
    let folder = folders::test_models()?;
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") {
            models.push(path);
        }
    }
    models.sort();
    let text = folder.join(TEXT);
    if models.is_empty() || !text.is_file() {
        bail!("expected models and {TEXT} in {}: run `cargo xtask fetch`", folder.display());
    }
    process::run(Command::new(oracle).arg("dot"))?;
    process::run(Command::new(oracle).arg("dequantize").args(&models))?;
    process::run(Command::new(oracle).arg("compare").args(&models).arg("--file").arg(&text))?;
    Ok(ExitCode::SUCCESS)
}

const TEXT: &str = "constitution.lf.txt";

/// In the cache, by version of the bindings, so that a fresh clone need not compile llama.cpp again.
fn target_folder() -> Result<PathBuf> {
    let path = folders::checkout().join("tests/oracle/Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = manifest
        .lines()
        .find(|line| line.starts_with("llama-cpp-sys-2"))
        .and_then(|line| line.split('"').nth(1))
        .with_context(|| format!("no version of llama-cpp-sys-2 in {}", path.display()))?;
    let folder = format!("oracle-{}", version.trim_start_matches('='));
    Ok(folders::cache()?.join(folder).join("target"))
}

//! `cargo xtask limits`: what this machine's memory and cores give, and how much of it each kernel of `silhak-cpu` uses.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

use crate::process;

#[derive(Args)]
pub(crate) struct Options {
    /// Formats of weights, such as `q4_k`; by default all
    formats: Vec<String>,
}

/// The measuring is a benchmark of the kernels' crate, since it takes code that is not safe.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut bench = process::cargo();
    bench.args(["bench", "--quiet", "--package", "silhak-cpu", "--bench", "limits", "--"]).args(&options.formats);
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

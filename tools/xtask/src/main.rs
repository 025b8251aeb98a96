//! What a developer of Silhak runs: test models, all checks, comparisons with llama.cpp, measurements.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command talks to its user")]

mod arm;
mod checks;
mod commit;
mod fetch;
mod folders;
mod gpu_matrix;
mod limits;
mod models;
mod oracle;
mod peer;
mod process;
mod python;
mod spills;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check and test; fetches first what they need
    Test(checks::Options),
    /// Download the models, tokenizers and texts that the tests use
    Fetch(fetch::Options),
    /// Lint and test the CPU kernels on 64-bit ARM, in an emulator
    Arm,
    /// Run the GPU tests on several Vulkan drivers, and write docs/gpu-matrix.md
    GpuMatrix(gpu_matrix::Options),
    /// Write docs/models.md and docs/models.ko.md
    Models,
    /// Compare with ggml and llama.cpp (needs CMake and libclang)
    Oracle(oracle::Options),
    /// Measure models with run-model and with llama.cpp, the two taking turns (needs CMake and libclang)
    Peer(peer::Options),
    /// Measure what this machine's memory and cores give, and how much of it each kernel uses
    Limits(limits::Options),
    /// Look for values that the kernels' inner loops keep on the stack, in the machine code (needs binutils)
    Spills,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test(options) => checks::run(&options),
        Command::Fetch(options) => fetch::run(&options),
        Command::Arm => arm::run(),
        Command::GpuMatrix(options) => gpu_matrix::run(&options),
        Command::Models => models::run(),
        Command::Oracle(options) => oracle::run(&options),
        Command::Peer(options) => peer::run(&options),
        Command::Limits(options) => limits::run(&options),
        Command::Spills => spills::run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

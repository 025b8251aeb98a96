//! Compares Silhak with ggml and llama.cpp, which this program links.
//!
//! `cargo xtask oracle` builds it for the machine's own instruction set and with OpenMP, so that `bench` measures
//! llama.cpp at its best; `cargo xtask peer --isa` builds it for less.

mod bench;
mod compare;
mod dequantize;
mod dot;
mod first_token;
mod ggml;
mod llama;
mod logits;
mod memory;
mod quality;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "oracle", about = "Compares Silhak with ggml and llama.cpp")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decode every tensor of a file with ggml and with silhak-quant: all values must be the same, bit for bit
    Dequantize(dequantize::Options),
    /// Multiply random rows of every format: each kernel must be as near to the exact result as ggml's
    Dot(dot::Options),
    /// Run a text through llama.cpp and through Silhak: ids must be the same, predictions close
    Compare(compare::Options),
    /// Say what llama.cpp predicts for a text, as JSON
    Logits(logits::Options),
    /// Quantize a model with llama.cpp and with Silhak: tell what each loses
    Quality(quality::Options),
    /// Measure llama.cpp's speed; `cargo xtask peer` compares it with run-model's
    Bench(bench::Options),
    /// Measure, as JSON, how long llama.cpp takes from the start of loading to the first token
    FirstToken(first_token::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Dequantize(options) => dequantize::run(&options),
        Command::Dot(options) => dot::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Logits(options) => logits::run(&options),
        Command::Quality(options) => quality::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::FirstToken(options) => first_token::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

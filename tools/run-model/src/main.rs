//! Runs Korean language models from the command line.
//!
//! A thin face over the library: data goes to stdout, progress and messages to stderr; the exit status is 0 for
//! success, 1 for failure, 2 for wrong usage and 130 for an interruption.

#![forbid(unsafe_code)]
// `eprintln!` panics when whoever read stderr is gone; `output::note` does not.
#![warn(clippy::print_stderr)]

mod answer;
mod chat;
mod cli;
mod commands;
mod context;
mod engine;
mod facts;
mod footing;
mod gpus;
mod messages;
mod output;
mod progress;
mod system;
mod thinking;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::context::Context;
use crate::messages::Lang;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lang = cli.lang.unwrap_or_else(Lang::from_locale);
    start_log(cli.verbose);
    match Context::new(lang, &cli.command).and_then(|context| commands::run(&cli.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has enough: the end of `run-model ls | head -1` is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("{}: {}", lang.error_label(), messages::explain(lang, &error)));
            if is_interruption(&error) { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

/// Logs go to stderr: warnings, with `-v` information, with `-vv` everything; `SILHAK_LOG` takes a filter of its own.
fn start_log(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("SILHAK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Reports of its own failure to write would go where writing fails, by `eprintln!`.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
}

/// Whether the user stopped a verb that cleans up after itself; others end at Ctrl-C by themselves.
fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(silhak_synth::Error::Cancelled))
        || matches!(error.downcast_ref(), Some(silhak_convert::Error::Cancelled))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

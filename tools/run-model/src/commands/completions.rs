//! `run-model completions SHELL`

use std::io::{self, Write};

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    // Through a buffer: clap_complete panics on a reader that went away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "run-model", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

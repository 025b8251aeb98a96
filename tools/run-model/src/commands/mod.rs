//! One file a verb.

mod bench;
mod completions;
mod convert;
mod doctor;
mod fit;
mod imatrix;
mod import;
mod inspect;
mod ls;
mod perplexity;
pub(crate) mod pull;
mod quantize;
mod rm;
mod run;
mod show;
mod synth;
mod tokenize;
mod verify;

use crate::cli::Command;
use crate::context::Context;

/// Runs the verb that was typed.
pub(crate) fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Pull(args) => pull::run(args, context),
        Command::Ls(args) => ls::run(args, context),
        Command::Rm(args) => rm::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Tokenize(args) => tokenize::run(args, context),
        Command::Perplexity(args) => perplexity::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Fit(args) => fit::run(args, context),
        Command::Convert(args) => convert::run(args, context),
        Command::Quantize(args) => quantize::run(args, context),
        Command::Imatrix(args) => imatrix::run(args, context),
        Command::Synth(args) => synth::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Completions(args) => completions::run(args),
    }
}

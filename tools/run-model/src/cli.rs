//! Every flag and argument, each defined once.

mod convert;
mod engine;
mod imatrix;
mod model;
mod quantize;
mod size;
mod synth;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::messages::Lang;

pub(crate) use convert::ConvertArgs;
pub(crate) use engine::{
    BenchArgs, DeviceArgs, EngineArgs, InputArgs, PerplexityArgs, RunArgs, SamplingArgs, TokenizeArgs,
};
pub(crate) use imatrix::ImatrixArgs;
pub(crate) use model::{DoctorArgs, FitArgs, InspectArgs, ShowArgs};
pub(crate) use quantize::QuantizeArgs;
pub(crate) use synth::SynthArgs;

/// Runs Korean language models on this machine.
#[derive(Debug, Parser)]
#[command(name = "run-model", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Language of messages; by default the locale's
    #[arg(long, global = true, value_enum, env = "SILHAK_LANG")]
    pub(crate) lang: Option<Lang>,

    /// More log on stderr; twice for all of it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a model, or chat with it
    Run(RunArgs),
    /// Fetch a model of the catalogue into the store
    Pull(PullArgs),
    /// List the models in the store, or those that can be fetched
    Ls(LsArgs),
    /// Remove models from the store
    Rm(RmArgs),
    /// Show what is known of a model
    Show(ShowArgs),
    /// Compare models in the store with their SHA-256
    Verify(VerifyArgs),
    /// Take a GGUF file of this machine into the store
    Import(ImportArgs),
    /// Show how a model cuts a text into tokens
    Tokenize(TokenizeArgs),
    /// Tell how well a model foresees a text
    Perplexity(PerplexityArgs),
    /// Measure a model's speed on this machine
    Bench(BenchArgs),
    /// Show what is in a GGUF file
    Inspect(InspectArgs),
    /// Tell whether a model fits into memory, and with which context
    Fit(FitArgs),
    /// Make a GGUF file of a model as its maker publishes it
    Convert(ConvertArgs),
    /// Make a smaller file of a model
    Quantize(QuantizeArgs),
    /// Tell which inputs of a model's matrices matter, for `quantize`
    Imatrix(ImatrixArgs),
    /// Write a model of a true shape with random weights, to measure what such a model costs
    Synth(SynthArgs),
    /// Show what this machine has and what Silhak would use
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// Whether it is about what can be fetched.
    pub(crate) fn needs_catalogue(&self) -> bool {
        matches!(self, Self::Pull(_) | Self::Ls(LsArgs { available: true, .. }))
    }
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Name in the catalogue; `run-model ls --available` lists them
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConsentArgs {
    /// Agree to the model's licence without being asked
    #[arg(short, long, env = "SILHAK_YES", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// List what can be fetched instead of what is here
    #[arg(short, long)]
    pub(crate) available: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Names of models in the store
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Names in the store, or paths of files whose SHA-256 is wanted
    #[arg(required_unless_present = "all")]
    pub(crate) models: Vec<String>,

    /// Verify every model in the store
    #[arg(short, long, conflicts_with = "models")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A .gguf file; of a model split into several, any one of them
    pub(crate) file: PathBuf,

    /// Name in the store; by default it is made from the file's
    #[arg(short, long)]
    pub(crate) name: Option<String>,

    /// Hard-link instead of copying: takes no room, but the file must not be changed afterwards
    #[arg(short, long)]
    pub(crate) link: bool,

    /// Take the place of another model of this name
    #[arg(short, long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

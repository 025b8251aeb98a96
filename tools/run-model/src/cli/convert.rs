//! The arguments of `convert`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use silhak_convert::Mix;

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The folder of a model as its maker publishes it: config.json, tokenizer.json, *.safetensors
    pub(crate) folder: PathBuf,

    /// The file to write; one of this name is replaced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Format, by the name that files go by: F16, Q8_0, Q4_K_M, ...; by default the maker's own, with no loss
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) mix: Option<Mix>,

    /// Name of the rules that cut text into words, where those of tokenizer.json are not known: llama-bpe, qwen2, ...
    #[arg(long, value_name = "NAME")]
    pub(crate) pre: Option<String>,

    /// Threads; by default as many as there are processors
    #[arg(short, long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

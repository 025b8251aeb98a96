//! The arguments of `imatrix`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;

use super::InputArgs;

#[derive(Debug, Args)]
pub(crate) struct ImatrixArgs {
    /// Name in the store, or path of a .gguf file, as exact as there is
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The file to write; one of this name is replaced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Tokens that are read as one text
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(32..=65536))]
    pub(crate) chunk: u32,

    /// Threads; by default as many as there are processors
    #[arg(short, long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,
}

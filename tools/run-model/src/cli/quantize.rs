//! The arguments of `quantize`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use silhak_convert::Mix;

use super::engine::at_least_one;
use super::size::parse_bytes;

#[derive(Debug, Args)]
pub(crate) struct QuantizeArgs {
    /// A GGUF file in F16, BF16 or F32
    pub(crate) source: PathBuf,

    /// The file to write; one of this name is replaced
    pub(crate) target: PathBuf,

    /// Quantization, by the name that files go by: Q4_K_M, Q4_0, IQ4_XS, Q5_K_M, Q6_K, Q8_0, ...
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "fit")]
    pub(crate) mix: Option<Mix>,

    /// Choose the best quantization with which weights, context and scratch memory fit into so much, such as 24GB
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, conflicts_with = "mix")]
    pub(crate) fit: Option<u64>,

    /// Context length in tokens that must fit, too; by default 4096, or what the model was trained on if that is less
    #[arg(long, value_name = "N", value_parser = at_least_one(), requires = "fit", conflicts_with = "mix")]
    pub(crate) context: Option<usize>,

    /// What matters more, so that more of it is kept: a file that an imatrix tool made with this model
    #[arg(long, value_name = "FILE")]
    pub(crate) imatrix: Option<PathBuf>,

    /// Take a file that is quantized already; its loss comes on top
    #[arg(long)]
    pub(crate) allow_requantize: bool,

    /// Threads; by default as many as there are processors
    #[arg(short, long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

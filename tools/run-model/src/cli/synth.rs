//! The arguments of `synth`.

use std::path::PathBuf;

use clap::Args;
use silhak_synth::{Mix, Preset};

#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// The model whose shape it has; --list shows them
    #[arg(required_unless_present = "list", value_parser = Preset::find)]
    pub(crate) preset: Option<&'static Preset>,

    /// The file to write; one of this name is replaced
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    pub(crate) output: Option<PathBuf>,

    /// Quantization, by the name that files go by: Q4_K_M, Q4_0, Q8_0, IQ4_XS, F16, ...
    #[arg(long = "type", value_name = "TYPE", default_value_t = Mix::Q4KM)]
    pub(crate) mix: Mix,

    /// The same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Layers; by default as many as the model has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) layers: Option<u32>,

    /// List the shapes there are, with the size that a file would have
    #[arg(long, conflicts_with_all = ["preset", "output"])]
    pub(crate) list: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

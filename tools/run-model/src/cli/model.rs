//! The arguments of the verbs that look at models and at the machine.

use clap::Args;

use super::DeviceArgs;
use super::engine::at_least_one;
use super::size::parse_bytes;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    /// Print the forward pass instead, one op a line
    #[arg(long, conflicts_with = "json")]
    pub(crate) plan: bool,

    /// Print JSON, with every metadata value whole
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Name in the store, or path of a .gguf file
    pub(crate) model: String,

    /// Context length in tokens; by default 4096, or what the model was trained on if that is less
    #[arg(long, env = "SILHAK_CTX", value_name = "N", value_parser = at_least_one())]
    pub(crate) ctx: Option<usize>,

    /// Memory to fit into, such as 24GB or 512MiB; by default what the system has available
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) memory: Option<u64>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

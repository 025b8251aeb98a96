//! The arguments of the verbs that look at models and at the machine.

use clap::Args;

use super::DeviceArgs;

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
    #[arg(long, env = "SILHAK_CTX", value_name = "N")]
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

/// Bytes with a unit: powers of ten, or of two with an `i`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("b", 1),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim().to_lowercase());
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    match (number.parse::<f64>(), unit) {
        (Ok(number), Some(unit)) => Ok((number * unit as f64) as u64),
        _ => Err("expected a size such as 24GB or 512MiB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("24GB", 24_000_000_000), ("1.5 GiB", 3 << 29), ("512mib", 512 << 20), ("7", 7)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1GB", "1.2.3GB", "24 bananas"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}

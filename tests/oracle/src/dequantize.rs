//! `oracle dequantize`: silhak-quant against ggml on the tensors of a real file.

use anyhow::{Context, Result, bail};
use clap::Args;
use silhak_gguf::Gguf;
use silhak_quant::Format;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::ggml;

#[derive(Args)]
pub(crate) struct Options {
    /// GGUF files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Default)]
struct Counts {
    tensors: u64,
    values: u64,
    different: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ggml::initialize();
    let mut different = 0;
    for file in &options.files {
        println!("{}", file.display());
        for (format, counts) in compare(file)? {
            println!(
                "  {:8} {:4} tensors {:12} values, {} different",
                format.name(),
                counts.tensors,
                counts.values,
                counts.different
            );
            different += counts.different;
        }
    }
    if different != 0 {
        bail!("{different} values differ");
    }
    Ok(())
}

fn compare(file: &Path) -> Result<BTreeMap<Format, Counts>> {
    let gguf = Gguf::open(file)?;
    let mut by_format: BTreeMap<Format, Counts> = BTreeMap::new();
    for tensor in gguf.tensors() {
        let format = Format::from_ggml_id(tensor.ty().id())
            .with_context(|| format!("{}: Silhak cannot decode {}", tensor.name(), tensor.ty()))?;
        let ggml = ggml::Type::from_id(tensor.ty().id())?;
        let counts = by_format.entry(format).or_default();
        counts.tensors += 1;
        // Row by row, so that the largest tensor needs no memory to speak of.
        let mut ours = vec![0.0; tensor.row_len()];
        for row in gguf.data(tensor).chunks_exact(tensor.row_bytes()) {
            silhak_quant::dequantize(format, row, &mut ours)?;
            let theirs = ggml.dequantize(row)?;
            counts.values += ours.len() as u64;
            counts.different +=
                ours.iter().zip(&theirs).filter(|(ours, theirs)| ours.to_bits() != theirs.to_bits()).count() as u64;
        }
    }
    Ok(by_format)
}

//! From a maker's folder to a file.

use std::num::NonZero;
use std::path::Path;

use silhak_quant::Mix;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::draft::Draft;
use crate::output::{Monitor, Output};

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The formats; by default those of the checkpoint, with no loss.
    pub mix: Option<Mix>,
    /// `tokenizer.ggml.pre`, where the rules in `tokenizer.json` have no name that is known.
    pub pre: Option<String>,
    /// Threads that convert; by default as many as there are processors.
    pub threads: Option<NonZero<usize>>,
}

/// What was converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file's size.
    pub bytes: u64,
    /// The formats.
    pub mix: Mix,
    /// Tensors in the file.
    pub n_tensors: usize,
    /// Tensors that an interrupted conversion had written.
    pub n_resumed: usize,
    /// The maker's names of tensors that are not in the file: what sees, hears or predicts several tokens at once.
    pub left_out: Vec<String>,
}

/// Converts the checkpoint in `folder` to the file `target`, which takes its name when it is whole; one of this name is
/// replaced. The file is the same whatever the number of threads.
///
/// # Errors
/// One for each way in which the folder may not be what it should be, before anything is written; and for what the system
/// refuses. An interrupted conversion leaves a hidden file beside `target`, from which the next one goes on.
pub fn convert(folder: &Path, target: &Path, options: &Options, monitor: &mut Monitor<'_>) -> Result<Report, Error> {
    let checkpoint = Checkpoint::open(folder)?;
    let draft = Draft::new(folder, &checkpoint, options)?;
    let tensors: Vec<_> = draft.parts.iter().map(|part| (part.name.as_str(), part.n_chunks())).collect();
    let chunk = |part: usize, index| draft.parts[part].chunk(index, &checkpoint);
    let output = Output { target, identity: &checkpoint.identity()?, threads: options.threads };
    let written = output.write(draft.writer()?, &tensors, chunk, monitor)?;
    Ok(Report {
        bytes: written.bytes,
        mix: draft.mix,
        n_tensors: draft.parts.len(),
        n_resumed: written.n_resumed,
        left_out: draft.left_out,
    })
}

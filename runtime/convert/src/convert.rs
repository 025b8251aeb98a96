//! From a folder to a file.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use silhak_quant::Mix;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::draft::Draft;
use crate::unfinished::Unfinished;

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

/// How far writing has come, in bytes of tensor data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes written.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Hears how far writing has come, after each chunk, and says whether it shall go on.
pub type Monitor<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

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
    let threads = options.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let mut unfinished = Unfinished::open(target, &checkpoint.identity()?)?;
    let mut header = Vec::new();
    let total = draft.writer()?.begin(&mut header)?.remaining();

    let (mut tensors, n_resumed) = unfinished.writer(draft.writer()?)?;
    check_room(target, tensors.remaining())?;
    let mut done = total - tensors.remaining();
    for part in &draft.parts[n_resumed..] {
        let chunk = |index| part.chunk(index, &checkpoint);
        tensors.write_chunks(&part.name, part.n_chunks(), threads, chunk, |n_bytes| {
            done += n_bytes as u64;
            match monitor(Progress { done, total }) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Error::Cancelled),
            }
        })?;
        done = total - tensors.remaining();
    }
    tensors.finish()?;
    unfinished.finish(target)?;
    Ok(Report {
        bytes: header.len() as u64 + total,
        mix: draft.mix,
        n_tensors: draft.parts.len(),
        n_resumed,
        left_out: draft.left_out,
    })
}

fn check_room(target: &Path, needed: u64) -> Result<(), Error> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = fs4::available_space(folder).map_err(Error::io("see the free room in", folder))?;
    if needed > available { Err(Error::NoSpace { needed, available }) } else { Ok(()) }
}

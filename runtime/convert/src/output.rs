//! Writing a file whose data is made chunk by chunk, going on where an interruption stopped.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use silhak_gguf::Writer;

use crate::Error;
use crate::unfinished::Unfinished;

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

/// A file to be.
pub(crate) struct Output<'a> {
    /// The path that it takes when it is whole.
    pub(crate) target: &'a Path,
    /// Says which source it comes from: what is left of another is not gone on with.
    pub(crate) identity: &'a str,
    /// Threads that make chunks; by default as many as there are processors.
    pub(crate) threads: Option<NonZero<usize>>,
}

/// What was written.
pub(crate) struct Written {
    /// The file's size.
    pub(crate) bytes: u64,
    /// Tensors that were there already.
    pub(crate) n_resumed: usize,
}

impl Output<'_> {
    /// Writes everything. `tensors` are the names of the writer's tensors and into how many chunks each is cut; `chunk` makes
    /// a chunk of a tensor, by their numbers.
    pub(crate) fn write(
        self,
        writer: Writer,
        tensors: &[(&str, usize)],
        chunk: impl Fn(usize, usize) -> Result<Vec<u8>, Error> + Sync,
        monitor: &mut Monitor<'_>,
    ) -> Result<Written, Error> {
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
        let mut unfinished = Unfinished::open(self.target, self.identity)?;
        let mut header = Vec::new();
        let total = writer.clone().begin(&mut header)?.remaining();

        let (mut out, n_resumed) = unfinished.writer(writer)?;
        if let Err(error) = check_room(self.target, out.remaining()) {
            // What an earlier run wrote is worth its room; the beginning of a file is not.
            return Err(if n_resumed == 0 { unfinished.give_up(error) } else { error });
        }
        let mut done = total - out.remaining();
        for (i, &(name, n_chunks)) in tensors.iter().enumerate().skip(n_resumed) {
            let make = |index| chunk(i, index);
            let written = out.write_chunks(name, n_chunks, threads, make, |n_bytes| {
                done += n_bytes as u64;
                match monitor(Progress { done, total }) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Error::Cancelled),
                }
            });
            match written {
                // Another run would come to the same value.
                Err(error @ Error::Quantize { .. }) => return Err(unfinished.give_up(error)),
                written => written?,
            }
            // Padding counts, too.
            done = total - out.remaining();
        }
        out.finish()?;
        unfinished.finish(self.target)?;
        Ok(Written { bytes: header.len() as u64 + total, n_resumed })
    }
}

fn check_room(target: &Path, needed: u64) -> Result<(), Error> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = fs4::available_space(folder).map_err(Error::io("see the free room in", folder))?;
    if needed > available { Err(Error::NoSpace { needed, available }) } else { Ok(()) }
}

//! A file that is being written, and stays when writing is interrupted.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use silhak_gguf::{TensorWriter, Writer};

use crate::Error;

/// The unfinished file beside the one it becomes.
pub(crate) struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// Opens what there is of a file that comes from the same source and begins in the same way, or begins anew.
    /// `identity` says what the source is.
    pub(crate) fn open(target: &Path, identity: &str) -> Result<Unfinished, Error> {
        if fs::metadata(target).is_ok_and(|found| !found.is_file()) {
            return Err(Error::NotAFile { path: target.to_owned() });
        }
        let beginning = beginning(target).ok_or_else(|| Error::NotAFile { path: target.to_owned() })?;
        let path = target.with_file_name(format!("{beginning}{:016x}{END}", fnv1a(identity.as_bytes())));
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        Ok(Unfinished { file: file.map_err(Error::io("write", &path))?, path })
    }

    /// A writer that goes on behind the last whole tensor, and how many tensors are there already.
    pub(crate) fn writer(&mut self, writer: Writer) -> Result<(TensorWriter<&File>, usize), Error> {
        let failed = |source| Error::Io { action: "write", path: self.path.clone(), source };
        let present = self.file.metadata().map_err(failed)?.len();
        let mut header = Vec::new();
        writer.clone().begin(&mut header)?;
        let mut unwritten = writer.clone().resume(io::sink());
        self.file.rewind().map_err(failed)?;
        let mut end = header.len() as u64;
        let n_whole = if begins_with(&self.file, &header).map_err(failed)? {
            let total = end + unwritten.remaining();
            let mut n_whole = 0;
            while unwritten.skip() && total - unwritten.remaining() <= present {
                end = total - unwritten.remaining();
                n_whole += 1;
            }
            n_whole
        } else {
            end = 0;
            0
        };
        self.file.set_len(end).map_err(failed)?;
        self.file.seek(SeekFrom::Start(end)).map_err(failed)?;
        // The header is there, or is written now.
        let mut tensors = if end > 0 { writer.resume(&self.file) } else { writer.begin(&self.file)? };
        for _ in 0..n_whole {
            tensors.skip();
        }
        Ok((tensors, n_whole))
    }

    /// Removes the file, which nothing can go on from, and passes on why.
    pub(crate) fn give_up(self, error: Error) -> Error {
        // The reason matters more than what is left because of it.
        let _ = fs::remove_file(&self.path);
        error
    }

    /// Gives the file its name. What was begun for it from other sources is of no use any more.
    pub(crate) fn finish(self, target: &Path) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("write", &self.path))?;
        fs::rename(&self.path, target).map_err(Error::io("write", target))?;
        let (Some(beginning), Some(folder)) = (beginning(target), self.path.parent()) else { return Ok(()) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(folder).map_err(Error::io("read", folder))?.flatten() {
            let name = entry.file_name();
            let middle = name.to_str().and_then(|name| name.strip_prefix(&*beginning)?.strip_suffix(END));
            if middle.is_some_and(|middle| middle.len() == 16) {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }
}

/// How the names of unfinished files begin, and end.
fn beginning(target: &Path) -> Option<String> {
    Some(format!(".{}.", target.file_name()?.to_string_lossy()))
}

const END: &str = ".part";

fn begins_with(file: &File, header: &[u8]) -> io::Result<bool> {
    let mut found = Vec::with_capacity(header.len());
    file.take(header.len() as u64).read_to_end(&mut found)?;
    Ok(found == header)
}

/// The hash of Fowler, Noll and Vo: unlike those of hash tables, the same in every version of everything.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

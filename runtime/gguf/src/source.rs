//! The bytes of a file, mapped or read. Maps are the one place of this crate with unsafe code.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use memmap2::Mmap;

use crate::Error;

/// How the bytes of a file come into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Map the file: nothing is read until it is used, and pages can be dropped and read again.
    Map,
    /// Read the file into memory of our own, which nobody else can change.
    Own,
}

/// Memory of our own begins at a multiple of this, as pages of a map do: what is aligned in the file up to here is
/// aligned in memory.
const OWNED_ALIGNMENT: usize = 4096;

/// A mapped file, shared by all who have bytes of it.
#[derive(Clone, Debug)]
pub(crate) struct Map(Arc<Mmap>);

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Map {
    /// Lets the system have the pages of `data`, if that is part of the map. They are read again when they are touched.
    #[allow(unsafe_code)]
    #[cfg_attr(not(unix), allow(unused_variables, reason = "other systems have nothing of the kind"))]
    pub(crate) fn release(&self, data: &[u8]) {
        #[cfg(unix)]
        if let Some(offset) = data.as_ptr().addr().checked_sub(self.0.as_ptr().addr())
            && offset.checked_add(data.len()).is_some_and(|end| end <= self.0.len())
        {
            // SAFETY: the map is shared and read-only, so its pages hold nothing but what is in the file, and that is what
            // they hold when they come back.
            let released =
                unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, data.len()) };
            // A system that refuses keeps what it could have had.
            drop(released);
        }
    }
}

/// A file as it was when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Where it was found.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last changed, where the system knows.
    pub modified: Option<SystemTime>,
}

/// A file's bytes and what is known of it.
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    /// What the bytes are in, where they are mapped.
    pub(crate) map: Option<Map>,
    pub(crate) facts: FileFacts,
}

/// Opens the file at `path`.
pub(crate) fn load(path: &Path, access: Access) -> Result<Source, Error> {
    let file = File::open(path).map_err(|source| Error::Io { action: "open the file", source })?;
    let facts = file.metadata().map_err(|source| Error::Io { action: "read the file's size", source })?;
    if !facts.is_file() {
        return Err(Error::NotAFile);
    }
    let (bytes, map) = match access {
        Access::Map => map(&file).map(|map| (Bytes::from_owner(map.clone()), Some(map)))?,
        Access::Own => (read(&file, facts.len())?, None),
    };
    let facts = FileFacts { path: path.to_owned(), bytes: facts.len(), modified: facts.modified().ok() };
    Ok(Source { bytes, map, facts })
}

#[allow(unsafe_code)]
fn map(file: &File) -> Result<Map, Error> {
    // SAFETY: the map is read-only and lives as long as the `Bytes` that own it, so the memory is valid as long as the
    // file is left alone. What remains is that another process (or this one) changes the file under the map: bytes
    // that change while they are read are a data race, and touching pages past a new, earlier end raises SIGBUS.
    // No code can rule that out; `Gguf::open` passes the condition on to its caller and `Gguf::open_owned` is the way
    // without it. Once a file is open, nothing that was checked is read from the map again: metadata and the tensor
    // table are copied out, and tensor data is plain numbers of which every bit pattern is valid.
    let map = unsafe { Mmap::map(file) }.map_err(|source| Error::Io { action: "map the file", source })?;
    Ok(Map(Arc::new(map)))
}

fn read(file: &File, len: u64) -> Result<Bytes, Error> {
    let action = "read the file into memory";
    let out_of_memory = || Error::Io { action, source: std::io::ErrorKind::OutOfMemory.into() };
    let capacity = usize::try_from(len).ok().and_then(|len| len.checked_add(OWNED_ALIGNMENT));
    let mut memory: Vec<u8> = Vec::new();
    memory.try_reserve_exact(capacity.ok_or_else(out_of_memory)?).map_err(|_| out_of_memory())?;

    let skip = memory.as_ptr().align_offset(OWNED_ALIGNMENT);
    memory.resize(skip, 0);
    // One byte more than expected would show a file that grows while it is read.
    let read =
        file.take(len.saturating_add(1)).read_to_end(&mut memory).map_err(|source| Error::Io { action, source })?;
    if read as u64 != len {
        let source = std::io::Error::other("the file changed while it was read; try again when nobody writes to it");
        return Err(Error::Io { action, source });
    }
    Ok(Bytes::from(memory).slice(skip..))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Bytes of files that are in this process's memory.
    fn mapped() -> Option<usize> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssFile:")?.strip_suffix("kB"))?;
        Some(kib.trim().parse::<usize>().ok()? << 10)
    }

    #[test]
    fn released_pages_are_gone_and_come_back() {
        const LEN: usize = 64 << 20;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, (0..LEN).map(|i| (i / 1000) as u8).collect::<Vec<_>>()).unwrap();
        let Source { bytes, map, facts } = load(&path, Access::Map).unwrap();
        assert_eq!((&facts.path, facts.bytes), (&path, LEN as u64));
        let sum = || bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        let (before, expected) = (mapped().unwrap(), black_box(sum()));
        let touched = mapped().unwrap();
        assert!(touched >= before + LEN / 2);
        let map = map.unwrap();
        map.release(&bytes[1000..LEN - 1000]);
        assert!(mapped().unwrap() <= touched - LEN / 2);
        map.release(b"bytes of somebody else");
        assert_eq!(sum(), expected);
        assert!(load(&path, Access::Own).unwrap().map.is_none());
    }
}

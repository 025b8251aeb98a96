//! The bytes of a file, mapped or read. The map is the one place of this crate with unsafe code.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

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

/// The bytes of the file at `path`.
pub(crate) fn load(path: &Path, access: Access) -> Result<Bytes, Error> {
    let file = File::open(path).map_err(|source| Error::Io { action: "open the file", source })?;
    let facts = file.metadata().map_err(|source| Error::Io { action: "read the file's size", source })?;
    if !facts.is_file() {
        return Err(Error::NotAFile);
    }
    match access {
        Access::Map => map(&file),
        Access::Own => read(&file, facts.len()),
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> Result<Bytes, Error> {
    // SAFETY: the map is read-only and lives as long as the `Bytes` that own it, so the memory is valid as long as the
    // file is left alone. What remains is that another process (or this one) changes the file under the map: bytes
    // that change while they are read are a data race, and touching pages past a new, earlier end raises SIGBUS.
    // No code can rule that out; `Gguf::open` passes the condition on to its caller and `Gguf::open_owned` is the way
    // without it. Once a file is open, nothing that was checked is read from the map again: metadata and the tensor
    // table are copied out, and tensor data is plain numbers of which every bit pattern is valid.
    let map = unsafe { memmap2::Mmap::map(file) }.map_err(|source| Error::Io { action: "map the file", source })?;
    Ok(Bytes::from_owner(map))
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

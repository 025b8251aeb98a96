//! Files that are on their way into the store: locked, hashed as they are written, synced, and gone unless published.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::monitor::{Monitor, Phase};
use crate::name::Digest;
use crate::{Result, StoreError};

/// Bytes moved at a time: large enough for disks, small enough to cancel between two of them.
pub(crate) const CHUNK: usize = 1 << 18;

/// An unfinished file in the blob folder. It is locked, which tells other processes that it is in use, and it is
/// removed when dropped unless [`Staged::keep`] was called.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    len: u64,
    written: bool,
    keep: bool,
}

impl Staged {
    /// Takes over an open, locked file, with what it already holds hashed under `phase`.
    pub(crate) fn resume(mut file: File, path: PathBuf, monitor: &mut Monitor<'_>) -> Result<Self> {
        let total = file.metadata().map_err(StoreError::io("reading an unfinished download"))?.len();
        let mut hasher = Sha256::new();
        file.rewind().map_err(StoreError::io("reading an unfinished download"))?;
        let len = hash(&mut file, &mut hasher, total, monitor)?;
        Ok(Self { file, path, hasher, len, written: false, keep: false })
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The digest of everything written so far.
    pub(crate) fn digest(&self) -> Digest {
        Digest::finish(self.hasher.clone())
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written = true;
        self.file.write_all(bytes).map_err(StoreError::io("writing the model"))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Appends all of `reader`, reporting against `total`.
    pub(crate) fn write_all_of(
        &mut self,
        reader: &mut impl Read,
        phase: Phase,
        total: u64,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            monitor.progress(phase, self.len, total)?;
            match read(reader, &mut chunk).map_err(StoreError::io("reading the model"))? {
                0 => return Ok(()),
                n => self.write(&chunk[..n])?,
            }
        }
    }

    /// Throws away everything written so far.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(StoreError::io("writing the model"))?;
        self.file.seek(SeekFrom::Start(0)).map_err(StoreError::io("writing the model"))?;
        self.hasher = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Leaves the file where it is, for a later resumption.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Puts the bytes on the disk and gives the file its final name.
    ///
    /// The caller holds the store's lock. Dropping `self` afterwards finds nothing to remove, except where both names
    /// were links to one file already: then renaming does nothing and the temporary name has to go.
    pub(crate) fn publish(self, to: &Path) -> Result<()> {
        if self.written {
            self.file.sync_all().map_err(StoreError::io("writing the model to the disk"))?;
        }
        fs::rename(&self.path, to).map_err(StoreError::io("putting the model into the store"))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to tell; a file that stays behind is removed by the next sweep.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens or makes a file for reading and writing, keeping what it holds.
pub(crate) fn open_rw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Locks a file unless somebody else holds it; says whether that worked.
pub(crate) fn try_lock(file: &File, doing: &'static str) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(StoreError::io(doing)(error)),
    }
}

/// Feeds all of `reader` to `hasher`, reporting against `total`; returns the bytes read.
pub(crate) fn hash(reader: &mut impl Read, hasher: &mut Sha256, total: u64, monitor: &mut Monitor<'_>) -> Result<u64> {
    let (mut chunk, mut done) = (vec![0; CHUNK], 0);
    loop {
        if total > 0 {
            monitor.progress(Phase::Hashing, done, total)?;
        }
        match read(reader, &mut chunk).map_err(StoreError::io("reading the model"))? {
            0 => return Ok(done),
            n => {
                hasher.update(&chunk[..n]);
                done += n as u64;
            }
        }
    }
}

/// The SHA-256 of any file, in the store or not.
///
/// # Errors
/// [`StoreError::NoSuchFile`], [`StoreError::IsFolder`], [`StoreError::Io`], [`StoreError::Cancelled`].
pub fn hash_file(path: &Path, monitor: &mut Monitor<'_>) -> Result<Digest> {
    check_is_file(path)?;
    digest_of(&mut File::open(path).map_err(StoreError::io("reading the file"))?, monitor)
}

/// Refuses a path of the user's that leads to no file.
pub(crate) fn check_is_file(path: &Path) -> Result<()> {
    let shown = || path.display().to_string();
    match path {
        path if path.is_file() => Ok(()),
        path if path.is_dir() => Err(StoreError::IsFolder { path: shown() }),
        _ => Err(StoreError::NoSuchFile { path: shown() }),
    }
}

/// The digest of a whole file.
pub(crate) fn digest_of(file: &mut File, monitor: &mut Monitor<'_>) -> Result<Digest> {
    let total = file.metadata().map_err(StoreError::io("reading the model"))?.len();
    let mut hasher = Sha256::new();
    hash(file, &mut hasher, total, monitor)?;
    Ok(Digest::finish(hasher))
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn write_atomically(folder: &Path, prefix: &str, name: &str, text: &str) -> Result<()> {
    let failed = "writing the store's entry";
    let mut temp =
        tempfile::Builder::new().prefix(prefix).suffix(".tmp").tempfile_in(folder).map_err(StoreError::io(failed))?;
    temp.write_all(text.as_bytes()).map_err(StoreError::io(failed))?;
    temp.as_file().sync_all().map_err(StoreError::io(failed))?;
    temp.persist(folder.join(name)).map_err(|error| StoreError::io(failed)(error.error))?;
    sync_dir(folder)
}

/// Removes a folder with all that is in it, if it is there; `doing` is for the error.
pub(crate) fn remove_folder(folder: &Path, doing: &'static str) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(doing)(error)),
        _ => Ok(()),
    }
}

/// Makes renames and removals in a folder last through a power failure.
pub(crate) fn sync_dir(folder: &Path) -> Result<()> {
    // Elsewhere folders cannot be opened as files; NTFS journals its metadata by itself.
    if cfg!(unix) {
        File::open(folder).and_then(|dir| dir.sync_all()).map_err(StoreError::io("writing the store's folder"))?;
    }
    Ok(())
}

/// Refuses work that the disk has no room for.
pub(crate) fn check_space(folder: &Path, needed: u64) -> Result<()> {
    let available = fs4::available_space(folder).map_err(StoreError::io("asking for the free disk space"))?;
    if needed > available { Err(StoreError::NoSpace { needed, available }) } else { Ok(()) }
}

/// Whether the disk has no room for one more chunk.
pub(crate) fn is_full(folder: &Path) -> bool {
    fs4::available_space(folder).is_ok_and(|available| available < CHUNK as u64)
}

fn read(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

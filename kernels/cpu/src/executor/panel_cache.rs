//! Panels kept in files, so that a model that was loaded once is not repacked again.
//!
//! ```text
//! file = magic, 8 bytes; bytes of the key, u32; the key; zeros up to a whole page; the panels
//! key  = the model's path, a line; its identity, a line; what is in the panels
//! ```
//!
//! A file is written under another name, and gets its own when all of it is on the disk: what has the right name and begins
//! right is whole.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use memmap2::Mmap;
use tempfile::{Builder, NamedTempFile};

/// Where the panels of a model are kept.
#[derive(Clone, Debug)]
pub struct PanelCache {
    /// The folder; it is made if there is none. What it holds of models that are gone or have changed is removed.
    pub folder: PathBuf,
    /// The model's file.
    pub source: PathBuf,
    /// One line that changes when the model's files do: sizes, times.
    pub identity: String,
}

/// It names the version of this layout and of that of panels, too.
const MAGIC: &[u8; 8] = b"panels01";

/// Panels begin at a multiple of this.
const PAGE: usize = 4096;

/// No key is longer; one that says it is belongs to a damaged file.
const MOST_KEY_BYTES: usize = 1 << 24;

const SUFFIX: &str = "panels";
const UNFINISHED: &str = "part";

/// A process that has not finished its file by then is no more.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

impl PanelCache {
    /// Panels of `len` bytes that were kept; `what` describes them.
    pub(super) fn find(&self, what: &str, len: usize) -> Option<Bytes> {
        let header = self.header(what);
        let kept = map(&File::open(self.path(&header)).ok()?).ok()?;
        let is_whole = kept.len() == header.len() + len && kept.starts_with(&header);
        is_whole.then(|| kept.slice(header.len()..))
    }

    /// A file for panels that are not kept yet.
    pub(super) fn begin(&self, what: &str) -> io::Result<Unfinished> {
        fs::create_dir_all(&self.folder)?;
        self.tidy()?;
        let header = self.header(what);
        let mut file = Builder::new().suffix(&format!(".{UNFINISHED}")).tempfile_in(&self.folder)?;
        file.write_all(&header)?;
        Ok(Unfinished { path: self.path(&header), file, header_len: header.len() })
    }

    fn header(&self, what: &str) -> Vec<u8> {
        let key = format!("{}\n{}\n{what}", self.source.display(), self.identity);
        let mut header = MAGIC.to_vec();
        header.extend((key.len() as u32).to_le_bytes());
        header.extend(key.as_bytes());
        header.resize(header.len().next_multiple_of(PAGE), 0);
        header
    }

    fn path(&self, header: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        header.hash(&mut hasher);
        self.folder.join(format!("{:016x}.{SUFFIX}", hasher.finish()))
    }

    /// Removes what nobody will ask for again.
    fn tidy(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_useless = match path.extension().and_then(|extension| extension.to_str()) {
                Some(SUFFIX) => !self.may_serve(&path),
                Some(UNFINISHED) => is_abandoned(&path),
                _ => false,
            };
            if is_useless && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove panels of a model that is gone");
            }
        }
        Ok(())
    }

    /// Whether a file is of this very model, or of another that still is there.
    fn may_serve(&self, path: &Path) -> bool {
        let Some(key) = key_of(path) else { return false };
        let mut lines = key.lines();
        let (source, identity) = (lines.next().map(Path::new), lines.next());
        match source {
            Some(source) if source == self.source => identity == Some(&self.identity),
            source => source.is_some_and(Path::exists),
        }
    }
}

/// The key of a file that was kept; `None` for a damaged one.
fn key_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let (mut magic, mut len) = ([0; MAGIC.len()], [0; 4]);
    file.read_exact(&mut magic).ok()?;
    file.read_exact(&mut len).ok()?;
    let len = usize::try_from(u32::from_le_bytes(len)).ok()?;
    if magic != *MAGIC || len > MOST_KEY_BYTES {
        return None;
    }
    let mut key = vec![0; len];
    file.read_exact(&mut key).ok()?;
    String::from_utf8(key).ok()
}

fn is_abandoned(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|facts| facts.modified()).map(|modified| modified.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age > ABANDONED))
}

/// A file that gets its panels.
pub(super) struct Unfinished {
    path: PathBuf,
    file: NamedTempFile,
    header_len: usize,
}

impl Unfinished {
    /// Writes some of the panels, to where they are among all.
    pub(super) fn write(&self, panels: &[u8], at: usize) -> io::Result<()> {
        write_at(self.file.as_file(), panels, (self.header_len + at) as u64)
    }

    /// The panels, all of which have been written. They are kept as soon as the disk has them.
    pub(super) fn finish(self) -> io::Result<(Bytes, Keeping)> {
        let panels = map(self.file.as_file())?.slice(self.header_len..);
        let keep = move || {
            let Unfinished { path, file, .. } = self;
            let kept = file.as_file().sync_all().and_then(|()| Ok(file.persist(&path)?));
            match kept {
                Ok(_) => tracing::info!(path = %path.display(), "panels are kept"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "panels are not kept"),
            }
        };
        Ok((panels, Keeping(Some(thread::Builder::new().name("silhak-panels".into()).spawn(keep)?))))
    }
}

/// A thread that waits for the disk. Dropping this waits for the thread.
#[derive(Debug)]
pub(super) struct Keeping(Option<JoinHandle<()>>);

impl Drop for Keeping {
    fn drop(&mut self) {
        // It has told the log what went wrong; a panic changes nothing for whoever waits.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: files of the cache are not changed once they are mapped, by this program. If another does, numbers change
    // under the kernels, for which every bit pattern is valid, or the system ends the process, as with a model's own file.
    let map = unsafe { Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (bytes, at) = (&bytes[n..], at + n as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path, identity: &str) -> PanelCache {
        let source = folder.join("model.gguf");
        PanelCache { folder: folder.join("panels"), source, identity: identity.into() }
    }

    fn keep(cache: &PanelCache, what: &str) {
        let unfinished = cache.begin(what).unwrap();
        unfinished.write(b"world", 6).unwrap();
        unfinished.write(b"hello ", 0).unwrap();
        let (panels, keeping) = unfinished.finish().unwrap();
        assert_eq!(panels, "hello world");
        drop(keeping);
    }

    fn n_files(cache: &PanelCache) -> usize {
        fs::read_dir(&cache.folder).unwrap().count()
    }

    #[test]
    fn what_was_kept_is_found_by_those_who_ask_for_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "11 bytes, yesterday");
        assert!(cache.find("q4_k", 11).is_none());
        keep(&cache, "q4_k");
        assert_eq!(cache.find("q4_k", 11).unwrap(), "hello world");
        assert!(cache.find("q4_k", 12).is_none() && cache.find("q6_k", 11).is_none());
        let changed = PanelCache { identity: "11 bytes, today".into(), ..cache };
        assert!(changed.find("q4_k", 11).is_none());
    }

    #[test]
    fn what_is_not_finished_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "new");
        let unfinished = cache.begin("q4_k").unwrap();
        unfinished.write(b"hello world", 0).unwrap();
        assert!(cache.find("q4_k", 11).is_none());
        drop(unfinished);
        assert_eq!(n_files(&cache), 0);
    }

    #[test]
    fn files_that_are_cut_or_damaged_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "new");
        keep(&cache, "q4_k");
        let path = fs::read_dir(&cache.folder).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..20], &whole[..0], &[&[0; 9], &whole[9..]].concat()] {
            fs::write(&path, damaged).unwrap();
            assert!(cache.find("q4_k", 11).is_none());
        }
        keep(&cache, "q4_k");
        assert_eq!(cache.find("q4_k", 11).unwrap(), "hello world");
    }

    #[test]
    fn panels_of_models_that_changed_or_are_gone_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = cache(folder.path(), "old");
        keep(&old, "q4_k");
        keep(&old, "half of the layers");
        assert_eq!(n_files(&old), 2);
        keep(&PanelCache { identity: "new".into(), ..old.clone() }, "q4_k");
        assert_eq!(n_files(&old), 1);
        // A model of another name: the first one's file does not exist.
        let other = PanelCache { source: folder.path().join("other.gguf"), ..old };
        keep(&other, "q4_k");
        assert_eq!(n_files(&other), 1);
        fs::write(&other.source, "").unwrap();
        keep(&cache(folder.path(), "newer"), "q4_k");
        assert_eq!(n_files(&other), 2);
    }
}

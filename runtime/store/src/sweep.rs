//! Clearing away what killed processes left behind.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use crate::manifest::Manifest;
use crate::store::{MANIFEST_TEMP, Store, read_dir_if_any};
use crate::{Result, StoreError};

/// How long an unfinished download waits to be resumed before it is cleared away.
pub(crate) const KEEP_PARTIAL: Duration = Duration::from_secs(14 * 24 * 3600);
/// Prefix of files being imported.
pub(crate) const IMPORT_TEMP: &str = ".import-";
/// Prefix of files being downloaded and of the folders for the packages they are unpacked from.
pub(crate) const PULL_TEMP: &str = ".pull-";
/// Suffix of a download that can be resumed.
pub(crate) const PARTIAL: &str = ".partial";
/// Suffix of the folder that holds a download's packages.
pub(crate) const PACKAGES: &str = ".packages";

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files and folders removed.
    pub entries: usize,
    /// Bytes of the files among them.
    pub bytes: u64,
}

impl Store {
    /// Removes what killed processes left: temporary files that no live process holds, blobs that no manifest names,
    /// folders of links that no manifest needs, and unfinished downloads not touched for longer than `keep_partial`.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folders cannot be read or the lock cannot be taken.
    pub fn sweep(&self, keep_partial: Duration) -> Result<Swept> {
        let mut swept = Swept::default();
        if !self.root().is_dir() {
            return Ok(swept);
        }
        // Under the lock nobody is between creating a temporary file and locking it, or between a blob and its manifest.
        let _guard = self.lock()?;
        // With a manifest that cannot be read, nobody knows which blobs it names: then none is removed.
        let listed = self.list_if_all_readable()?;
        let is_unused = |used: &dyn Fn(&Manifest) -> bool| listed.as_ref().is_some_and(|all| !all.iter().any(used));
        for entry in read_dir_if_any(&self.blobs())? {
            let (path, file_name) = (entry.path(), entry.file_name());
            let Some(name) = file_name.to_str() else { continue };
            let stale = if name.starts_with(IMPORT_TEMP) {
                is_unlocked(&path)
            } else if name.starts_with(PULL_TEMP) && name.ends_with(PARTIAL) {
                is_older(&path, keep_partial) && is_unlocked(&path)
            } else if let Some(key) = name.strip_prefix(PULL_TEMP).and_then(|rest| rest.strip_suffix(PACKAGES)) {
                let partial = self.blobs().join(format!("{PULL_TEMP}{key}{PARTIAL}"));
                !partial.exists() || (is_older(&partial, keep_partial) && is_unlocked(&partial))
            } else if let Some(hex) = name.strip_prefix("sha256-").and_then(|rest| rest.strip_suffix(".gguf")) {
                hex.parse().is_ok_and(|digest| is_unused(&|manifest| manifest.uses(&digest)))
            } else {
                false
            };
            if stale {
                swept.remove(&path)?;
            }
        }
        for entry in read_dir_if_any(&self.models())? {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(MANIFEST_TEMP)) {
                swept.remove(&entry.path())?;
            }
        }
        for entry in read_dir_if_any(&self.splits())? {
            let path = entry.path();
            if is_unused(&|manifest| self.split_folder(manifest) == path) {
                swept.remove(&path)?;
            }
        }
        Ok(swept)
    }
}

impl Swept {
    fn remove(&mut self, path: &Path) -> Result<()> {
        let failed = "removing what an interrupted command left";
        let found = fs::symlink_metadata(path).map_err(StoreError::io(failed))?;
        if found.is_dir() {
            fs::remove_dir_all(path).map_err(StoreError::io(failed))?;
        } else {
            fs::remove_file(path).map_err(StoreError::io(failed))?;
            self.bytes += found.len();
        }
        self.entries += 1;
        Ok(())
    }
}

/// Whether surely no live process holds the file. One that cannot be opened or locked stays: it is in nobody's way, while
/// an error here would be in the way of every pull and import.
fn is_unlocked(path: &Path) -> bool {
    // For reading only: a link to a file that may not be written is swept away like any other.
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Whether the last change is longer ago than `age`; a change in the future is none.
fn is_older(path: &Path, age: Duration) -> bool {
    let changed = fs::metadata(path).and_then(|found| found.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|since| since >= age))
}

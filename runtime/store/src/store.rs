//! The store's folders: listing, resolving, publishing, removing, verifying.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::catalogue::Catalogue;
use crate::error::Damage;
use crate::files::{self, Staged};
use crate::manifest::{Manifest, ModelFile};
use crate::monitor::{Event, Monitor};
use crate::name::{Digest, ModelName};
use crate::{Result, StoreError};

/// Prefix of manifests on their way; such files exist only while the store's lock is held.
pub(crate) const MANIFEST_TEMP: &str = ".manifest-";

/// A folder of models. Opening makes nothing on the disk; folders appear with the first model.
///
/// Any number of processes may use one store at a time: changes are made under a lock that is held for milliseconds.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What a name or path of the user's leads to.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The GGUF file to open; for a split model its first shard, with its siblings beside it under their own names.
    pub path: PathBuf,
    /// The store's record, if the model is from the store.
    pub manifest: Option<Manifest>,
}

impl Store {
    /// The store in `root`.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's store: `SILHAK_HOME`, else `silhak` in the platform's folder for user data
    /// (`$XDG_DATA_HOME` or `~/.local/share`, `~/Library/Application Support`, `%LOCALAPPDATA%`).
    ///
    /// # Errors
    /// [`StoreError::NoHome`] if none of them is known.
    pub fn open_default() -> Result<Self> {
        if let Some(root) = env::var_os("SILHAK_HOME").filter(|root| !root.is_empty()) {
            return Ok(Self::open(root));
        }
        data_folder().map(|data| Self::open(data.join("silhak"))).ok_or(StoreError::NoHome)
    }

    /// The folder that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The catalogue: the built-in entries and the user's own from `catalogue.toml` in the store.
    ///
    /// # Errors
    /// [`StoreError::BadCatalogue`] if the user's file has a mistake.
    pub fn catalogue(&self) -> Result<Catalogue> {
        match fs::read_to_string(self.root.join("catalogue.toml")) {
            Ok(own) => Catalogue::builtin()?.with(&own),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Catalogue::builtin()
            }
            Err(error) => Err(StoreError::io("reading catalogue.toml")(error)),
        }
    }

    /// Every model in the store, by name. An entry that cannot be read is an error of its own and hides no other.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folder itself cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Manifest>>> {
        let mut stems = Vec::new();
        for entry in read_dir_if_any(&self.models())? {
            let file_name = entry.file_name();
            let stem = file_name.to_str().and_then(|name| name.strip_suffix(".toml"));
            stems.extend(stem.filter(|stem| !stem.starts_with('.')).map(str::to_owned));
        }
        stems.sort_unstable();
        Ok(stems.into_iter().map(|stem| self.read_manifest(&stem)).collect())
    }

    /// The record of one model.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::BadManifest`].
    pub fn get(&self, name: &ModelName) -> Result<Manifest> {
        self.read_manifest(&name.file_stem())
    }

    /// Finds the file behind what a user typed: a path (anything with a separator or ending in `.gguf`), a name in the
    /// store, or else a catalogue alias, which stands for the first of its models that is in the store.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFile`], [`StoreError::IsFolder`], [`StoreError::NotFound`] with a hint, or [`StoreError::Damaged`] if a file of the
    /// model is missing or has another size than recorded.
    pub fn resolve(&self, name_or_path: &str, catalogue: &Catalogue) -> Result<Resolved> {
        if looks_like_path(name_or_path) {
            let path = PathBuf::from(name_or_path);
            files::check_is_file(&path)?;
            return Ok(Resolved { path, manifest: None });
        }
        let name: ModelName = name_or_path.parse()?;
        for candidate in [&name].into_iter().chain(catalogue.alias(&name).unwrap_or_default()) {
            match self.get(candidate) {
                Ok(manifest) => {
                    let path = self.path_of(&manifest)?;
                    return Ok(Resolved { path, manifest: Some(manifest) });
                }
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.not_found(&name, catalogue))
    }

    /// The error for a name that is not in the store, with what would help.
    fn not_found(&self, name: &ModelName, catalogue: &Catalogue) -> StoreError {
        let in_catalogue = catalogue.knows(name);
        let here = self.list().unwrap_or_default().into_iter().flatten().map(|manifest| manifest.name);
        let near = nearest(name.as_str(), here.chain(catalogue.names().cloned()));
        StoreError::NotFound { name: name.to_string(), in_catalogue, near }
    }

    /// Takes a model out of the store and frees what no other model uses; returns the bytes freed.
    ///
    /// An unreadable manifest is removed like any other. While there is another one, nobody knows which files that one
    /// names: then none is freed, and the first sweep after it is gone makes up for that.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Io`] if the system refuses.
    pub fn remove(&self, name: &ModelName) -> Result<u64> {
        let path = self.manifest_path(name);
        if !path.exists() {
            return Err(StoreError::NotFound { name: name.to_string(), in_catalogue: false, near: None });
        }
        let _guard = self.lock()?;
        let manifest = self.get(name).ok();
        fs::remove_file(path).map_err(StoreError::io("removing the store's entry"))?;
        files::sync_dir(&self.models())?;
        manifest.map_or(Ok(0), |manifest| self.free(&manifest))
    }

    /// Reads every file of a model and compares it with its recorded SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::NotFound`], [`StoreError::Cancelled`].
    pub fn verify(&self, name: &ModelName, monitor: &mut Monitor<'_>) -> Result<Manifest> {
        let manifest = self.get(name)?;
        for file in &manifest.files {
            self.check_size(&manifest, file)?;
            let mut blob = File::open(self.blob(&file.sha256)).map_err(StoreError::io("reading the model"))?;
            if files::digest_of(&mut blob, monitor)? != file.sha256 {
                return Err(StoreError::Damaged { name: name.clone(), what: Damage::Content });
            }
        }
        Ok(manifest)
    }

    /// The path to open for a listed model, once its files are known to be there.
    fn path_of(&self, manifest: &Manifest) -> Result<PathBuf> {
        manifest.files.iter().try_for_each(|file| self.check_size(manifest, file))?;
        match manifest.files.as_slice() {
            [only] => Ok(self.blob(&only.sha256)),
            shards => {
                let folder = self.link_shards(manifest)?;
                Ok(folder.join(&shards[0].name))
            }
        }
    }

    fn check_size(&self, manifest: &Manifest, file: &ModelFile) -> Result<()> {
        let damaged = |what| StoreError::Damaged { name: manifest.name.clone(), what };
        match fs::metadata(self.blob(&file.sha256)) {
            Ok(found) if found.len() == file.size => Ok(()),
            Ok(found) => Err(damaged(Damage::Size { expected: file.size, found: found.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged(Damage::Missing)),
            Err(error) => Err(StoreError::io("reading the model")(error)),
        }
    }

    /// Makes finished files and their manifest part of the store: blobs first, manifest last, both on the disk before
    /// this returns. Another model of the same name is replaced if `replace` says so.
    ///
    /// `staged` holds the files whose content is not a blob yet. If anything fails, what was published of them is freed.
    pub(crate) fn publish(&self, manifest: &Manifest, staged: Vec<(Digest, Staged)>, replace: bool) -> Result<()> {
        let _guard = self.lock()?;
        let replaced = self.get(&manifest.name).ok();
        if !replace && replaced.as_ref().is_some_and(|other| !other.has_content_of(manifest)) {
            return Err(StoreError::NameTaken { name: manifest.name.clone() });
        }
        if let Err(error) = self.enter(manifest, staged) {
            // The first error is the one to tell; what cannot be freed either is left to the next sweep.
            let _ = self.free(manifest);
            return Err(error);
        }
        tracing::info!(model = %manifest.name, source = manifest.source, bytes = manifest.size(), "in the store");
        if let Some(replaced) = replaced {
            self.free(&replaced)?;
        }
        Ok(())
    }

    fn enter(&self, manifest: &Manifest, staged: Vec<(Digest, Staged)>) -> Result<()> {
        for (digest, file) in staged {
            file.publish(&self.blob(&digest))?;
        }
        files::sync_dir(&self.blobs())?;
        if manifest.files.len() > 1 {
            // Links made earlier may lead to damaged files that the new blobs replace.
            files::remove_folder(&self.split_folder(manifest), "removing the links of the model")?;
            self.link_shards(manifest)?;
        }
        let file_name = format!("{}.toml", manifest.name.file_stem());
        files::write_atomically(&self.models(), MANIFEST_TEMP, &file_name, &manifest.to_toml()?)
    }

    /// Gives the blobs of a split model their own names beside each other, which is how readers find the siblings;
    /// returns the folder.
    fn link_shards(&self, manifest: &Manifest) -> Result<PathBuf> {
        let folder = self.split_folder(manifest);
        let size_of = |path: &Path| fs::metadata(path).map(|found| found.len()).ok();
        for shard in &manifest.files {
            let link = folder.join(&shard.name);
            if size_of(&link) == Some(shard.size) {
                continue;
            }
            fs::create_dir_all(&folder).map_err(StoreError::io("making a folder in the store"))?;
            match fs::hard_link(self.blob(&shard.sha256), &link) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::io("linking the parts of the model")(error));
                }
                _ => {}
            }
        }
        Ok(folder)
    }

    /// Removes the files of a model that is not listed, except those that a listed model uses; returns the bytes freed.
    fn free(&self, manifest: &Manifest) -> Result<u64> {
        let Some(listed) = self.list_if_all_readable()? else { return Ok(0) };
        let folder = self.split_folder(manifest);
        if listed.iter().all(|listed| self.split_folder(listed) != folder) {
            files::remove_folder(&folder, "removing the links of the model")?;
        }
        let mut freed = 0u64;
        for file in manifest.files.iter().filter(|file| !listed.iter().any(|listed| listed.uses(&file.sha256))) {
            match fs::remove_file(self.blob(&file.sha256)) {
                Ok(()) => freed = freed.saturating_add(file.size),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("removing the model")(error)),
            }
        }
        tracing::debug!(model = %manifest.name, bytes = freed, "freed");
        Ok(freed)
    }

    /// Every model in the store; none if a manifest cannot be read, for then nobody knows which files are in use.
    pub(crate) fn list_if_all_readable(&self) -> Result<Option<Vec<Manifest>>> {
        Ok(self.list()?.into_iter().collect::<Result<_>>().ok())
    }

    /// Makes the folders.
    pub(crate) fn prepare(&self) -> Result<()> {
        for folder in [self.blobs(), self.models()] {
            fs::create_dir_all(folder).map_err(StoreError::folder(&self.root))?;
        }
        Ok(())
    }

    /// Locks the store against other changes until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = files::open_rw(&self.root.join(".lock")).map_err(StoreError::folder(&self.root))?;
        file.lock().map_err(StoreError::folder(&self.root))?;
        Ok(file)
    }

    /// Repeats `attempt` until it gives something, each time under the store's lock: between opening a file and locking
    /// it, nobody renames or sweeps it then. The pauses are without it, because whoever is waited for needs it to finish.
    pub(crate) fn wait_for<T>(
        &self,
        monitor: &mut Monitor<'_>,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let mut told = false;
        loop {
            let guard = self.lock()?;
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            drop(guard);
            if !told {
                monitor.event(Event::Waiting);
                told = true;
            }
            monitor.sleep(Duration::from_millis(200))?;
        }
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(format!("sha256-{digest}.gguf"))
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(crate) fn splits(&self) -> PathBuf {
        self.root.join("splits")
    }

    /// The folder for the shards of a model. Another content has another folder, so links never lead to an older one.
    pub(crate) fn split_folder(&self, manifest: &Manifest) -> PathBuf {
        let mut hasher = Sha256::new();
        for file in &manifest.files {
            hasher.update(format!("{} {}\n", file.sha256, file.name));
        }
        self.splits().join(format!("{}@{:.16}", manifest.name.file_stem(), Digest::finish(hasher).to_string()))
    }

    fn manifest_path(&self, name: &ModelName) -> PathBuf {
        self.models().join(format!("{}.toml", name.file_stem()))
    }

    fn read_manifest(&self, stem: &str) -> Result<Manifest> {
        let name = ModelName::from_file_stem(stem)?;
        match fs::read_to_string(self.manifest_path(&name)) {
            Ok(text) => Manifest::from_toml(stem, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NotFound { name: name.to_string(), in_catalogue: false, near: None })
            }
            Err(error) => Err(StoreError::BadManifest { name: name.to_string(), why: error.to_string() }),
        }
    }
}

/// The entries of a folder that may not exist yet.
pub(crate) fn read_dir_if_any(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::io("reading the store's folder")(error)),
    }
}

/// A known name within two edits of `name`.
pub(crate) fn nearest(name: &str, known: impl Iterator<Item = ModelName>) -> Option<String> {
    known
        .map(|known| (edit_distance(name, known.as_str()), known))
        .filter(|(distance, _)| (1..=2).contains(distance))
        .min()
        .map(|(_, known)| known.to_string())
}

/// Levenshtein's distance, over bytes: names are ASCII.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn looks_like_path(text: &str) -> bool {
    text.contains(['/', '\\']) || text.ends_with(".gguf")
}

fn data_folder() -> Option<PathBuf> {
    let var = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let in_home = |rest: &str| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(rest));
    if cfg!(windows) {
        var("LOCALAPPDATA").or_else(|| in_home("AppData/Local"))
    } else if cfg!(target_os = "macos") {
        in_home("Library/Application Support")
    } else {
        var("XDG_DATA_HOME").or_else(|| in_home(".local/share"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name() {
        let known = || ["smollm2-135m", "qwen2.5-0.5b"].into_iter().map(|name| name.parse().unwrap());
        assert_eq!(nearest("smolm2-135m", known()).as_deref(), Some("smollm2-135m"));
        assert_eq!(nearest("qwen2.5-05b", known()).as_deref(), Some("qwen2.5-0.5b"));
        assert_eq!(nearest("llama", known()), None);
    }

    #[test]
    fn paths_are_told_from_names() {
        for path in ["./a", "a/b", "a.gguf", "..\\a", "/x"] {
            assert!(looks_like_path(path), "{path}");
        }
        for name in ["demo", "qwen2.5-0.5b", "exaone:2.4b"] {
            assert!(!looks_like_path(name), "{name}");
        }
    }
}

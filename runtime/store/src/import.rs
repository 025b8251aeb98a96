//! Taking files that are already on this machine into the store.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use crate::catalogue::Licence;
use crate::files::{self, Staged};
use crate::manifest::{Manifest, ModelFile, Shard};
use crate::monitor::{Monitor, Phase};
use crate::name::{Digest, ModelName};
use crate::store::Store;
use crate::sweep::{IMPORT_TEMP, KEEP_PARTIAL};
use crate::{Result, StoreError, timestamp};

const STAGING: &str = "making a file in the store";

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The model's name; by default it is made from the file's.
    pub name: Option<ModelName>,
    /// Hard-link instead of copying: no second copy, but whoever changes the original in place damages the model, which
    /// [`Store::verify`] will say.
    pub link: bool,
    /// Take the place of another model of this name, which goes.
    pub replace: bool,
    /// The licence to record.
    pub licence: Option<Licence>,
}

impl Store {
    /// Imports a GGUF file, with its siblings if it is one of a split model (`…-00001-of-00003.gguf`).
    ///
    /// # Errors
    /// [`StoreError::NoSuchFile`], [`StoreError::IsFolder`], [`StoreError::NoNameInFile`], [`StoreError::NotGguf`],
    /// [`StoreError::MissingShard`], [`StoreError::NameTaken`], [`StoreError::NoSpace`], [`StoreError::CannotLink`],
    /// [`StoreError::Cancelled`], [`StoreError::DiskFull`]. After any of them the store is as it was before.
    pub fn import(&self, path: &Path, options: &ImportOptions, monitor: &mut Monitor<'_>) -> Result<Manifest> {
        let sources = sources(path)?;
        let name = match &options.name {
            Some(name) => name.clone(),
            None => ModelName::from_file_name(&sources[0].name)?,
        };
        let size = sources.iter().fold(0u64, |sum, source| sum.saturating_add(source.size));
        if !options.replace && self.get(&name).is_ok_and(|other| other.size() != size) {
            // The content is compared once its digest is known; there is no need to read that much here.
            return Err(StoreError::NameTaken { name });
        }
        self.prepare()?;
        self.sweep(KEEP_PARTIAL)?;
        if !options.link {
            files::check_space(&self.blobs(), size)?;
        }
        let (mut listed, mut staged) = (Vec::new(), Vec::new());
        for mut source in sources {
            let (digest, file) =
                if options.link { self.link(&mut source, monitor)? } else { self.copy(&mut source, monitor)? };
            listed.push(ModelFile { name: source.name, sha256: digest, size: source.size });
            staged.push((digest, file));
        }
        let manifest = Manifest {
            name,
            source: "import".into(),
            added: timestamp::now(),
            licence: options.licence.clone(),
            files: listed,
        };
        self.publish(&manifest, staged, options.replace)?;
        Ok(manifest)
    }

    fn copy(&self, source: &mut Original, monitor: &mut Monitor<'_>) -> Result<(Digest, Staged)> {
        let mut staged = self.stage(monitor, |path| files::open_rw(path).map_err(StoreError::io(STAGING)))?;
        staged.write_all_of(&mut source.file, Phase::Copying, source.size, monitor)?;
        // A file that grows or shrinks while it is read is recorded as it was read.
        source.size = staged.len();
        Ok((staged.digest(), staged))
    }

    fn link(&self, source: &mut Original, monitor: &mut Monitor<'_>) -> Result<(Digest, Staged)> {
        let staged = self.stage(monitor, |path| {
            // The store needs a link to the file, not to a symbolic link that leads there.
            let linked = fs::canonicalize(&source.path).and_then(|original| fs::hard_link(original, path));
            linked.map_err(|error| StoreError::CannotLink { why: error.to_string() })?;
            File::open(path).map_err(StoreError::io(STAGING))
        })?;
        source.size = staged.len();
        Ok((staged.digest(), staged))
    }

    /// Makes a temporary file under a fresh name, locked before anybody could sweep it away.
    fn stage(&self, monitor: &mut Monitor<'_>, make: impl Fn(&Path) -> Result<File>) -> Result<Staged> {
        let (file, path) = self.wait_for(monitor, || {
            let path = (0u64..)
                .map(|n| self.blobs().join(format!("{IMPORT_TEMP}{}-{n}.tmp", std::process::id())))
                .find(|path| !path.exists())
                .ok_or_else(|| StoreError::io(STAGING)(io::ErrorKind::AlreadyExists.into()))?;
            let file = make(&path)?;
            if files::try_lock(&file, STAGING)? {
                return Ok(Some((file, path)));
            }
            // It is a link to a file that another process links at this moment.
            fs::remove_file(&path).map_err(StoreError::io(STAGING))?;
            Ok(None)
        })?;
        Staged::resume(file, path, monitor)
    }
}

/// One file outside the store, opened.
struct Original {
    path: PathBuf,
    name: String,
    file: File,
    size: u64,
}

/// The files that make up the model at `path`, in shard order.
fn sources(path: &Path) -> Result<Vec<Original>> {
    files::check_is_file(path)?;
    let missing = || StoreError::NoSuchFile { path: path.display().to_string() };
    let file_name = path.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?;
    let Some(shard) = Shard::parse(file_name).filter(|shard| shard.count > 1) else {
        return Ok(vec![open(path, file_name)?]);
    };
    (1..=shard.count)
        .map(|index| {
            let name = shard.sibling(file_name, index);
            let path = path.with_file_name(&name);
            if !path.is_file() {
                return Err(StoreError::MissingShard { count: shard.count, missing: name });
            }
            open(&path, &name)
        })
        .collect()
}

/// Opens a file and looks at its first four bytes.
fn open(path: &Path, name: &str) -> Result<Original> {
    let failed = "reading the model";
    let mut file = File::open(path).map_err(StoreError::io(failed))?;
    let mut magic = [0; 4];
    match file.read_exact(&mut magic) {
        Ok(()) if &magic == b"GGUF" => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(StoreError::io(failed)(error)),
        _ => return Err(StoreError::NotGguf { file: name.to_owned() }),
    }
    file.rewind().map_err(StoreError::io(failed))?;
    let size = file.metadata().map_err(StoreError::io(failed))?.len();
    Ok(Original { path: path.to_owned(), name: name.to_owned(), file, size })
}

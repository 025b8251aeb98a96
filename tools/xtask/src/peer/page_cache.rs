//! A model's files in the system's page cache, and out of it.

use anyhow::{Context, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a model: those beside `path` too, where it is one part of several (`NAME-00001-of-00003.gguf`).
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let parts = path.file_name().and_then(|name| parts(name.to_str()?));
    parts.map_or_else(|| vec![path.to_owned()], |names| names.iter().map(|name| path.with_file_name(name)).collect())
}

/// Reads files whole, so that they are in the page cache as far as there is memory.
pub(super) fn fill(files: &[PathBuf]) -> Result<()> {
    for path in files {
        let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        read.with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

/// Drops files from the page cache, and makes sure that they are out of it; an error says why they are not.
pub(super) fn empty(files: &[PathBuf]) -> Result<()> {
    files.iter().try_for_each(|path| {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        system::drop_pages(&file).with_context(|| format!("{} stays in the page cache", path.display()))
    })
}

#[cfg(target_os = "linux")]
mod system {
    use anyhow::{Result, bail};
    use rustix::fs::{Advice, fadvise};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::os::unix::fs::FileExt;

    pub(super) fn drop_pages(file: &File) -> Result<()> {
        // Pages that are not on the disk yet would stay.
        file.sync_data()?;
        fadvise(file, 0, None, Advice::DontNeed)?;
        let resident = resident(file)?;
        if resident > MOST_RESIDENT {
            bail!("{:.1} % of it did not go", 100.0 * resident);
        }
        // Looking for pages has read some.
        Ok(fadvise(file, 0, None, Advice::DontNeed)?)
    }

    /// How much of a file is in the page cache, from 0 to 1: the part of some bytes of it that can be read without
    /// waiting for the disk. Afterwards these are in there.
    pub(super) fn resident(file: &File) -> Result<f64> {
        // Nothing is to be read along with a byte.
        fadvise(file, 0, None, Advice::Random)?;
        let length = file.metadata()?.len();
        let mut n_resident = 0;
        for i in 0..SAMPLES {
            let offset = (length as f64 * (i as f64 / SAMPLES as f64)) as u64;
            match preadv2(file, &mut [IoSliceMut::new(&mut [0])], offset, ReadWriteFlags::NOWAIT) {
                Ok(n) => n_resident += n,
                // The system has begun to read it. Nothing is dropped before it is there.
                Err(Errno::AGAIN) => drop(file.read_at(&mut [0], offset)?),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(n_resident as f64 / SAMPLES as f64)
    }

    const SAMPLES: usize = 256;

    /// Part of a file of which it does not matter that it is not read from the disk. A few pages stay where another
    /// processor is about to file them.
    pub(super) const MOST_RESIDENT: f64 = 0.02;
}

#[cfg(not(target_os = "linux"))]
mod system {
    use anyhow::{Result, bail};
    use std::fs::File;

    pub(super) fn drop_pages(_: &File) -> Result<()> {
        bail!("dropping files from the page cache is known for Linux alone")
    }
}

/// The names of all parts, if `name` is of one.
fn parts(name: &str) -> Option<Vec<String>> {
    let (before, n_parts) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, index) = before.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(index) || !is_number(n_parts) {
        return None;
    }
    let all = 1..=n_parts.parse::<u32>().ok()?;
    Some(all.map(|index| format!("{stem}-{index:05}-of-{n_parts}.gguf")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_name() {
        let names = ["a-b-00001-of-00002.gguf", "a-b-00002-of-00002.gguf"];
        let paths = names.map(|name| Path::new("models").join(name));
        for path in &paths {
            assert_eq!(files(path), paths);
        }
        for whole in ["models/a.gguf", "models/a-1-of-2.gguf", "models/00001-of-00002.gguf", "a-00001-of-00002.bin"] {
            assert_eq!(files(Path::new(whole)), [Path::new(whole)]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_leave_the_page_cache_and_come_back() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1; 4 << 20]).unwrap();
        let files = [path.clone()];
        let resident = || system::resident(&File::open(&path).unwrap());
        if let Err(error) = empty(&files).and_then(|()| resident()) {
            println!("SKIPPED: this file system does not tell ({error:#})");
            return;
        }
        fill(&files).unwrap();
        assert_eq!(resident().unwrap(), 1.0);
        empty(&files).unwrap();
        assert!(resident().unwrap() <= system::MOST_RESIDENT);
    }
}

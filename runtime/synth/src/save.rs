//! A file that is there whole or not at all.

use std::fs::{self, File};
use std::io;
use std::num::NonZero;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Draft, Error, Monitor};

impl Draft {
    /// As [`write`](Draft::write), to a file, which takes its name when it is whole. What had this name is replaced.
    /// Returns the file's size.
    ///
    /// # Errors
    /// Those of [`write`](Draft::write); [`Error::NotAFile`], [`Error::NoSpace`], [`Error::Io`]. Nothing is left behind.
    pub fn save(&self, path: &Path, n_threads: NonZero<usize>, monitor: &mut Monitor<'_>) -> Result<u64, Error> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        let needed = self.file_bytes()?;
        let available = fs4::available_space(folder).map_err(failed("see the free room in", folder))?;
        if needed > available {
            return Err(Error::NoSpace { needed, available });
        }
        let temp = temporary(folder).map_err(failed("make a file in", folder))?;
        self.write(temp.as_file(), n_threads, monitor)?;
        temp.as_file().sync_all().map_err(failed("write", path))?;
        temp.persist(path).map_err(|error| failed("write", path)(error.error))?;
        Ok(needed)
    }
}

/// An unfinished file, gone when dropped.
fn temporary(folder: &Path) -> io::Result<NamedTempFile<File>> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".synth-").suffix(".tmp");
    // Temporary files are their owner's alone; this one shall be as readable in the end as any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::{Mix, Preset, Shape};

    fn save(path: &Path, monitor: &mut Monitor<'_>) -> Result<u64, Error> {
        let shape = Shape { n_vocab: 5000, n_embd: 256, n_ff: 256, n_layers: 1, ..Preset::ALL[0].shape };
        Draft::new(&shape, Mix::Q8_0, 1)?.save(path, NonZero::<usize>::MIN, monitor)
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_whole_file_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        fs::write(&path, "what was there").unwrap();
        let bytes = save(&path, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        assert_eq!(names(folder.path()), ["m.gguf"]);
    }

    #[test]
    fn who_breaks_off_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        fs::write(&path, "what was there").unwrap();
        let error = save(&path, &mut |_| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(names(folder.path()), ["m.gguf"]);
        assert_eq!(fs::read(&path).unwrap(), b"what was there");
    }

    #[test]
    fn only_files_are_replaced_and_folders_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut unheard = |_| panic!("nothing is written");
        let error = save(folder.path(), &mut unheard).unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
        let error = save(&folder.path().join("absent/m.gguf"), &mut unheard).unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("absent"), "{error}");
    }
}

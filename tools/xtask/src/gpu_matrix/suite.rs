//! Packages of a Debian suite that this machine does not follow, by an apt with files of its own: the system's stay as they
//! are.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::packages;
use crate::process;

/// What Debian signs its suites with, in the package `debian-archive-keyring`.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads packages and all that they need, down to the C library, into a folder.
pub(super) fn download(suite: &str, packages: &[&str], folder: &Path) -> Result<Vec<PathBuf>> {
    let apt = Apt { folder: folder.join("apt") };
    fs::create_dir_all(apt.folder.join("archives/partial"))?;
    fs::create_dir_all(apt.folder.join("lists/partial"))?;
    // Nothing is installed here, as far as this apt knows.
    fs::write(apt.folder.join("status"), "")?;
    fs::write(apt.folder.join(SOURCES), source(suite, &mirror()?))?;
    process::run(apt.command().arg("update"))?;
    process::run(
        apt.command().args(["install", "--download-only", "--no-install-recommends", "--yes"]).args(packages),
    )?;
    packages::found_in(&apt.folder.join("archives"))
}

const SOURCES: &str = "suite.sources";

/// apt-get, with a folder in place of the system's.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("--quiet");
        let files = [
            ("Dir::State", ""),
            ("Dir::State::status", "status"),
            ("Dir::Cache", ""),
            ("Dir::Etc::SourceList", SOURCES),
            ("Dir::Etc::SourceParts", "none"),
        ];
        for (option, file) in files {
            command.arg("--option").arg(format!("{option}={}", self.folder.join(file).display()));
        }
        // The user that root's apt downloads as cannot enter root's cache.
        command.args(["--option", "APT::Sandbox::User=root"]);
        command
    }
}

/// Where this machine gets its own packages of Debian's from.
fn mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)"]);
    command.args(["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"]);
    let mirrors = process::output(&mut command)?;
    let first = mirrors.lines().next().map(str::to_owned);
    first.context("apt has no list of Debian's packages: is this Debian, and has `apt-get update` run?")
}

fn source(suite: &str, mirror: &str) -> String {
    format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nTargets: Packages\nSigned-By: {KEYS}\n")
}

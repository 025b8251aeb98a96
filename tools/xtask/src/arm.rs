//! `cargo xtask arm`: lints and tests of the CPU kernels on 64-bit ARM, the tests in an emulator.
//!
//! They need the standard library of that processor. Debian has it, for a compiler of Debian's own: both are unpacked into
//! the cache and nothing is installed, for that compiler and rustup's would get in each other's way.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::checks::required;
use crate::gpu_matrix::packages;
use crate::{folders, process, python};

/// What `SILHAK_REQUIRE` names to make a missing emulator or toolchain a failure.
pub(crate) const ARM: &str = "arm";

/// The crates that have code for ARM, or that it builds on.
const CRATES: [&str; 4] = ["--package", "silhak-quant", "--package", "silhak-cpu"];

/// What the emulator pretends to be: a processor with every instruction set that there are kernels for, and one with none.
const PROCESSORS: [&str; 2] = ["max", "cortex-a72"];

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64-static";

/// The system's packages that must be there.
const INSTALL: &str = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static libllvm22";

/// The compiler, its linter, and the standard library for each side of the crossing.
const COMPILER: &str = "rustc-web";
const LINTER: &str = "rust-web-clippy";
const LIBRARY: &str = "libstd-rust-web-dev";

const DEBIAN: &str = "the compiler and libraries come from packages of Debian's: can apt reach its mirror?";

pub(crate) fn run() -> Result<ExitCode> {
    match Toolchain::find(false) {
        Ok(toolchain) => toolchain.check(python::interpreter().ok().as_deref())?,
        Err(error) if required(ARM) => return Err(error),
        Err(error) => println!("SKIPPED: {error:#}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Debian's compiler, unpacked.
pub(crate) struct Toolchain {
    folder: PathBuf,
}

impl Toolchain {
    /// What an earlier run has fetched, or else what Debian has now; an error says why there is none.
    pub(crate) fn find(offline: bool) -> Result<Toolchain> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            bail!(
                "the packages that it takes are for x86-64 Linux; on an ARM machine, `cargo test` runs the same tests"
            );
        }
        for program in [LINKER, EMULATOR] {
            if !process::available(program, &["--version"]) {
                bail!("needs {program}: {INSTALL}");
            }
        }
        let toolchains = folders::cache()?.join("arm");
        let folder = match newest(&toolchains)? {
            Some(folder) => folder,
            None if offline => bail!("Debian's compiler is not in the cache, and --offline forbids fetching it"),
            None => fetch(&toolchains)?,
        };
        let toolchain = Toolchain { folder };
        process::output(toolchain.set(&mut Command::new(toolchain.compiler())).arg("--version"))
            .with_context(|| format!("Debian's compiler does not run: {INSTALL}"))?;
        Ok(toolchain)
    }

    /// Lints the crates, and runs their tests once for each of [`PROCESSORS`]. `python`, when given, is the interpreter
    /// that tests use: the emulator starts it as what it is, a program of the machine's own.
    pub(crate) fn check(&self, python: Option<&Path>) -> Result<()> {
        // Not by cargo, which would look for rustup's first.
        let mut linter = Command::new(self.folder.join("usr/bin/cargo-clippy"));
        linter.current_dir(folders::checkout());
        linter.args(["clippy", "--locked", "--target", TARGET, "--all-targets"]).args(CRATES);
        linter.args(["--", "--deny", "warnings"]);
        process::run(self.set(&mut linter).env("RUSTC", self.compiler()))?;
        for processor in PROCESSORS {
            println!("\non {processor}:");
            let mut command = process::cargo();
            // Documentation is tested by rustdoc, which would be rustup's.
            command.args(["test", "--locked", "--target", TARGET, "--lib", "--tests"]).args(CRATES);
            let runner = format!("{EMULATOR} -L /usr/aarch64-linux-gnu -cpu {processor}");
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER);
            if let Some(python) = python {
                command.env("SILHAK_PYTHON", python);
            }
            process::run(self.set(&mut command).env("RUSTC", self.compiler()))?;
        }
        Ok(())
    }

    fn compiler(&self) -> PathBuf {
        self.folder.join("usr/bin/rustc")
    }

    /// Lets a command find the compiler's libraries.
    fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LD_LIBRARY_PATH", self.folder.join("usr/lib/x86_64-linux-gnu"))
    }
}

/// Of the toolchains in a folder, each named by its version, the newest that compiles the project.
fn newest(toolchains: &Path) -> Result<Option<PathBuf>> {
    if !toolchains.is_dir() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(toolchains)? {
        let entry = entry?;
        found.extend(version(&entry.file_name().to_string_lossy()).map(|version| (version, entry.path())));
    }
    let least = version(env!("CARGO_PKG_RUST_VERSION"));
    Ok(found.into_iter().filter(|(version, _)| Some(*version) >= least).max().map(|(_, path)| path))
}

/// The first two numbers of a version such as `1.96.0+dfsg1-1`.
fn version(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Downloads and unpacks what Debian has now.
fn fetch(toolchains: &Path) -> Result<PathBuf> {
    // Beside the final folder, so that the rename at the end is atomic.
    let staging = toolchains.join("staging");
    if staging.exists() {
        fs::remove_dir_all(&staging)?; // an interrupted run leaves it
    }
    fs::create_dir_all(staging.join("lists/partial"))?;
    apt(&staging, &["update"])?;
    // The library that the compiler shares with its plugins: a package with the version in its name.
    let about = process::output(apt_command("apt-cache", &staging).args(["show", "--no-all-versions", LIBRARY]))
        .context(DEBIAN)?;
    let field = |name| about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let (Some(version), Some(shared)) = (field("Version"), field("Depends").and_then(|list| list.split(' ').next()))
    else {
        bail!("expected a version and a dependency of {LIBRARY}, found:\n{about}");
    };
    let foreign = format!("{LIBRARY}:arm64");
    apt(&staging, &["download", COMPILER, LINTER, shared, LIBRARY, &foreign])?;
    let unpacked = staging.join("unpacked");
    for package in packages::found_in(&staging)? {
        packages::unpack(&package, &unpacked)?;
    }
    let folder = toolchains.join(version);
    fs::rename(&unpacked, &folder)?;
    fs::remove_dir_all(&staging)?;
    Ok(folder)
}

fn apt(folder: &Path, arguments: &[&str]) -> Result<()> {
    process::run(apt_command("apt-get", folder).arg("--quiet").args(arguments)).context(DEBIAN)
}

/// A command of apt's that knows both architectures, by lists of its own: the system's stay as they are.
fn apt_command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command.args(["--option", "APT::Architectures=amd64,arm64"]);
    command.arg("--option").arg(format!("Dir::State::lists={}", folder.join("lists").display()));
    // The user that root's apt downloads as cannot enter root's cache.
    command.args(["--option", "APT::Sandbox::User=root"]);
    // An index made for the system's lists does not know these.
    command.args(["--option", "Dir::Cache::pkgcache=", "--option", "Dir::Cache::srcpkgcache="]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_toolchain_that_is_new_enough_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let newest = || newest(&folder.path().join("arm")).unwrap();
        assert_eq!(newest(), None);
        for name in ["staging", "1.9.0+dfsg1-1"] {
            fs::create_dir_all(folder.path().join("arm").join(name)).unwrap();
            assert_eq!(newest(), None);
        }
        for name in ["1.99.0+dfsg1-1", "1.100.0+dfsg1-1~deb12u2"] {
            let path = folder.path().join("arm").join(name);
            fs::create_dir(&path).unwrap();
            assert_eq!(newest(), Some(path));
        }
    }
}

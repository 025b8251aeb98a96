//! `cargo deny`: licences and sources of what we depend on, and known vulnerabilities in it.

use anyhow::{Context, Result};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::report::Outcome;
use crate::{folders, process};

const VERSION: &str = "0.20.2";

pub(super) fn check(offline: bool) -> Result<Vec<(String, Outcome)>> {
    let program = match installed()? {
        Some(program) => program,
        None if offline => {
            let why = "cargo-deny is not installed, and --offline forbids installing it";
            return Ok(vec![("all".to_owned(), Outcome::Skipped(why.to_owned()))]);
        }
        None => install()?,
    };
    let deny = || {
        let mut command = Command::new(&program);
        command.current_dir(folders::checkout());
        command.args(["--locked", "check"]);
        command
    };
    let rules = match process::run(deny().args(["licenses", "bans", "sources"])) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    let advisories = if offline {
        Outcome::Skipped("--offline forbids fetching the advisory database".to_owned())
    } else {
        advisories(deny().arg("advisories"))?
    };
    Ok(vec![("licences, bans, sources".to_owned(), rules), ("advisories".to_owned(), advisories)])
}

fn advisories(command: &mut Command) -> Result<Outcome> {
    let output = command.stdin(Stdio::null()).output().context("cannot start cargo-deny")?;
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The database is a Git repository, which many networks with a package mirror cannot reach.
    if said.contains("failed to fetch advisory database") {
        return Ok(Outcome::Skipped("advisory database not reachable".to_owned()));
    }
    Ok(Outcome::Failed(said.trim_end().to_owned()))
}

/// The program on the search path, or the one an earlier run installed.
fn installed() -> Result<Option<PathBuf>> {
    let ours = root()?.join("bin").join(format!("cargo-deny{}", env::consts::EXE_SUFFIX));
    for program in [PathBuf::from("cargo-deny"), ours] {
        if process::available(&program, &["--version"]) {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

fn install() -> Result<PathBuf> {
    println!("installing cargo-deny {VERSION}; this takes some minutes, once");
    let root = root()?;
    process::run(
        process::cargo()
            // Outside the checkout: its settings and its target folder are not for this.
            .current_dir(env::temp_dir())
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "--quiet", "--locked", "cargo-deny", "--version", VERSION, "--root"])
            .arg(&root),
    )?;
    installed()?.context("cargo-deny was installed and does not run")
}

fn root() -> Result<PathBuf> {
    Ok(folders::cache()?.join("tools").join(format!("cargo-deny-{VERSION}")))
}

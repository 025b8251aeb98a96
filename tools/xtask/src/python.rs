//! A Python environment in the cache, for the references that the tests compare with.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{folders, process};

/// The interpreter of the environment; makes the environment if it is not there or not of these requirements.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let folder = folders::cache()?.join("python");
    let interpreter = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python3" });
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(interpreter);
    }
    if !process::available("python3", &["-c", "import venv, ensurepip"]) {
        bail!("needs python3 with venv: install them (on Debian: apt-get install python3-venv)");
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, REQUIREMENTS)?;
    let mut pip = Command::new(&interpreter);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    process::run(&mut pip).context("the Python packages of the references cannot be installed")?;
    // Only a complete environment has the stamp.
    fs::rename(&wanted, &stamp)?;
    Ok(interpreter)
}

/// Independent implementations of what Silhak does: GGUF files and block formats, tokenizers.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

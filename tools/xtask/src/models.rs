//! `cargo xtask models`: the pages in `docs/` that say what runs and what fits where.

use anyhow::Result;
use std::process::ExitCode;

use crate::process;

/// The test that knows when the pages are out of date also writes them.
pub(crate) fn run() -> Result<ExitCode> {
    let test = ["test", "-p", "silhak-tests", "--test", "models_page"];
    process::run(process::cargo().args(test).env("SILHAK_WRITE_PAGES", "1"))?;
    Ok(ExitCode::SUCCESS)
}

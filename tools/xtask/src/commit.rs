//! The commit that a page of results is of.

use anyhow::Result;
use std::process::Command;

use crate::{folders, process};

/// The commit's short name, and whether files differ from it, those in `except` aside.
pub(crate) fn describe(except: &[&str]) -> Result<String> {
    let git =
        |arguments: &[&str]| process::output(Command::new("git").current_dir(folders::checkout()).args(arguments));
    let except: Vec<String> = except.iter().map(|path| format!(":!{path}")).collect();
    let mut status = vec!["status", "--porcelain", "--", "."];
    status.extend(except.iter().map(String::as_str));
    let changed = if git(&status)?.is_empty() { "" } else { " with changes" };
    Ok(format!("{}{changed}", git(&["rev-parse", "--short", "HEAD"])?.trim()))
}

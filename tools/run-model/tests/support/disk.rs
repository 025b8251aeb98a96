//! A disk that is soon full.

#![allow(clippy::print_stdout, reason = "what is skipped is told")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A file system of 8 MiB at `path`, unmounted when dropped; none where mounting is not allowed.
pub(crate) fn small(path: &Path) -> Option<Unmount<'_>> {
    fs::create_dir_all(path).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(path).stderr(Stdio::null()).status();
    if mount.is_ok_and(|status| status.success()) {
        return Some(Unmount(path));
    }
    let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|part| part == "mount"), "the right to mount is required and missing");
    println!("SKIPPED: mounting a small file system is not allowed here");
    None
}

pub(crate) struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

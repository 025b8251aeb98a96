//! What the system knows of this process's memory.

use std::fs;

/// The most memory that this process has held at once, the mapped part of model files included, as `run-model` tells
/// it. Linux only.
pub(crate) fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}

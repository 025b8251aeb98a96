//! Everything that can keep a file from being written.

use std::io;
use std::path::PathBuf;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that no preset has.
    #[error("there is no preset '{name}'; expected one of {known}")]
    UnknownPreset {
        /// The name as it was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The vocabulary cannot hold every byte and the control tokens.
    #[error(
        "a vocabulary of {found} tokens is too small: expected at least {least}, for the bytes and the control tokens"
    )]
    Vocabulary {
        /// The fewest tokens that do.
        least: usize,
        /// The tokens asked for.
        found: usize,
    },
    /// The path leads to a folder, a device or the like, which a file must not replace.
    #[error("'{}' is there and is no regular file; name another file to write", .path.display())]
    NotAFile {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The disk has less room than the file takes; found before anything was written.
    #[error(
        "not enough room on the disk: expected {needed} bytes, found {available}; free some or write to another disk"
    )]
    NoSpace {
        /// Bytes that the file takes.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The disk filled up while the file was written; what there was of it is gone.
    #[error("the disk is full, and the file takes {needed} bytes; free some room or write to another disk")]
    DiskFull {
        /// Bytes that the file takes.
        needed: u64,
    },
    /// The caller had enough; what there was of the file is gone.
    #[error("stopped before the file was whole; nothing of it was kept")]
    Cancelled,
    /// The system refused.
    #[error("cannot {action} '{}': {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The draft breaks a rule of the file format, or its output failed.
    #[error(transparent)]
    Gguf(#[from] silhak_gguf::Error),
}

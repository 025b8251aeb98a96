//! A local, content-addressed model store: catalogue, pull, import, verify.
//!
//! ```text
//! <root>/blobs/sha256-<64 hex>.gguf    the files themselves, named by their content
//! <root>/models/<name>.toml            one manifest a model: name, files, licence, source
//! <root>/splits/<name>@<16 hex>/…      links under their own names for a model of many files, a folder a content
//! <root>/catalogue.toml                the user's own additions to the built-in catalogue
//! ```
//!
//! A model is in the store when its manifest is. Blobs are written to a temporary file, synced and renamed, and the
//! manifest comes last, so a process killed at any moment leaves either the whole model or none of it; what it leaves
//! unfinished is resumed by the next [`Store::pull`] or removed by [`Store::sweep`].
//!
//! The library prints nothing and starts no threads that outlive a call: callers pass a [`Monitor`] to hear of progress
//! and to cancel.

#![forbid(unsafe_code)]

mod catalogue;
mod error;
mod files;
mod import;
mod manifest;
mod monitor;
mod name;
mod pull;
mod store;
mod sweep;
mod timestamp;

pub use catalogue::{Catalogue, Entry, Licence, Localized, Source, Wheel};
pub use error::{Damage, NoAnswer, SourceFailure, StoreError};
pub use files::hash_file;
pub use import::ImportOptions;
pub use manifest::{Manifest, ModelFile};
pub use monitor::{CancelToken, Event, Monitor, Phase};
pub use name::{Digest, ModelName};
pub use pull::PullOptions;
pub use store::{Resolved, Store};
pub use sweep::Swept;

/// What a fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, StoreError>;

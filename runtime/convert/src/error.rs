//! Everything that can keep a checkpoint from becoming a file.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// A file is not JSON, or no object.
    #[error("'{}' is not what it should be: {source}; download it again", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An entry of a JSON file is missing or makes no sense.
    #[error("'{}': '{key}': expected {expected}, found {found}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
        /// What would have been right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The model's class is none that can be converted.
    #[error("models of the class '{found}' cannot be converted; expected one of {known}")]
    UnknownClass {
        /// What `architectures` says.
        found: String,
        /// The classes there are.
        known: String,
    },
    /// The folder holds no weights.
    #[error("there are no weights in '{}': expected {expected}; is it the folder of a downloaded model?", .folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The files looked for.
        expected: String,
    },
    /// A file of weights is broken.
    #[error("'{}': {reason}; download it again", .path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights in a type that cannot be read.
    #[error("'{}' has weights of type {found}: expected BF16, F16, F32 or F8_E4M3; take the maker's unquantized model", .path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The type.
        found: String,
    },
    /// Scales of 8-bit floats that do not fit what they scale.
    #[error(
        "tensor '{name}' of shape {shape:?}: expected a scale for all, for each row or for each block of the configuration's weight_block_size, found scales of shape {found:?}; take the maker's model in BF16"
    )]
    Scales {
        /// What they scale.
        name: String,
        /// Its shape, the slowest dimension first.
        shape: Vec<usize>,
        /// That of the scales.
        found: Vec<usize>,
    },
    /// The model's class needs a tensor that is not there.
    #[error("tensor '{name}' is missing; is every file of the model there?")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor that the model's class does not have, and that changes what the model says if it is left out.
    #[error("tensor '{name}' is no part of a {class}; the model is of another kind than its config.json says")]
    UnknownTensor {
        /// Its name.
        name: String,
        /// The model's class.
        class: String,
    },
    /// A tensor does not have as many rows as it has heads.
    #[error("tensor '{name}': expected rows for {n_heads} heads, found {rows}")]
    Heads {
        /// Its name.
        name: String,
        /// Heads that the rows belong to.
        n_heads: usize,
        /// Its rows.
        rows: usize,
    },
    /// An expert's matrix has another shape than the first expert's.
    #[error("tensor '{name}': expected the shape {expected:?}, which the first expert has, found {found:?}")]
    ExpertShape {
        /// Its name.
        name: String,
        /// The shape of the first expert's, the slowest dimension first.
        expected: Vec<usize>,
        /// Its own.
        found: Vec<usize>,
    },
    /// Text is cut into words by rules that have no name.
    #[error("the tokenizer cuts text by rules that are not known: {found}; name known ones with --pre")]
    PreTokenizer {
        /// The rules.
        found: String,
    },
    /// The tokenizer is of a kind that cannot be converted.
    #[error("'{}': {reason}", .path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
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
        /// Bytes that are still to be written.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The caller had enough. What is written stays, and the next time goes on from there.
    #[error("stopped; the same command goes on where this one stopped")]
    Cancelled,
    /// A file to be quantized that is so already.
    #[error(
        "tensor '{name}' is quantized already ({found}), and its loss would come on top; take the model in F16 or BF16, or say --allow-requantize"
    )]
    Quantized {
        /// The tensor's name.
        name: String,
        /// Its format.
        found: String,
    },
    /// A tensor of a type that cannot be read.
    #[error("tensor '{name}' is stored as {found}, which cannot be read")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A file of importances is broken or of another kind.
    #[error("'{}' is no importance matrix: {reason}", .path.display())]
    Importance {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An importance matrix was made with another model.
    #[error("the importance matrix is of another model: its '{name}' is not in this one, or has another shape")]
    OtherImportance {
        /// The tensor's name.
        name: String,
    },
    /// A value that a format cannot hold.
    #[error("tensor '{name}': {source}")]
    Quantize {
        /// Its name.
        name: String,
        /// What is wrong.
        source: silhak_quant::Error,
    },
    /// The file would break a rule of the format.
    #[error(transparent)]
    Gguf(#[from] silhak_gguf::Error),
}

impl Error {
    /// Makes an error of what the system says about a file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}

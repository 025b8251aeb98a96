//! What can be wrong with a file, or with a request about one.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::{TensorType, ValueType};

/// Why a file was refused, a key could not be read, or a file could not be written.
///
/// `offset` is always the byte offset in the file at which the named field begins.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error about one file; [`Error::root`] is the error itself.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },

    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done, as in "open the file".
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },

    /// The path is a directory, a device, a pipe or the like.
    #[error("this is not a regular file; give the path of a .gguf file")]
    NotAFile,

    /// The first four bytes are not `GGUF`.
    #[error(
        "this is not a GGUF file: it begins with {found:02x?} instead of \"GGUF\"; check that the download is whole"
    )]
    NotGguf {
        /// The first four bytes.
        found: [u8; 4],
    },

    /// The file was written for a big-endian machine.
    #[error(
        "this is a big-endian GGUF file (version bytes {version:#010x}); only little-endian files can be read: convert it with gguf-py's gguf_convert_endian.py"
    )]
    BigEndian {
        /// The version field as a little-endian number.
        version: u32,
    },

    /// A GGUF version other than 2 and 3.
    #[error(
        "GGUF version {found} at byte 4 is not supported: expected 2 or 3; convert the model again with a current converter"
    )]
    UnsupportedVersion {
        /// The version.
        found: u32,
    },

    /// The file ends inside a field.
    #[error(
        "the file ends inside {field} at byte {offset}: {needed} bytes needed, {available} left; it is cut short or damaged, download it again"
    )]
    Truncated {
        /// The field.
        field: String,
        /// Where the field begins.
        offset: u64,
        /// Bytes the field takes.
        needed: u64,
        /// Bytes left in the file.
        available: u64,
    },

    /// A count or length above its cap in [`limits`](crate::limits).
    #[error("{field} at byte {offset} is {found}, more than the {limit} allowed; the file is damaged or hostile")]
    TooLarge {
        /// The field.
        field: String,
        /// Where the field begins.
        offset: u64,
        /// Its value.
        found: u64,
        /// The cap.
        limit: u64,
    },

    /// A count of more entries than the rest of the file can hold.
    #[error(
        "{field} at byte {offset} is {found}: that takes at least {needed} bytes, but {available} are left in the file; it is cut short or damaged, download it again"
    )]
    CountPastEnd {
        /// The field.
        field: String,
        /// Where the field begins.
        offset: u64,
        /// Its value.
        found: u64,
        /// The least bytes that so many entries take (saturating).
        needed: u64,
        /// Bytes left in the file.
        available: u64,
    },

    /// Text that is not UTF-8.
    #[error("{field} at byte {offset} is not valid UTF-8; the file is damaged or its converter is faulty")]
    InvalidUtf8 {
        /// The field.
        field: String,
        /// Where its text begins.
        offset: u64,
    },

    /// A metadata key or tensor name of no bytes.
    #[error("{field} at byte {offset} is empty")]
    EmptyName {
        /// The field.
        field: String,
        /// Where the field begins.
        offset: u64,
    },

    /// A metadata value of a type that GGUF does not have.
    #[error("{field} at byte {offset} is {found}: GGUF has value types 0 to 12")]
    UnknownValueType {
        /// The field.
        field: String,
        /// Where the field begins.
        offset: u64,
        /// The type id.
        found: u32,
    },

    /// An array of arrays.
    #[error(
        "metadata key {} has an array of arrays (element type at byte {offset}), which no model needs and Silhak does not read",
        Quoted(key)
    )]
    NestedArray {
        /// The key.
        key: String,
        /// Where the element type stands.
        offset: u64,
    },

    /// A boolean other than 0 and 1.
    #[error("{field} at byte {offset} is {found}: a boolean is 0 or 1")]
    InvalidBool {
        /// The field.
        field: String,
        /// Where the byte stands.
        offset: u64,
        /// The byte.
        found: u8,
    },

    /// The same metadata key twice.
    #[error("metadata key {} appears a second time at byte {offset}", Quoted(key))]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where the second one begins.
        offset: u64,
    },

    /// The same tensor name twice.
    #[error("tensor {} appears a second time at byte {offset}", Quoted(tensor))]
    DuplicateTensor {
        /// The name.
        tensor: String,
        /// Where the second entry begins.
        offset: u64,
    },

    /// `general.alignment` is not a power of two in the accepted range.
    #[error("general.alignment at byte {offset} is {found}: expected a power of two from 8 to 65536")]
    InvalidAlignment {
        /// Where the value stands.
        offset: u64,
        /// The value.
        found: u32,
    },

    /// `general.alignment` is not a u32.
    #[error("general.alignment at byte {offset} has type {found}: expected u32")]
    AlignmentType {
        /// Where the value stands.
        offset: u64,
        /// Its type.
        found: ValueType,
    },

    /// A tensor without dimensions or with more than four.
    #[error("tensor {} has {found} dimensions (byte {offset}): expected 1 to 4", Quoted(tensor))]
    DimCount {
        /// The tensor.
        tensor: String,
        /// Where the count stands.
        offset: u64,
        /// The count.
        found: u32,
    },

    /// A dimension of zero.
    #[error("dimension {dim} of tensor {} is 0 (byte {offset}): expected at least 1", Quoted(tensor))]
    ZeroDim {
        /// The tensor.
        tensor: String,
        /// Where the dimension stands.
        offset: u64,
        /// Which dimension, from 0.
        dim: usize,
    },

    /// More elements or bytes than a number or this machine's address space can hold.
    #[error(
        "the dimensions {dims:?} of tensor {} (byte {offset}) multiply to more than this machine can address",
        Quoted(tensor)
    )]
    SizeOverflow {
        /// The tensor.
        tensor: String,
        /// Where the dimensions stand.
        offset: u64,
        /// The dimensions.
        dims: Vec<u64>,
    },

    /// A row that is not a whole number of the type's blocks.
    #[error("rows of tensor {} have {row_len} elements (byte {offset}): {ty} needs a multiple of {}", Quoted(tensor), ty.block_len())]
    PartialBlock {
        /// The tensor.
        tensor: String,
        /// Where the row length stands.
        offset: u64,
        /// The tensor's type.
        ty: TensorType,
        /// The row length.
        row_len: u64,
    },

    /// A tensor type id that this version does not know.
    #[error(
        "tensor {} has type id {id} (byte {offset}), which this version does not know; a newer Silhak may",
        Quoted(tensor)
    )]
    UnknownTensorType {
        /// The tensor.
        tensor: String,
        /// Where the id stands.
        offset: u64,
        /// The id.
        id: u32,
    },

    /// A tensor type that ggml has withdrawn.
    #[error(
        "tensor {} has type {name} (id {id}, byte {offset}), which ggml has withdrawn; quantize the model again to a current type",
        Quoted(tensor)
    )]
    RemovedTensorType {
        /// The tensor.
        tensor: String,
        /// Where the id stands.
        offset: u64,
        /// The id.
        id: u32,
        /// The type's name.
        name: &'static str,
    },

    /// Tensor data that does not begin at a multiple of the alignment.
    #[error(
        "the data offset {found} of tensor {} (byte {offset}) is not a multiple of the alignment, {alignment}",
        Quoted(tensor)
    )]
    UnalignedTensor {
        /// The tensor.
        tensor: String,
        /// Where the data offset stands.
        offset: u64,
        /// The data offset, relative to the data section.
        found: u64,
        /// The file's alignment.
        alignment: u32,
    },

    /// Tensor data that reaches past the end of the file.
    #[error(
        "tensor {} needs {n_bytes} bytes at data offset {found} (byte {offset}), past the end of the file of {file_len} bytes; it is cut short or damaged, download it again",
        Quoted(tensor)
    )]
    TensorPastEnd {
        /// The tensor.
        tensor: String,
        /// Where the data offset stands.
        offset: u64,
        /// The data offset, relative to the data section.
        found: u64,
        /// Bytes of the tensor.
        n_bytes: u64,
        /// Bytes of the file.
        file_len: u64,
    },

    /// Two tensors that share bytes.
    #[error(
        "the data of tensor {} (data offset at byte {offset}) overlaps that of tensor {}",
        Quoted(tensor),
        Quoted(other)
    )]
    TensorOverlap {
        /// The tensor that begins later.
        tensor: String,
        /// The tensor that reaches into it.
        other: String,
        /// Where the data offset of the first stands.
        offset: u64,
    },

    /// A metadata key that is needed and absent.
    #[error("metadata key {} is missing: expected {expected}", Quoted(key))]
    MissingKey {
        /// The key.
        key: String,
        /// The type it should have.
        expected: &'static str,
    },

    /// A metadata value of another type than asked for.
    #[error("metadata key {} has type {found}: expected {expected}", Quoted(key))]
    WrongType {
        /// The key.
        key: String,
        /// The type asked for.
        expected: &'static str,
        /// What is there.
        found: String,
    },

    /// A metadata number that does not fit the type asked for.
    #[error("metadata key {} is {found}: expected {expected}", Quoted(key))]
    OutOfRange {
        /// The key.
        key: String,
        /// What was expected.
        expected: String,
        /// The number.
        found: String,
    },

    /// A metadata array with another number of elements than asked for.
    #[error("metadata key {} has {found} elements: expected {expected}", Quoted(key))]
    WrongLength {
        /// The key.
        key: String,
        /// The number asked for.
        expected: usize,
        /// The number found.
        found: usize,
    },

    /// A shard whose file name does not say which shard it is.
    #[error("this is shard {no} of a model split in {count}, but its name does not end in -{:05}-of-{count:05}.gguf; give all shards their original names", *no as u64 + 1)]
    ShardName {
        /// The shard's number, from 0, by its metadata.
        no: u32,
        /// The number of shards, by its metadata.
        count: u32,
    },

    /// A shard whose metadata disagrees with its name or with the other shards.
    #[error("{field} is {found}: expected {expected}; the shards are not of one model, or files were renamed")]
    ShardMismatch {
        /// The field.
        field: &'static str,
        /// What the name or the other shards say.
        expected: u64,
        /// What this shard says.
        found: u64,
    },

    /// Something that cannot be written, because no reader would accept it.
    #[error("cannot write {field}: {reason}")]
    Unwritable {
        /// The key, tensor or field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The error itself, without the files it happened in.
    pub fn root(&self) -> &Error {
        match self {
            Error::File { source, .. } => source.root(),
            other => other,
        }
    }

    /// Says in which file this error happened.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Error {
        Error::File { path: path.to_owned(), source: Box::new(self) }
    }
}

/// A name from a file, made safe to print: quoted, escaped, and cut where a hostile one goes on and on.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARS: usize = 96;
        match self.0.char_indices().nth(MAX_CHARS) {
            Some((cut, _)) => write!(f, "`{}…`", self.0[..cut].escape_debug()),
            None => write!(f, "`{}`", self.0.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_print_short_and_escaped() {
        assert_eq!(Quoted("blk.0.\u{1b}[31m").to_string(), r"`blk.0.\u{1b}[31m`");
        assert_eq!(Quoted("어텐션").to_string(), "`어텐션`");
        assert!(Quoted(&"가".repeat(60_000)).to_string().len() < 300);
    }

    #[test]
    fn errors_are_small_enough_to_return() {
        assert!(size_of::<Error>() <= 96);
    }
}

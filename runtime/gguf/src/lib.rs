//! Reads and writes GGUF files; treats every file as hostile.
//!
//! [`Gguf::open`] maps a model (one file or all its shards), checks every count, length and offset against the file's
//! size, and yields [`Metadata`] and a table of [`TensorInfo`]; [`Gguf::data`] is a view of a tensor's bytes, not a
//! copy. [`Writer`] produces version 3 files. The format is the one described in ggml's `docs/gguf.md`; versions 2 and
//! 3, little endian, are read.
//!
//! A file that breaks a rule is refused with an [`Error`] that names the field and its byte offset. No file makes this
//! crate panic, read outside the file, or allocate more than a small multiple of the bytes that are really there; the
//! caps that hold besides are in [`limits`].
//!
//! ```no_run
//! # fn main() -> Result<(), silhak_gguf::Error> {
//! let model = silhak_gguf::Gguf::open("model.gguf".as_ref())?;
//! println!("{}", model.metadata().str("general.architecture")?);
//! for tensor in model.tensors() {
//!     println!("{} {} {:?}: {} bytes", tensor.name(), tensor.ty(), tensor.dims(), model.data(tensor).len());
//! }
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod array;
mod cursor;
mod error;
mod gguf;
pub mod limits;
mod metadata;
mod parallel;
mod parse;
mod source;
mod split;
mod tensor;
mod tensor_type;
mod value;
mod writer;

pub use array::{Array, StringArray};
pub use error::Error;
pub use gguf::Gguf;
pub use metadata::Metadata;
pub use source::FileFacts;
pub use split::ShardName;
pub use tensor::TensorInfo;
pub use tensor_type::{TensorType, TypeIdError};
pub use value::{Value, ValueType};
pub use writer::{TensorWriter, Writer};

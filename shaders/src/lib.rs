//! The GPU backend's compute shaders, in WGSL.
//!
//! Each kernel is a file of `wgsl/`, with the shape of every binding in a comment. A [`Shader`] names a kernel and what
//! is left open in it: constants such as the number of rows per workgroup, and parts that come from a file of their own,
//! such as how a weight format is unpacked. [`Shader::source`] puts the text together; WGSL does not mind the order of
//! declarations, so that is all there is to it.
//!
//! Nothing here knows a GPU API: `tests/translate.rs` parses, validates and translates every variant.

#![forbid(unsafe_code)]

mod binding;
mod coop;
mod shader;
mod source;
mod weights;

pub use binding::Binding;
pub use coop::{CoopTile, Matrices};
pub use shader::{Activation, Activations, Epilogue, Form, Kv, Reduce, Shader};
pub use weights::Weights;

/// Most tokens that [`Shader::Choose`] keeps to choose from.
pub const MOST_TOP_K: u32 = 64;

/// Words of the header of the batch buffer (`batch.wgsl`), before the places of the rope tables.
pub const BATCH_HEADER: usize = 12;

//! What the fuzz targets do with their input. The plain tests replay the corpus through the same code.

#![forbid(unsafe_code)]

pub mod gguf;
pub mod gguf_mutator;
pub mod template;
pub mod vocab;
pub mod vocab_seeds;

//! Hugging Face checkpoints to GGUF files, and GGUF files to smaller ones.
//!
//! A folder as makers publish it (`config.json`, `tokenizer.json`, `*.safetensors`, ...) becomes one file: tensors under
//! GGUF's names, in the formats of a [`Mix`], with metadata that other programs read too where they know the architecture.
//! Weights are read, converted and written piece by piece, so memory stays small. What was written before an interruption
//! is not written again. [`quantize`] makes a smaller file of one that is there.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use silhak_convert::{Mix, Options, convert};
//!
//! # fn main() -> Result<(), silhak_convert::Error> {
//! let options = Options { mix: Some(Mix::Q8_0), ..Options::default() };
//! let report = convert("EXAONE-4.0-1.2B".as_ref(), "exaone4.gguf".as_ref(), &options, &mut |progress| {
//!     println!("{} of {} bytes", progress.done, progress.total);
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} bytes", report.bytes);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod convert;
mod draft;
mod error;
mod families;
mod fp8;
mod importance;
mod output;
mod quantize;
mod rope;
mod sizes;
mod tokenizer;
mod unfinished;
mod values;

pub use convert::{Options, Report, convert};
pub use error::Error;
pub use importance::{Importance, Sums, Text};
pub use output::{Monitor, Progress};
pub use quantize::{QuantizeOptions, QuantizeReport, quantize, quantized_bytes};
pub use silhak_quant::Mix;

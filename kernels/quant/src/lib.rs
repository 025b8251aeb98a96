//! GGUF block formats: byte layouts, scalar quantization and dequantization.
//!
//! - [`Format`]: names, numbers and sizes of the weight formats.
//! - [`blocks`]: the bytes of one block of each format.
//! - [`dequantize`]: blocks to values, bit for bit as ggml defines them.
//! - [`quantize`], [`quantize_weighted`]: values to blocks, with a search for the scales of least error.
//! - [`Mix`]: which format each matrix of a model gets in a file called `Q4_K_M` and the like.
//! - [`planar`]: weights as a GPU reads them.
//! - [`activations`]: the 8-bit activations that integer dot products take.
//! - [`quantize_kv`]: keys and values in 8 bits.
//!
//! ```
//! use silhak_quant::{Format, dequantize, quantize};
//!
//! let format: Format = "Q4_K".parse()?;
//! let row: Vec<f32> = (0..512).map(|i| (i as f32 / 40.0).sin()).collect();
//! let mut bytes = vec![0; format.row_bytes(row.len()).expect("512 values are two blocks")];
//! quantize(format, &row, &mut bytes)?;
//! assert_eq!(bytes.len(), 288);
//!
//! let mut back = vec![0.0; row.len()];
//! dequantize(format, &bytes, &mut back)?;
//! assert!(row.iter().zip(&back).all(|(x, y)| (x - y).abs() < 0.1));
//! # Ok::<(), silhak_quant::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod activations;
pub mod blocks;
mod dequantize;
mod error;
mod format;
mod kv;
mod mix;
pub mod planar;
mod quantize;
mod round;

pub use dequantize::dequantize;
pub use error::Error;
pub use format::Format;
pub use kv::quantize_kv;
pub use mix::{Mix, Outline};
pub use quantize::{quantize, quantize_weighted};

//! Model files of true shapes with random weights: what a model of that size costs can be measured without having it.
//!
//! A [`Preset`] has the [`Shape`] of a published model. A [`Draft`] is what a file of it will hold: metadata with a
//! working vocabulary, and tensors in the formats of a [`Mix`]. Writing it makes the weights block by block, directly in
//! their format, so that it is fast and takes no memory to speak of. The same draft gives the same bytes on every machine.
//!
//! ```
//! use std::num::NonZero;
//! use std::ops::ControlFlow;
//! use silhak_synth::{Draft, Mix, Preset};
//!
//! # fn main() -> Result<(), silhak_synth::Error> {
//! let shape = Preset::find("llama-1b")?.shape.with_layers(1);
//! let draft = Draft::new(&shape, Mix::Q4KM, 1)?;
//! # if false {
//! draft.save("model.gguf".as_ref(), NonZero::<usize>::MIN, &mut |progress| {
//!     println!("{} of {} bytes", progress.done, progress.total);
//!     ControlFlow::Continue(())
//! })?;
//! # }
//! assert_eq!(draft.file_bytes()? >> 20, 245);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod draft;
mod error;
mod fill;
mod preset;
mod save;
mod shape;
mod tensor;
mod vocabulary;

pub use draft::{Draft, Monitor, Progress};
pub use error::Error;
pub use preset::Preset;
pub use shape::{Latent, Mixture, Multipliers, Shape, Skips};
pub use silhak_quant::{Format, Mix};
pub use tensor::Tensor;

//! From a GGUF file to a plan: hyper-parameters, weights, and one file per architecture.
//!
//! [`Model::from_gguf`] picks the architecture by `general.architecture`, checks that every tensor is there in the right
//! shape, and writes the forward pass as a [`silhak_ops::Plan`]. It knows no device; [`Offload`] says which of a plan's
//! [`Blocks`] would go to a GPU.

#![forbid(unsafe_code)]

mod arch;
mod error;
mod hyper;
mod layers;
mod model;
mod placement;
mod rope;
mod tensors;

pub use arch::architectures;
pub use error::Error;
pub use hyper::HyperParams;
pub use model::Model;
pub use placement::{Blocks, GpuLayers, Offload};

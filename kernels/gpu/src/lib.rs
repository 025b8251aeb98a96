//! The GPU backend: plans run as WGSL compute shaders, through wgpu, on any vendor's card.
//!
//! [`adapters`] lists what there is; a [`Gpu`] is one of them, opened, and a [`silhak_ops::Backend`]. Weights are uploaded
//! once, split into planes that a GPU reads well ([`silhak_quant::planar`]); pipelines and bind groups are made once; a
//! batch is one write to the GPU, one compute pass and one submission.
//!
//! Nothing is assumed of a card: what it has stands in its [`Caps`], and [`GpuOptions`] can switch off each of them.

#![deny(unsafe_code)]

mod adapters;
mod batch_words;
mod buffer;
mod caps;
mod device;
mod error;
mod executor;
mod fuse;
mod gpu;
mod kv;
mod memory;
mod pipelines;
mod policy;
mod program;
mod readback;
mod weights;

pub use adapters::{AdapterInfo, adapters};
pub use caps::{Caps, Feature};
pub use error::GpuError;
pub use gpu::{Gpu, GpuOptions};

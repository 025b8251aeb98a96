//! The GPU backend: plans run as WGSL compute shaders, through wgpu, on any vendor's card.
//!
//! [`adapters`] lists what there is; a [`Gpu`] is one of them, opened, and a [`silhak_ops::Backend`]. Weights are uploaded
//! once, split into planes that a GPU reads well ([`silhak_quant::planar`]); pipelines and bind groups are made once; a
//! batch is one write to the GPU, one compute pass and one submission.
//!
//! A device may refuse any buffer, and may be lost at any time. Both are typed errors; after a loss, whoever prepares a plan
//! again opens the device again. Nothing that was on it is left.
//!
//! Nothing is assumed of a card: what it has stands in its [`Caps`], and [`GpuOptions`] can switch off each of them.

#![deny(unsafe_code)]

mod adapters;
mod ahead;
mod bandwidth;
mod batch_words;
mod budget;
mod buffer;
mod caps;
mod device;
mod error;
mod executor;
mod faults;
mod fuse;
mod gpu;
mod known_forms;
mod kv;
mod memory;
mod pipelines;
mod policy;
mod profile;
mod program;
mod readback;
mod rows;
mod tune;
mod upload;
mod weights;

pub use adapters::{AdapterInfo, adapters};
pub use budget::GpuMemory;
pub use caps::{Caps, CooperativeMatrix, Feature};
pub use error::GpuError;
pub use gpu::{Gpu, GpuOptions};

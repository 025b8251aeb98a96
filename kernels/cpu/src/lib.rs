//! CPU kernels with run-time instruction set choice, and the executor that runs plans on a thread team.
//!
//! - [`Caps`]: what the processor can do; every kernel beyond the generic ones asks for its proof.
//! - [`policy`]: which kernel runs, as pure functions.
//! - [`LinearKernel`]: weights of any format times activations.
//! - [`Cpu`]: the backend: plans in steps that a [`Team`] of threads carries out.

mod attention;
mod caps;
mod executor;
mod gate;
mod kv;
mod linear;
mod norm;
pub mod policy;
mod quantize;
mod rope;
mod simd;
mod team;

pub use caps::{Avx2, Avx512Vnni, AvxVnni, Caps, Dotprod, I8mm, Isa, UnknownIsa};
pub use executor::{Cpu, CpuOptions, PanelCache, Release, Repack};
pub use linear::{
    ActivationLayout, ActivationWriter, Activations, LinearKernel, Output, Reading, panel_bytes, repack, unpack,
};
pub use team::{MOST_THREADS, Member, Team, default_threads};

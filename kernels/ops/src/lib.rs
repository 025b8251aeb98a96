//! The vocabulary of a forward pass.
//!
//! A model is a [`Plan`]: a list of [`Op`]s over values of shape `[n_rows, width]`, written once when the model is
//! loaded. A [`Batch`] says which tokens of which sequences go through it this time, and which pages hold their keys
//! and values. A [`Backend`] turns a plan and its weights into an [`Executor`], which runs batches.
//!
//! The [`mod@reference`] backend runs every op in plain float32 and is written to be read; every faster backend is
//! compared with it over the tables in [`cases`]. A plan can be cut ([`Plan::cut`]) and its parts run on a backend each
//! ([`Split`]).

#![forbid(unsafe_code)]

mod activation;
mod backend;
mod batch;
mod builder;
pub mod cases;
mod choice;
mod cut;
mod error;
mod kv;
mod kv_element;
mod op;
mod plan;
mod print;
mod profile;
pub mod reference;
mod rope;
mod routing;
mod scratch;
mod split;

pub use activation::ActivationFormat;
pub use backend::{Backend, ExecConfig, Executor, MemoryUse};
pub use batch::{Batch, Page, PageTable};
pub use builder::PlanBuilder;
pub use choice::{Choice, Slot};
pub use cut::Part;
pub use error::Error;
pub use kv::{KvConfig, KvGroup, KvId, KvLayer};
pub use kv_element::KvElement;
pub use op::{Activation, Op};
pub use plan::{Plan, Rows, Value, ValueId, Weight, WeightId};
pub use profile::KernelTime;
pub use rope::{Pairing, Rope, RopeScaling, RopeTable};
pub use routing::Routing;
pub use scratch::{Access, Scratch};
pub use split::Split;

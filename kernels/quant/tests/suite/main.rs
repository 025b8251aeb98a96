//! Tests of the public interface.

// Clippy takes a helper outside a test function for library code.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod activations;
mod data;
mod edges;
mod golden;
mod peer;
mod planar;

//! Tokenizers against their originals and against the facts known about them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it skips")]

mod behaviour;
mod golden;
mod reference;
mod speed;
mod support;
mod vectors;

//! What one rendering may cost, and the ways in which it can fail.

use std::cell::Cell;

/// A failure inside of the interpreter; the line is added where it leaves.
#[derive(Debug)]
pub(super) enum Fault {
    /// The template did something that Python or Jinja would refuse too.
    Message(String),
    /// `raise_exception` was called.
    Refused(String),
    OutOfFuel,
    OutputTooLong,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault::Message(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Fault::Message(message.to_owned())
    }
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A failure with this message.
pub(super) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Fault::Message(message.into()))
}

/// The cost of visiting one node of the template or one item of a list, in units.
pub(super) const STEP: usize = 32;

/// Counts the work done. A byte copied or compared costs one unit, everything else [`STEP`].
///
/// As all memory is paid for before it is allocated, this bounds memory as well as time.
#[derive(Debug)]
pub(super) struct Budget {
    left: Cell<u64>,
}

impl Budget {
    pub(super) fn new(units: u64) -> Self {
        Self { left: Cell::new(units) }
    }

    /// Pays `units`, or fails when not so much is left.
    pub(super) fn spend(&self, units: usize) -> Result<()> {
        let left = self.left.get().checked_sub(units as u64).ok_or(Fault::OutOfFuel)?;
        self.left.set(left);
        Ok(())
    }

    /// Pays for `n` items or nodes.
    pub(super) fn steps(&self, n: usize) -> Result<()> {
        self.spend(n.saturating_mul(STEP))
    }
}

//! What memory and cores give to programs that do nothing else.

mod memory;
mod peak;

use silhak_ops::Error;

use memory::Memory;
pub(crate) use peak::Peak;

/// The best that has been seen so far. Other programs can only make it less.
pub(crate) struct Bounds {
    memory: Memory,
    /// Of each instruction set the fastest way first.
    pub(crate) peaks: Vec<Peak>,
}

impl Bounds {
    /// Measures everything a first time.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub(crate) fn new() -> Result<Bounds, Error> {
        let mut bounds = Bounds { memory: Memory::new()?, peaks: Peak::all() };
        bounds.measure()?;
        Ok(bounds)
    }

    /// Measures everything once more.
    ///
    /// # Errors
    /// If a thread fails.
    pub(crate) fn measure(&mut self) -> Result<(), Error> {
        self.peaks.iter_mut().for_each(Peak::measure);
        self.memory.measure()
    }

    /// Numbers of threads and the gigabytes per second that they read together; one thread comes first.
    pub(crate) fn bandwidths(&self) -> impl Iterator<Item = (usize, f64)> {
        self.memory.bandwidths()
    }
}

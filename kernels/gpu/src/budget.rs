//! How much memory the buffers of a device take, and may take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a GPU's buffers: all that Silhak asks for, exactly. What the driver adds to them is not counted, nor what an
/// upload has on its way, which is at most 32 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuMemory {
    /// Held now.
    pub used: u64,
    /// Held at most, since the device was opened.
    pub peak: u64,
    /// What may be held; none leaves it to the driver.
    pub limit: Option<u64>,
}

/// Counts the buffers of a device.
#[derive(Debug)]
pub(crate) struct Budget {
    memory: Mutex<GpuMemory>,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Budget { memory: Mutex::new(GpuMemory { limit, ..GpuMemory::default() }) })
    }

    pub(crate) fn memory(&self) -> GpuMemory {
        *self.lock()
    }

    /// What is held beyond a new limit stays.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.lock().limit = limit;
    }

    /// Counts `bytes`, or tells why they are too many.
    pub(crate) fn share(self: &Arc<Self>, bytes: u64) -> Result<Share, GpuMemory> {
        let mut memory = self.lock();
        let used = memory.used.saturating_add(bytes);
        if memory.limit.is_some_and(|limit| used > limit) {
            return Err(*memory);
        }
        memory.used = used;
        memory.peak = memory.peak.max(used);
        Ok(Share { budget: Arc::clone(self), bytes })
    }

    fn lock(&self) -> MutexGuard<'_, GpuMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.lock().used -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let budget = Budget::new(Some(100));
        let first = budget.share(60).unwrap();
        assert_eq!(budget.share(41).unwrap_err(), GpuMemory { used: 60, peak: 60, limit: Some(100) });
        let second = budget.share(40).unwrap();
        assert!(budget.share(u64::MAX).is_err());
        drop((first, second));
        assert_eq!(budget.memory(), GpuMemory { used: 0, peak: 100, limit: Some(100) });
        budget.set_limit(None);
        assert!(budget.share(1 << 40).is_ok());
    }
}

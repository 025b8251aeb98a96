//! What the system tells of its memory.

use sysinfo::System;

/// The memory of the machine, or of the container that the program runs in. What the system does not tell is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMemory {
    /// Bytes in all.
    pub total: Option<u64>,
    /// Bytes that a program can have without pushing others out.
    pub available: Option<u64>,
}

impl SystemMemory {
    /// What there is now.
    pub fn now() -> Self {
        let Ok(mut system) = System::new() else { return Self::default() };
        system.refresh_memory();
        let known = |bytes: u64| (bytes > 0).then_some(bytes);
        let (mut total, mut available) = (known(system.total_memory()), known(system.available_memory()));
        if let Some(container) = system.cgroup_limits() {
            total = total.map(|bytes| bytes.min(container.total_memory));
            // What the container holds of files does not count: it goes as soon as somebody needs the room.
            let left = container.total_memory.saturating_sub(container.rss);
            available = available.map(|bytes| bytes.min(left));
        }
        Self { total, available }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_available_than_there_is() {
        let memory = SystemMemory::now();
        assert!(memory.available.unwrap() <= memory.total.unwrap());
    }
}

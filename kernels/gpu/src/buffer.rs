//! Buffers, with every allocation checked and counted.

use std::ops::Deref;
use std::sync::Arc;

use wgpu::{BufferDescriptor, BufferUsages};

use crate::GpuError;
use crate::budget::Share;
use crate::device::Device;

/// A buffer. Clones share it, and its memory counts until the last of them is dropped. A bind group keeps its buffers alive,
/// so whoever holds one holds them too.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    buffer: wgpu::Buffer,
    /// What it is for.
    pub(crate) what: &'static str,
    _share: Arc<Share>,
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Device {
    /// A storage buffer of zeros, of at least `bytes`; `what` it is for stands in errors.
    pub(crate) fn storage(&self, what: &'static str, bytes: u64) -> Result<Buffer, GpuError> {
        let most = self.caps.max_binding.min(self.caps.max_buffer);
        if bytes > most {
            return Err(GpuError::Binding { adapter: self.name.clone(), what, needed: bytes, most });
        }
        self.buffer(what, bytes, BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC)
    }

    /// A buffer of any usage.
    pub(crate) fn buffer(&self, what: &'static str, bytes: u64, usage: BufferUsages) -> Result<Buffer, GpuError> {
        // A binding cannot be empty, and copies are whole words.
        let size = bytes.max(16).next_multiple_of(16);
        let share = self.budget.share(size).map_err(|memory| GpuError::OverBudget {
            adapter: self.name.clone(),
            what,
            bytes: size,
            used: memory.used,
            limit: memory.limit.unwrap_or(u64::MAX),
        })?;
        let descriptor = BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
        let buffer = self.checked(what, size, || self.device.create_buffer(&descriptor))?;
        Ok(Buffer { buffer, what, _share: Arc::new(share) })
    }

    /// A storage buffer that holds `data`.
    pub(crate) fn filled(&self, what: &'static str, data: &[u8]) -> Result<Buffer, GpuError> {
        let buffer = self.storage(what, data.len() as u64)?;
        self.write(&buffer, 0, data)?;
        Ok(buffer)
    }

    /// Writes `data`, padded to whole words, at `offset`.
    pub(crate) fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<(), GpuError> {
        let whole = data.len() / 4 * 4;
        self.checked("a write", data.len() as u64, || {
            self.queue.write_buffer(buffer, offset, &data[..whole]);
            if whole < data.len() {
                let mut last = [0; 4];
                last[..data.len() - whole].copy_from_slice(&data[whole..]);
                self.queue.write_buffer(buffer, offset + whole as u64, &last);
            }
        })
    }
}

//! Buffers, with every allocation checked.

use wgpu::{Buffer, BufferDescriptor, BufferUsages};

use crate::GpuError;
use crate::device::Device;

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
        let descriptor = BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
        self.checked(what, size, || self.device.create_buffer(&descriptor))
    }

    /// A storage buffer that holds `data`.
    pub(crate) fn filled(&self, what: &'static str, data: &[u8]) -> Result<Buffer, GpuError> {
        let buffer = self.storage(what, data.len() as u64)?;
        self.write(&buffer, 0, data);
        Ok(buffer)
    }

    /// Writes `data`, padded to whole words, at `offset`.
    pub(crate) fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) {
        let whole = data.len() / 4 * 4;
        self.queue.write_buffer(buffer, offset, &data[..whole]);
        if whole < data.len() {
            let mut last = [0; 4];
            last[..data.len() - whole].copy_from_slice(&data[whole..]);
            self.queue.write_buffer(buffer, offset + whole as u64, &last);
        }
    }
}

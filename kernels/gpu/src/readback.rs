//! Results on their way back to the host.

use std::sync::mpsc;

use wgpu::{BufferUsages, CommandEncoder, MapMode};

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;

/// A buffer that the host can read.
#[derive(Debug)]
pub(crate) struct Readback {
    buffer: Buffer,
}

impl Readback {
    pub(crate) fn new(device: &Device, bytes: u64) -> Result<Self, GpuError> {
        let buffer = device.buffer("results", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        Ok(Readback { buffer })
    }

    /// Copies `bytes` from the beginning of `from` to `offset`, as part of `encoder`.
    pub(crate) fn take(&self, encoder: &mut CommandEncoder, from: &wgpu::Buffer, offset: u64, bytes: u64) {
        if bytes > 0 {
            encoder.copy_buffer_to_buffer(from, 0, &self.buffer, offset, bytes);
        }
    }

    /// Submits `encoder`, waits, and gives the first `bytes` to `read`.
    pub(crate) fn submit_and_read(
        &self,
        device: &Device,
        encoder: CommandEncoder,
        bytes: u64,
        read: impl FnOnce(&[u8]),
    ) -> Result<(), GpuError> {
        let submission = device.checked("a batch", 0, || device.queue.submit([encoder.finish()]))?;
        if bytes == 0 {
            return device.wait(&submission);
        }
        let slice = self.buffer.slice(..bytes);
        let (done, mapped) = mpsc::channel();
        slice.map_async(MapMode::Read, move |result| {
            // The receiver outlives the wait below.
            let _ = done.send(result);
        });
        let outcome = device.wait(&submission).and_then(|()| {
            let lost = |reason: String| GpuError::Lost { adapter: device.name.clone(), reason };
            mapped
                .try_recv()
                .map_err(|_| lost("its results did not arrive".into()))?
                .map_err(|error| lost(error.to_string()))?;
            read(&slice.get_mapped_range().map_err(|error| lost(error.to_string()))?);
            Ok(())
        });
        // After an error too: what is still mapped would fail the next batch.
        self.buffer.unmap();
        outcome
    }
}

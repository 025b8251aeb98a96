//! Results on their way back to the host.

use std::sync::mpsc::{self, Receiver};

use wgpu::{BufferAsyncError, BufferUsages, CommandEncoder, MapMode, SubmissionIndex};

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;

/// A buffer that the host can read.
#[derive(Debug)]
pub(crate) struct Readback {
    buffer: Buffer,
}

/// A submission whose results come into a [`Readback`].
#[derive(Debug)]
pub(crate) struct Pending {
    submission: SubmissionIndex,
    bytes: u64,
    mapped: Receiver<Result<(), BufferAsyncError>>,
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

    /// Submits `encoder`, after which the first `bytes` are there; [`Readback::read`] must follow.
    pub(crate) fn submit(&self, device: &Device, encoder: CommandEncoder, bytes: u64) -> Result<Pending, GpuError> {
        let submission = device.checked("a batch", 0, || device.queue.submit([encoder.finish()]))?;
        let (done, mapped) = mpsc::channel();
        if bytes > 0 {
            self.buffer.slice(..bytes).map_async(MapMode::Read, move |result| {
                // Nobody listens where the wait has ended with an error.
                let _ = done.send(result);
            });
        }
        Ok(Pending { submission, bytes, mapped })
    }

    /// Waits for what was submitted, and gives its results to `read`.
    pub(crate) fn read(&self, device: &Device, pending: Pending, read: impl FnOnce(&[u8])) -> Result<(), GpuError> {
        let Pending { submission, bytes, mapped } = pending;
        let waited = device.wait(&submission);
        if bytes == 0 {
            return waited;
        }
        let outcome = waited.and_then(|()| {
            let lost = |reason: String| GpuError::Lost { adapter: device.name.clone(), reason };
            mapped
                .try_recv()
                .map_err(|_| lost("its results did not arrive".into()))?
                .map_err(|error| lost(error.to_string()))?;
            read(&self.buffer.slice(..bytes).get_mapped_range().map_err(|error| lost(error.to_string()))?);
            Ok(())
        });
        // After an error too: what is still mapped would fail the next batch.
        self.buffer.unmap();
        outcome
    }
}

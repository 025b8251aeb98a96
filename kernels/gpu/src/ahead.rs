//! Batches that run while the host is ahead of them.

use std::collections::VecDeque;

use silhak_ops::Choice;
use wgpu::CommandEncoder;

use crate::GpuError;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::readback::{Pending, Readback};

/// Batches that were submitted and whose tokens nobody has read yet, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    running: VecDeque<Running>,
    free: Vec<Readback>,
}

#[derive(Debug)]
struct Running {
    readback: Readback,
    pending: Pending,
}

/// What stands for a token where the logits are no numbers.
const NO_TOKEN: u32 = u32::MAX;

impl Ahead {
    /// Submits `encoder`, after which the first `n` of `tokens` are the batch's.
    pub(crate) fn submit(
        &mut self,
        device: &Device,
        mut encoder: CommandEncoder,
        tokens: &Buffer,
        n: usize,
    ) -> Result<(), GpuError> {
        let readback = match self.free.pop() {
            Some(readback) => readback,
            None => Readback::new(device, 4 * Choice::MOST_IN_BATCH as u64)?,
        };
        let bytes = 4 * n as u64;
        readback.take(&mut encoder, tokens, 0, bytes);
        let pending = readback.submit(device, encoder, bytes)?;
        self.running.push_back(Running { readback, pending });
        Ok(())
    }

    /// Waits for the oldest batch: its tokens, or `None` where nothing runs.
    pub(crate) fn finish(&mut self, device: &Device) -> Result<Option<Vec<Option<u32>>>, GpuError> {
        let Some(Running { readback, pending }) = self.running.pop_front() else { return Ok(None) };
        let mut tokens = Vec::new();
        readback.read(device, pending, |bytes| {
            let words: &[u32] = bytemuck::cast_slice(bytes);
            tokens.extend(words.iter().map(|&token| Some(token).filter(|&token| token != NO_TOKEN)));
        })?;
        self.free.push(readback);
        Ok(Some(tokens))
    }
}

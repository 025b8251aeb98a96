//! The parameters of all steps, in one buffer.

use wgpu::BufferUsages;

/// Bytes of a step's parameters; no kernel has more.
pub(super) const PARAM_BYTES: u64 = 64;

/// Where a binding may begin on every device.
const ALIGNMENT: usize = 256;

/// Parameters of 4 bytes each.
#[derive(Debug, Default)]
pub(super) struct Arena {
    data: Vec<u8>,
}

impl Arena {
    pub(super) const USAGE: BufferUsages = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);

    /// Adds a step's parameters, and tells where they are.
    pub(super) fn push(&mut self, params: &[u32]) -> u64 {
        let at = self.data.len();
        self.data.extend_from_slice(bytemuck::cast_slice(params));
        self.data.resize(at + ALIGNMENT, 0);
        at as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }
}

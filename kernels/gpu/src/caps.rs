//! What an adapter can do.

use std::fmt;

use wgpu::{Features, Limits};

/// Something that a kernel may need and a card may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Operations within a subgroup (a warp, a wave).
    Subgroups,
    /// Multiplying packed bytes as integers. Every API has it, some emulate it.
    PackedDot,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 2] = [Feature::Subgroups, Feature::PackedDot];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Subgroups => "subgroups",
            Feature::PackedDot => "packed-dot",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an adapter can do, less what is switched off.
#[derive(Clone, Debug, PartialEq)]
pub struct Caps {
    /// Subgroup operations.
    pub subgroups: bool,
    /// Packed byte products.
    pub packed_dot: bool,
    /// Most bytes of a storage binding.
    pub max_binding: u64,
    /// Most bytes of a buffer.
    pub max_buffer: u64,
    /// Most workgroups in a dimension.
    pub max_workgroups: u32,
    /// Most storage buffers of a kernel.
    pub max_bindings: u32,
    /// Most threads of a workgroup.
    pub max_threads: u32,
}

impl Caps {
    /// What an adapter with these features and limits can do, without some of it.
    pub(crate) fn new(features: Features, limits: &Limits, without: &[Feature]) -> Self {
        let has = |feature| !without.contains(&feature);
        Caps {
            subgroups: features.contains(Features::SUBGROUP) && has(Feature::Subgroups),
            packed_dot: has(Feature::PackedDot),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_bindings: limits.max_storage_buffers_per_shader_stage,
            max_threads: limits.max_compute_invocations_per_workgroup,
        }
    }

    /// A device that has everything, for tests of choices.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Caps {
            subgroups: true,
            packed_dot: true,
            max_binding: 1 << 27,
            max_buffer: 1 << 30,
            max_workgroups: 65535,
            max_bindings: 16,
            max_threads: 256,
        }
    }
}

//! What an adapter can do.

use std::fmt;

use silhak_shaders::Matrices;
use wgpu::{Adapter, CooperativeMatrixProperties, CooperativeScalarType, Features};

/// Something that a kernel may need and a card may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Operations within a subgroup (a warp, a wave).
    Subgroups,
    /// Multiplying packed bytes as integers. Every API has it, some emulate it.
    PackedDot,
    /// Calculating with half floats.
    F16,
    /// Matrices of half floats that a subgroup multiplies together, on tensor cores or the like.
    CooperativeMatrix,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 4] = [Feature::Subgroups, Feature::PackedDot, Feature::F16, Feature::CooperativeMatrix];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Subgroups => "subgroups",
            Feature::PackedDot => "packed-dot",
            Feature::F16 => "f16",
            Feature::CooperativeMatrix => "cooperative-matrix",
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
    /// Cooperative matrices of half floats, with sums in float32; none where the size of subgroups varies.
    pub cooperative_matrix: Option<CooperativeMatrix>,
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
    /// Most bytes of the shared memory of a workgroup.
    pub max_shared: u32,
}

/// Matrices that a subgroup multiplies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CooperativeMatrix {
    /// Their size.
    pub matrices: Matrices,
    /// Threads of every subgroup.
    pub subgroup_size: u32,
}

impl CooperativeMatrix {
    /// What an adapter has, the larger size first.
    pub(crate) fn of(adapter: &Adapter) -> Option<Self> {
        let needed = Features::SUBGROUP | Features::SHADER_F16 | Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        let info = adapter.get_info();
        let fits = adapter.features().contains(needed) && info.subgroup_min_size == info.subgroup_max_size;
        let there = adapter.cooperative_matrix_properties();
        let matrices = [Matrices::Sixteen, Matrices::Eight].into_iter().find(|&size| has(&there, size));
        matrices.filter(|_| fits).map(|matrices| CooperativeMatrix { matrices, subgroup_size: info.subgroup_min_size })
    }
}

fn has(there: &[CooperativeMatrixProperties], matrices: Matrices) -> bool {
    let is_wanted = |found: &CooperativeMatrixProperties| {
        [found.m_size, found.n_size, found.k_size] == [matrices.size(); 3]
            && found.ab_type == CooperativeScalarType::F16
            && found.cr_type == CooperativeScalarType::F32
    };
    there.iter().any(is_wanted)
}

impl Caps {
    /// What an adapter can do, without some of it.
    pub(crate) fn new(adapter: &Adapter, without: &[Feature]) -> Self {
        let limits = adapter.limits();
        let has = |feature| !without.contains(&feature);
        let has_matrices = [Feature::Subgroups, Feature::F16, Feature::CooperativeMatrix].into_iter().all(has);
        Caps {
            subgroups: adapter.features().contains(Features::SUBGROUP) && has(Feature::Subgroups),
            packed_dot: has(Feature::PackedDot),
            cooperative_matrix: CooperativeMatrix::of(adapter).filter(|_| has_matrices),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_bindings: limits.max_storage_buffers_per_shader_stage,
            max_threads: limits.max_compute_invocations_per_workgroup,
            max_shared: limits.max_compute_workgroup_storage_size,
        }
    }

    /// A device that has everything but cooperative matrices, for tests of choices.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Caps {
            subgroups: true,
            packed_dot: true,
            cooperative_matrix: None,
            max_binding: 1 << 27,
            max_buffer: 1 << 30,
            max_workgroups: 65535,
            max_bindings: 16,
            max_threads: 256,
            max_shared: 48 << 10,
        }
    }
}

//! How a matmul with cooperative matrices shares its work out.

/// Matrices that the threads of a subgroup multiply together: half floats, with sums in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrices {
    /// 8 x 8 values.
    Eight,
    /// 16 x 16 values.
    Sixteen,
}

impl Matrices {
    /// Rows, and columns.
    pub fn size(self) -> u32 {
        match self {
            Matrices::Eight => 8,
            Matrices::Sixteen => 16,
        }
    }
}

/// The tile of a workgroup: a block of 4 x 4 matrices for each of its subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoopTile {
    /// The matrices.
    pub matrices: Matrices,
    /// Threads of a subgroup, on the device that it is for.
    pub subgroup_size: u32,
    /// Subgroups that share the rows of the weight.
    pub subgroup_rows: u32,
    /// Subgroups that share the rows of the activations.
    pub subgroup_columns: u32,
}

impl CoopTile {
    /// Rows of the weight.
    pub fn rows(&self) -> u32 {
        4 * self.matrices.size() * self.subgroup_rows
    }

    /// Rows of the activations.
    pub fn columns(&self) -> u32 {
        4 * self.matrices.size() * self.subgroup_columns
    }

    /// Threads of a workgroup.
    pub fn threads(&self) -> u32 {
        self.subgroup_size * self.subgroup_rows * self.subgroup_columns
    }

    /// Whether every thread has as many rows to unpack as the others, which the kernel takes for granted.
    pub fn is_even(&self) -> bool {
        self.rows().is_multiple_of(self.threads()) && self.columns().is_multiple_of(self.threads())
    }

    /// Bytes of shared memory that a workgroup takes: both tiles in rows of 80 bytes, a strip of sums, and a factor for each
    /// column.
    pub fn shared_bytes(&self) -> u32 {
        let strip = self.matrices.size() * self.subgroup_columns * (self.rows() + 4);
        80 * (self.rows() + self.columns()) + 4 * (strip + self.columns())
    }
}

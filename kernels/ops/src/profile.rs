//! Where the time of an executor goes.

/// What one kernel took, over all its calls.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's name, which begins with its device and its op: `gpu-matvec-q4_kxa8-subgroups-4x1`.
    pub kernel: String,
    /// How often it ran.
    pub calls: u64,
    /// How long, all calls together.
    pub seconds: f64,
    /// Bytes of weights that its calls read; 0 for a kernel that reads none, or that looks up a few rows.
    pub weight_bytes: u64,
}

impl KernelTime {
    /// Weights read per second, in bytes: what decoding is bounded by. A fraction of what the memory gives says how good a
    /// kernel is.
    pub fn bytes_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.weight_bytes as f64 / self.seconds } else { 0.0 }
    }
}

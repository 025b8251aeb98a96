//! What can go wrong with a GPU.

use silhak_ops::Error;

/// Why a GPU cannot be used, or stopped working.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GpuError {
    /// There is no adapter, or none that can run compute shaders.
    #[error("no GPU was found: expected a Vulkan, Metal or Direct3D 12 driver; use `--device cpu`, or install one")]
    NoAdapter,
    /// The adapter that was asked for is not there.
    #[error("no GPU is called `{wanted}`: there are {there}")]
    UnknownAdapter {
        /// What was asked for.
        wanted: String,
        /// The names of those there are.
        there: String,
    },
    /// The adapter refused to open.
    #[error("{adapter} does not open: {reason}; try another GPU or `--device cpu`")]
    Open {
        /// The adapter's name.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// A buffer could not be allocated.
    #[error("{adapter} cannot allocate {bytes} bytes for {what}; try a smaller context (`--ctx`), or `--device cpu`")]
    OutOfMemory {
        /// The adapter's name.
        adapter: String,
        /// What the buffer was for.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A buffer does not fit into the memory that may be used.
    #[error(
        "{what} takes {bytes} bytes on {adapter}, where {used} of at most {limit} are in use; allow more, put fewer layers \
         there, or try a smaller context (`--ctx`)"
    )]
    OverBudget {
        /// The adapter's name.
        adapter: String,
        /// What the buffer was for.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// What is in use.
        used: u64,
        /// What may be in use.
        limit: u64,
    },
    /// Something does not fit what the adapter can do at all.
    #[error("{adapter}: {what} takes {needed} bytes in one binding, and it allows {most}; use `--device cpu`")]
    Binding {
        /// The adapter's name.
        adapter: String,
        /// What the binding is for.
        what: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that the adapter allows.
        most: u64,
    },
    /// The device was lost: the driver was reset, the card removed, or a batch did not end.
    #[error("{adapter} was lost ({reason})")]
    Lost {
        /// The adapter's name.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// The driver refused a shader or a command, which is a bug of Silhak or of the driver.
    #[error("{adapter} refused {what}: {reason}; please report this with the output of `run-model doctor`")]
    Refused {
        /// The adapter's name.
        adapter: String,
        /// What was refused.
        what: String,
        /// What the driver said.
        reason: String,
    },
}

impl From<GpuError> for Error {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::OutOfMemory { what, bytes, .. } | GpuError::OverBudget { what, bytes, .. } => {
                Error::OutOfMemory { what, bytes: bytes as usize }
            }
            GpuError::Lost { .. } => Error::DeviceLost { backend: "gpu".into(), message: error.to_string() },
            other => Error::Backend { backend: "gpu".into(), message: other.to_string() },
        }
    }
}

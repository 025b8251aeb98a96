//! What can go wrong between a plan and its result.

use silhak_quant::Format;

use crate::KvElement;

/// An error of a plan, a batch or a backend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An op was given values or weights whose shapes do not fit together.
    #[error("{op}: expected {expected}, found {found}; the model file and its architecture disagree")]
    Shape {
        /// The op, and the weight it reads where it has one.
        op: String,
        /// What the op needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A weight's data has another size than its format and shape need.
    #[error("weight {name}: expected {expected} bytes for its format and shape, found {found}")]
    WeightSize {
        /// The weight's name in the file.
        name: String,
        /// Bytes that the format and shape need.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A backend has no kernel for an op on a format.
    #[error(
        "the {backend} backend cannot run {op} on {format} ({weight}); try `--device reference` or another quantization"
    )]
    Unsupported {
        /// The backend's name.
        backend: String,
        /// The op.
        op: &'static str,
        /// The weight's name.
        weight: String,
        /// The weight's format.
        format: Format,
    },
    /// A plan cannot be cut there.
    #[error("cannot cut a plan before op {at}: {reason}")]
    Cut {
        /// The op that would begin a part.
        at: usize,
        /// Why not.
        reason: String,
    },
    /// A batch does not fit the plan or the key-value pages.
    #[error("batch: {0}")]
    Batch(String),
    /// A batch was cancelled while it ran.
    #[error("cancelled")]
    Cancelled,
    /// A batch's inputs or outputs do not match the plan's.
    #[error("{what}: expected {expected}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many the plan has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// The name of a way to store keys and values is not known.
    #[error("keys and values cannot be stored as `{found}`; expected `f16`, `f32` or `q8_0`")]
    UnknownKvElement {
        /// What was given.
        found: String,
    },
    /// A model's heads cannot be stored as asked.
    #[error(
        "keys and values in {element} need heads of a multiple of {block_len} values, and this model's have {found}; \
         use `--kv f16`"
    )]
    KvHead {
        /// What was asked for.
        element: KvElement,
        /// Values that are stored together.
        block_len: usize,
        /// Values per head.
        found: usize,
    },
    /// Weight data could not be decoded.
    #[error(transparent)]
    Quant(#[from] silhak_quant::Error),
    /// A buffer could not be allocated.
    #[error("cannot allocate {bytes} bytes for {what}; try a smaller context (`--ctx`) or a smaller model")]
    OutOfMemory {
        /// What the buffer was for.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// A backend lost its device, and with it all that was there. The executor is of no more use; prepared again, a plan runs
    /// what is asked from the beginning.
    #[error("{backend}: {message}; its keys and values are gone: ask again, and everything runs anew")]
    DeviceLost {
        /// The backend's name.
        backend: String,
        /// What happened.
        message: String,
    },
    /// A backend failed while it ran; the message is the backend's own.
    #[error("{backend}: {message}")]
    Backend {
        /// The backend's name.
        backend: String,
        /// What happened.
        message: String,
    },
}

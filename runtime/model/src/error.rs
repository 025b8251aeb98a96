//! Why a model file cannot be run.

/// An error of a model file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file's architecture has no plan here.
    #[error("architecture '{name}' is not known; Silhak runs: {known}")]
    UnknownArchitecture {
        /// What `general.architecture` says.
        name: String,
        /// The architectures that it could be.
        known: String,
    },
    /// The architecture is known, but not this variant of it.
    #[error("{what} is not supported in architecture '{architecture}'; {hint}")]
    UnsupportedVariant {
        /// The architecture.
        architecture: String,
        /// What the file asks for.
        what: String,
        /// What to try.
        hint: &'static str,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("tensor '{name}' is missing; the file is incomplete or of another architecture than it says")]
    MissingTensor {
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the hyper-parameters ask for.
    #[error("tensor '{name}': expected shape [{expected}], found [{found}]")]
    TensorShape {
        /// The tensor's name.
        name: String,
        /// `row length, rows`, the order in the file.
        expected: String,
        /// The file's dimensions.
        found: String,
    },
    /// A tensor's type is known by name, but has no kernels here.
    #[error(
        "tensor '{name}' is stored as {ty}, which Silhak cannot run; it runs {known}. Try another quantization of the model"
    )]
    TensorType {
        /// The tensor's name.
        name: String,
        /// Its type's name.
        ty: String,
        /// The types that would do.
        known: String,
    },
    /// A hyper-parameter makes no sense.
    #[error("{key}: expected {expected}, found {found}")]
    HyperParam {
        /// The metadata key.
        key: String,
        /// What would have been right.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A number of layers for the GPU that is none.
    #[error("layers on the GPU: expected auto, all or a number, found '{found}'")]
    GpuLayers {
        /// What was given.
        found: String,
    },
    /// The metadata lacks a key or has it in another type.
    #[error(transparent)]
    Gguf(#[from] silhak_gguf::Error),
    /// The plan does not fit together.
    #[error(transparent)]
    Plan(#[from] silhak_ops::Error),
}

//! Which 8-bit form of the activations the weights of a format are multiplied with.

use silhak_quant::Format;

/// How a matmul's activations are stored before they meet the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActivationFormat {
    /// Not quantized: float32.
    F32,
    /// 8-bit integers with one scale for 32 values ([`silhak_quant::activations::BlockA8`]).
    A8,
}

impl ActivationFormat {
    /// The activations for weights of `format`: floats stay with floats.
    ///
    /// Weights in blocks of 256 get a scale for 32 activations too. One for 256, as ggml has it, takes fewer float
    /// operations, but costs a model with large single activations much more: `docs/performance.md` has the figures.
    pub fn of(format: Format) -> Self {
        if format.block_len() == 1 { ActivationFormat::F32 } else { ActivationFormat::A8 }
    }

    /// The short name used in kernel names.
    pub fn name(self) -> &'static str {
        match self {
            ActivationFormat::F32 => "f32",
            ActivationFormat::A8 => "a8",
        }
    }
}

//! Kernels for 64-bit ARM with dot products of bytes (`sdot`).
//!
//! A matvec kernel reads four rows at once that lie far apart, a quarter of its part of the matrix each: one stream of
//! reads does not fill a core's memory bandwidth, four do. `sdot` takes both sides signed, which every format's quants
//! are or, being of few bits, can be taken for; a zero point then comes in through the sums of the activations.
//!
//! The instruction is written out, for its intrinsic is not stable.

#![allow(
    clippy::needless_range_loop,
    reason = "functions of the standard library lack the instruction set: adapters with closures are not always inlined"
)]

mod floats;
mod iq4;
mod k;
mod legacy;
mod matmul;
mod matvec;
mod vectors;

use half::{bf16, f16};
use silhak_ops::ActivationFormat;
use silhak_quant::{Format, blocks};

use super::{ActivationLayout, Run};
use crate::caps::Dotprod;
use crate::policy::LinearShape;
use matmul::matmul;
use matvec::{blocks_of_32, blocks_of_256};

/// The kernel for a format and a shape, and the activations that it takes. The proof makes it sound to call.
pub(super) fn kernel(_proof: Dotprod, format: Format, shape: LinearShape) -> (Run, ActivationLayout) {
    let acts = ActivationFormat::of(format);
    match shape {
        LinearShape::Matvec => (matvec(format), ActivationLayout::rows(acts)),
        LinearShape::Matmul => match format {
            Format::F32 => (floats::matmul::<f32>, ActivationLayout::rows(acts)),
            Format::F16 => (floats::matmul::<f16>, ActivationLayout::rows(acts)),
            Format::Bf16 => (floats::matmul::<bf16>, ActivationLayout::rows(acts)),
            Format::Q4_0 => (matmul::<blocks::BlockQ4_0>, ActivationLayout::QUADS),
            Format::Q4_1 => (matmul::<blocks::BlockQ4_1>, ActivationLayout::QUADS),
            Format::Q5_0 => (matmul::<blocks::BlockQ5_0>, ActivationLayout::QUADS),
            Format::Q5_1 => (matmul::<blocks::BlockQ5_1>, ActivationLayout::QUADS),
            Format::Q8_0 => (matmul::<blocks::BlockQ8_0>, ActivationLayout::QUADS),
            Format::Q2K => (matmul::<blocks::BlockQ2K>, ActivationLayout::QUADS),
            Format::Q3K => (matmul::<blocks::BlockQ3K>, ActivationLayout::QUADS),
            Format::Q4K => (matmul::<blocks::BlockQ4K>, ActivationLayout::QUADS),
            Format::Q5K => (matmul::<blocks::BlockQ5K>, ActivationLayout::QUADS),
            Format::Q6K => (matmul::<blocks::BlockQ6K>, ActivationLayout::QUADS),
            Format::Iq4Nl => (matmul::<blocks::BlockIq4Nl>, ActivationLayout::QUADS),
            Format::Iq4Xs => (matmul::<blocks::BlockIq4Xs>, ActivationLayout::QUADS),
        },
    }
}

fn matvec(format: Format) -> Run {
    match format {
        Format::F32 => floats::matvec::<f32>,
        Format::F16 => floats::matvec::<f16>,
        Format::Bf16 => floats::matvec::<bf16>,
        Format::Q4_0 => blocks_of_32::<18, legacy::Q4_0>,
        Format::Q4_1 => blocks_of_32::<20, legacy::Q4_1>,
        Format::Q5_0 => blocks_of_32::<22, legacy::Q5_0>,
        Format::Q5_1 => blocks_of_32::<24, legacy::Q5_1>,
        Format::Q8_0 => blocks_of_32::<34, legacy::Q8_0>,
        Format::Q2K => blocks_of_256::<84, k::Q2K>,
        Format::Q3K => blocks_of_256::<110, k::Q3K>,
        Format::Q4K => blocks_of_256::<144, k::Q4K>,
        Format::Q5K => blocks_of_256::<176, k::Q5K>,
        Format::Q6K => blocks_of_256::<210, k::Q6K>,
        Format::Iq4Nl => blocks_of_32::<18, iq4::Iq4Nl>,
        Format::Iq4Xs => blocks_of_256::<136, iq4::Iq4Xs>,
    }
}

//! Kernels for 64-bit ARM with dot products of bytes (`sdot`), and for matmul with products of matrices (`smmla`).
//!
//! A matvec kernel reads four rows at once that lie far apart, a quarter of its part of the matrix each: one stream of
//! reads does not fill a core's memory bandwidth, four do. `sdot` takes both sides signed, which every format's quants
//! are or, being of few bits, can be taken for; a zero point then comes in through the sums of the activations.
//!
//! These instructions are written out, for their intrinsics are not stable.

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
use crate::caps::{Dotprod, I8mm};
use crate::policy::LinearShape;
use matmul::{Octs, Quads, Tile, matmul};
use matvec::{blocks_of_32, blocks_of_256};

/// The kernel for a format and a shape, and the activations that it takes. The proof makes it sound to call.
pub(super) fn kernel(_proof: Dotprod, format: Format, shape: LinearShape) -> (Run, ActivationLayout) {
    kernel_with::<Quads>(format, shape, ActivationLayout::QUADS)
}

/// The same with `smmla`: for many tokens and integers; the rest is that of [`kernel`].
pub(super) fn matrix_kernel(_proof: I8mm, format: Format, shape: LinearShape) -> (Run, ActivationLayout) {
    kernel_with::<Octs>(format, shape, ActivationLayout::OCTS)
}

fn kernel_with<T: Tile>(format: Format, shape: LinearShape, layout: ActivationLayout) -> (Run, ActivationLayout) {
    let rows = ActivationLayout::rows(ActivationFormat::of(format));
    match shape {
        LinearShape::Matvec => (matvec(format), rows),
        LinearShape::Matmul => match format {
            Format::F32 => (floats::matmul::<f32>, rows),
            Format::F16 => (floats::matmul::<f16>, rows),
            Format::Bf16 => (floats::matmul::<bf16>, rows),
            Format::Q4_0 => (matmul::<T, blocks::BlockQ4_0>, layout),
            Format::Q4_1 => (matmul::<T, blocks::BlockQ4_1>, layout),
            Format::Q5_0 => (matmul::<T, blocks::BlockQ5_0>, layout),
            Format::Q5_1 => (matmul::<T, blocks::BlockQ5_1>, layout),
            Format::Q8_0 => (matmul::<T, blocks::BlockQ8_0>, layout),
            Format::Q2K => (matmul::<T, blocks::BlockQ2K>, layout),
            Format::Q3K => (matmul::<T, blocks::BlockQ3K>, layout),
            Format::Q4K => (matmul::<T, blocks::BlockQ4K>, layout),
            Format::Q5K => (matmul::<T, blocks::BlockQ5K>, layout),
            Format::Q6K => (matmul::<T, blocks::BlockQ6K>, layout),
            Format::Iq4Nl => (matmul::<T, blocks::BlockIq4Nl>, layout),
            Format::Iq4Xs => (matmul::<T, blocks::BlockIq4Xs>, layout),
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

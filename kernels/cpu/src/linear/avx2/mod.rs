//! Kernels for AVX2 with FMA and F16C: floats, and rows of blocks as the file has them.
//!
//! A matvec kernel reads four rows at once that lie far apart, a quarter of its part of the matrix each: one stream of
//! reads does not fill a core's memory bandwidth, four do. Quants stay unsigned where they can, so that 32 products
//! take one `vpmaddubsw`; their zero point comes in through the sums of the activations.

#![allow(
    clippy::needless_range_loop,
    reason = "functions of the standard library lack the instruction set: adapters with closures are not always inlined"
)]

mod floats;
mod iq4;
mod k;
mod legacy;
mod matvec;
mod vectors;

use half::{bf16, f16};
use silhak_ops::ActivationFormat;
use silhak_quant::Format;

use super::{ActivationLayout, Run};
use crate::caps::Avx2;
use crate::policy::LinearShape;
use matvec::{blocks_of_32, blocks_of_256};

/// The kernel for a format and a shape, and the activations that it takes. The proof makes it sound to call.
pub(super) fn kernel(_proof: Avx2, format: Format, shape: LinearShape) -> Option<(Run, ActivationLayout)> {
    let run = match shape {
        LinearShape::Matvec => matvec(format),
        LinearShape::Matmul => float_matmul(format)?,
    };
    Some((run, ActivationLayout::rows(ActivationFormat::of(format))))
}

fn float_matmul(format: Format) -> Option<Run> {
    match format {
        Format::F32 => Some(floats::matmul::<f32>),
        Format::F16 => Some(floats::matmul::<f16>),
        Format::Bf16 => Some(floats::matmul::<bf16>),
        _ => None,
    }
}

fn matvec(format: Format) -> Run {
    match format {
        Format::F32 => floats::matvec::<f32>,
        Format::F16 => floats::matvec::<f16>,
        Format::Bf16 => floats::matvec::<bf16>,
        Format::Q4_0 => blocks_of_32::<72, legacy::Q4_0>,
        Format::Q4_1 => blocks_of_32::<80, legacy::Q4_1>,
        Format::Q5_0 => blocks_of_32::<88, legacy::Q5_0>,
        Format::Q5_1 => blocks_of_32::<96, legacy::Q5_1>,
        Format::Q8_0 => blocks_of_32::<136, legacy::Q8_0>,
        Format::Q2K => blocks_of_256::<84, k::Q2K>,
        Format::Q3K => blocks_of_256::<110, k::Q3K>,
        Format::Q4K => blocks_of_256::<144, k::Q4K>,
        Format::Q5K => blocks_of_256::<176, k::Q5K>,
        Format::Q6K => blocks_of_256::<210, k::Q6K>,
        Format::Iq4Nl => blocks_of_32::<72, iq4::Iq4Nl>,
        Format::Iq4Xs => blocks_of_256::<136, iq4::Iq4Xs>,
    }
}

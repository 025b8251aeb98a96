//! Weights repacked so that sixteen rows stand side by side, and the kernels that multiply them.
//!
//! A vector then holds the same few columns of many rows, so that nothing is ever added up across lanes: the fewest
//! instructions per weight, one order of float operations for every instruction set, and one definition of every format
//! ([`formats`]) for all of them ([`lanes`]).

#![allow(clippy::needless_range_loop, reason = "adapters with closures are not always inlined into vector code")]

mod formats;
mod lanes;
mod layout;
mod matmul;
mod matvec;

use std::ops::Range;

use silhak_quant::{Format, blocks};

use super::{ActivationLayout, Activations, Code, Output, Reading};
use crate::caps::{Caps, Isa};
use crate::policy::{LinearShape, Storage, Variant};
use crate::simd::Generic;
use formats::InLanes;
use lanes::Bytes;

pub(crate) use layout::ROWS;
pub use layout::{panel_bytes, repack, unpack};
pub(crate) use matmul::TILE_ROWS;

/// The kernel for a variant, and the activations that it takes, if there is one and `caps` allow it.
pub(super) fn kernel(variant: &Variant, caps: &Caps) -> Option<(Code, ActivationLayout)> {
    let code = match variant.format {
        Format::F32 | Format::F16 | Format::Bf16 => None,
        Format::Q4_0 => of_format::<blocks::BlockQ4_0>(variant, caps),
        Format::Q4_1 => of_format::<blocks::BlockQ4_1>(variant, caps),
        Format::Q5_0 => of_format::<blocks::BlockQ5_0>(variant, caps),
        Format::Q5_1 => of_format::<blocks::BlockQ5_1>(variant, caps),
        Format::Q8_0 => of_format::<blocks::BlockQ8_0>(variant, caps),
        Format::Q2K => of_format::<blocks::BlockQ2K>(variant, caps),
        Format::Q3K => of_format::<blocks::BlockQ3K>(variant, caps),
        Format::Q4K => of_format::<blocks::BlockQ4K>(variant, caps),
        Format::Q5K => of_format::<blocks::BlockQ5K>(variant, caps),
        Format::Q6K => of_format::<blocks::BlockQ6K>(variant, caps),
        Format::Iq4Nl => of_format::<blocks::BlockIq4Nl>(variant, caps),
        Format::Iq4Xs => of_format::<blocks::BlockIq4Xs>(variant, caps),
    }?;
    let layout = match variant.shape {
        LinearShape::Matvec => ActivationLayout::rows(silhak_ops::ActivationFormat::A8),
        LinearShape::Matmul => ActivationLayout::QUADS,
    };
    Some((code, layout))
}

fn of_format<B: InLanes>(variant: &Variant, caps: &Caps) -> Option<Code> {
    match variant.isa {
        Isa::Generic => generic::run::<B>(variant),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => caps.avx2().and_then(|_| avx2::run::<B>(variant)),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => caps.avx_vnni().and_then(|_| avx_vnni::run::<B>(variant)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => caps.avx512_vnni().and_then(|_| avx512_vnni::run::<B>(variant)),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => None,
        Isa::Dotprod | Isa::I8mm => None,
    }
}

/// The kernels compiled for an instruction set, whose lanes are `$lanes`.
macro_rules! kernels {
    ($name:ident, $lanes:expr, $type:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;
            use lanes::Lanes;

            /// Soundly called only where the processor has the instruction set.
            pub(super) fn run<B: InLanes>(variant: &Variant) -> Option<Code> {
                match (variant.storage, variant.shape) {
                    (Storage::Panels, LinearShape::Matvec) => Some(Code::Reader(matvec::<B>)),
                    (Storage::Rows, LinearShape::Matvec) => None,
                    (Storage::Panels, LinearShape::Matmul) => Some(Code::Plain(|weights, cols, acts, tokens, out| {
                        // SAFETY: as for `run`.
                        unsafe { matmul::<B>(weights, Storage::Panels, cols, acts, tokens, out) }
                    })),
                    (Storage::Rows, LinearShape::Matmul) => Some(Code::Plain(|weights, cols, acts, tokens, out| {
                        // SAFETY: as for `run`.
                        unsafe { matmul::<B>(weights, Storage::Rows, cols, acts, tokens, out) }
                    })),
                }
            }

            $(#[target_feature(enable = $features)])?
            fn matvec<B: InLanes>(
                panels: &[u8],
                cols: usize,
                acts: &Activations,
                tokens: Range<usize>,
                reading: Reading,
                out: &mut Output<'_>,
            ) {
                super::matvec::matvec::<_, B>($lanes, panels, cols, acts, tokens, reading, out);
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn matmul<B: InLanes>(
                weights: &[u8],
                storage: Storage,
                cols: usize,
                acts: &Activations,
                tokens: Range<usize>,
                out: &mut Output<'_>,
            ) {
                let source = super::matmul::Source { weights, storage, n_blocks: cols / B::LEN };
                super::matmul::matmul::<_, B, { <$type>::VECTORS }>($lanes, source, cols, acts, tokens, out);
            }
        }
    };
}

kernels!(generic, Generic, Generic);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx2,
    // SAFETY: `of_format` hands the kernels out only where there is a proof.
    unsafe { crate::Avx2::assume() },
    crate::Avx2,
    "avx2,fma,f16c"
);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx_vnni,
    // SAFETY: as above.
    unsafe { crate::AvxVnni::assume() },
    crate::AvxVnni,
    "avx2,fma,f16c,avxvnni"
);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512_vnni,
    // SAFETY: as above.
    unsafe { crate::Avx512Vnni::assume() },
    crate::Avx512Vnni,
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni"
);

/// What is known of the bytes of a format.
#[inline(always)]
fn bytes_of_format<B: InLanes>() -> Bytes {
    Bytes { bits: B::BITS, zero: B::ZERO as i32 }
}

/// `N` items from `at` on.
#[inline(always)]
fn array<T, const N: usize>(slice: &[T], at: usize) -> &[T; N] {
    match slice[at..].first_chunk() {
        Some(array) => array,
        None => panic!("{N} items at {at} of {}", slice.len()),
    }
}

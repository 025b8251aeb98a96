//! Weights times activations: `out[t, r] = sum over c of weight[r, c] * x[t, c]`.
//!
//! [`LinearKernel::choose`] picks a kernel for a format and a number of tokens; [`Activations`] hold the tokens in the
//! layout that the kernel asks for; [`LinearKernel::run`] multiplies them with some of the weight's rows. The rows stay
//! as they are in the GGUF file, at any address. A row's result does not depend on which other rows and tokens the
//! same call computes.

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "the AVX2 kernels alone use all of it"))]
mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod constant;
mod generic;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "the AVX2 kernels alone use all of it"))]
mod integers;
#[cfg(target_arch = "aarch64")]
mod neon;
mod output;

use std::fmt;
use std::ops::Range;

use half::{bf16, f16};
use silhak_ops::ActivationFormat;
use silhak_quant::{Format, blocks};

use crate::policy::{self, LinearShape, Variant};
use crate::{Caps, Isa};

pub(crate) use activations::TOKENS;
pub use activations::{ActivationLayout, ActivationWriter, Activations};
pub use output::Output;

/// Multiplies rows of one weight format with activations. Holding one proves that the processor can run it.
#[derive(Clone, Copy)]
pub struct LinearKernel {
    variant: Variant,
    layout: ActivationLayout,
    run: Run,
}

/// What a kernel computes: all `out.n_rows()` rows times all `tokens`. The caller has checked every length.
///
/// Calling it is sound where the processor has the kernel's instructions.
type Run = unsafe fn(rows: &[u8], cols: usize, acts: &Activations, tokens: Range<usize>, out: &mut Output<'_>);

impl LinearKernel {
    /// The kernel that [`policy::choose`] picks.
    pub fn choose(format: Format, n_tokens: usize, caps: &Caps) -> LinearKernel {
        let variant = policy::choose(format, n_tokens, caps);
        LinearKernel::new(variant, caps).unwrap_or_else(|| LinearKernel::generic(format))
    }

    /// This very kernel, if it exists and `caps` allow it.
    pub fn new(variant: Variant, caps: &Caps) -> Option<LinearKernel> {
        match (variant.isa, variant.shape) {
            (Isa::Generic, LinearShape::Matvec) => Some(LinearKernel::generic(variant.format)),
            (Isa::Generic, LinearShape::Matmul) => None,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => {
                let (run, layout) = avx2::kernel(caps.avx2()?, variant.format, variant.shape);
                Some(LinearKernel { variant, layout, run })
            }
            #[cfg(not(target_arch = "x86_64"))]
            (Isa::Avx2, _) => None,
            #[cfg(target_arch = "aarch64")]
            (Isa::Dotprod, _) => {
                let (run, layout) = neon::kernel(caps.dotprod()?, variant.format, variant.shape);
                Some(LinearKernel { variant, layout, run })
            }
            #[cfg(target_arch = "aarch64")]
            (Isa::I8mm, _) => {
                let (run, layout) = neon::matrix_kernel(caps.i8mm()?, variant.format, variant.shape);
                Some(LinearKernel { variant, layout, run })
            }
            #[cfg(not(target_arch = "aarch64"))]
            (Isa::Dotprod | Isa::I8mm, _) => None,
        }
    }

    /// Every kernel for `format` that `caps` allow.
    pub fn all(format: Format, caps: &Caps) -> Vec<LinearKernel> {
        let shapes = [LinearShape::Matvec, LinearShape::Matmul];
        let variants = Isa::ALL.iter().flat_map(|&isa| shapes.map(|shape| Variant { format, shape, isa }));
        variants.filter_map(|variant| LinearKernel::new(variant, caps)).collect()
    }

    fn generic(format: Format) -> LinearKernel {
        let run: Run = match format {
            Format::F32 => generic::floats::<f32>,
            Format::F16 => generic::floats::<f16>,
            Format::Bf16 => generic::floats::<bf16>,
            Format::Q4_0 => generic::integers::<blocks::BlockQ4_0>,
            Format::Q4_1 => generic::integers::<blocks::BlockQ4_1>,
            Format::Q5_0 => generic::integers::<blocks::BlockQ5_0>,
            Format::Q5_1 => generic::integers::<blocks::BlockQ5_1>,
            Format::Q8_0 => generic::integers::<blocks::BlockQ8_0>,
            Format::Q2K => generic::integers::<blocks::BlockQ2K>,
            Format::Q3K => generic::integers::<blocks::BlockQ3K>,
            Format::Q4K => generic::integers::<blocks::BlockQ4K>,
            Format::Q5K => generic::integers::<blocks::BlockQ5K>,
            Format::Q6K => generic::integers::<blocks::BlockQ6K>,
            Format::Iq4Nl => generic::integers::<blocks::BlockIq4Nl>,
            Format::Iq4Xs => generic::integers::<blocks::BlockIq4Xs>,
        };
        let variant = Variant { format, shape: LinearShape::Matvec, isa: Isa::Generic };
        LinearKernel { variant, layout: ActivationLayout::rows(ActivationFormat::of(format)), run }
    }

    /// What distinguishes the kernel.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The kernel's name, such as `cpu-matvec-q4_kxa8-avx2`.
    pub fn name(&self) -> String {
        let shape = match self.variant.shape {
            LinearShape::Matvec => "matvec",
            LinearShape::Matmul => "matmul",
        };
        let format = self.variant.format.name().to_ascii_lowercase();
        format!("cpu-{shape}-{format}x{}-{}", self.layout.format().name(), self.variant.isa)
    }

    /// The activations that the kernel takes.
    pub fn layout(&self) -> ActivationLayout {
        self.layout
    }

    /// Computes `out.n_rows()` weight rows times the activations of `tokens`.
    ///
    /// `rows` are whole rows of `cols` values, at any address. Calls for other rows, other tokens, or both can run at
    /// the same time; give each a large part, which it then reads as several streams.
    ///
    /// # Panics
    /// If the lengths disagree, `cols` is not a whole number of blocks, or the activations have another layout, all of
    /// which are faults of the caller.
    pub fn run(&self, rows: &[u8], cols: usize, acts: &Activations, tokens: Range<usize>, out: &mut Output<'_>) {
        let format = self.variant.format;
        let Some(row_bytes) = format.row_bytes(cols) else {
            panic!("rows of {cols} values are not whole blocks of {format}");
        };
        assert_eq!(row_bytes.checked_mul(out.n_rows()), Some(rows.len()), "bytes of {} rows", out.n_rows());
        assert_eq!(acts.layout(), self.layout, "the layout of the activations");
        assert_eq!(acts.cols(), cols, "values per row of the activations");
        assert!(tokens.start <= tokens.end && tokens.end <= acts.n_tokens(), "{tokens:?} of {}", acts.n_tokens());
        assert_eq!(tokens.len(), out.n_tokens(), "tokens of the output");
        if cols == 0 {
            (0..out.n_tokens()).for_each(|t| out.token(t).fill(0.0));
        } else if !rows.is_empty() && !tokens.is_empty() {
            // SAFETY: `new` makes a kernel only where `caps` prove that the processor has its instructions.
            unsafe { (self.run)(rows, cols, acts, tokens, out) }
        }
    }
}

impl fmt::Debug for LinearKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests;

//! Weights times activations: `out[t, r] = sum over c of weight[r, c] * x[t, c]`.
//!
//! [`LinearKernel::choose`] picks a kernel for a format and a number of tokens; [`Activations`] hold the tokens in the
//! layout that the kernel asks for; [`LinearKernel::run`] multiplies them with some of the weight's rows. The rows stay
//! as they are in the GGUF file, at any address, or are repacked into panels. A row's result does not depend on which
//! other rows and tokens the same call computes, nor on how it is stored.

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
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_variables, reason = "lanes of other processors are all generic")
)]
mod panels;
mod reading;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use half::{bf16, f16};
use silhak_ops::ActivationFormat;
use silhak_quant::{Format, blocks};

use crate::policy::{self, LinearShape, Storage, Variant};
use crate::{Caps, Isa};

pub(crate) use activations::TOKENS;
pub use activations::{ActivationLayout, ActivationWriter, Activations};
pub use output::Output;
pub(crate) use panels::{ROWS, TILE_ROWS};
pub use panels::{panel_bytes, repack, unpack};
pub use reading::Reading;

/// Multiplies rows of one weight format with activations. Holding one proves that the processor can run it.
#[derive(Clone, Copy)]
pub struct LinearKernel {
    variant: Variant,
    layout: ActivationLayout,
    code: Code,
    reading: Reading,
}

/// A kernel's code. Calling it is sound where the processor has the kernel's instructions.
#[derive(Clone, Copy)]
enum Code {
    /// What reads as it does.
    Plain(Run),
    /// What is told how to read.
    Reader(RunReader),
}

/// What a kernel computes: all `out.n_rows()` rows times all `tokens`. The caller has checked every length.
type Run = unsafe fn(weights: &[u8], cols: usize, acts: &Activations, tokens: Range<usize>, out: &mut Output<'_>);

/// The same, read as `reading` says.
type RunReader = unsafe fn(
    weights: &[u8],
    cols: usize,
    acts: &Activations,
    tokens: Range<usize>,
    reading: Reading,
    out: &mut Output<'_>,
);

impl LinearKernel {
    /// The kernel that [`policy::choose`] picks.
    pub fn choose(format: Format, storage: Storage, n_tokens: usize, caps: &Caps) -> LinearKernel {
        let variant = policy::choose(format, storage, n_tokens, caps);
        LinearKernel::new(variant, caps).unwrap_or_else(|| panic!("policy chose {variant:?}, which does not exist"))
    }

    /// This very kernel, if it exists and `caps` allow it.
    pub fn new(variant: Variant, caps: &Caps) -> Option<LinearKernel> {
        let Variant { format, storage, shape, isa } = variant;
        match (storage, shape, isa) {
            (Storage::Rows, LinearShape::Matvec, Isa::Generic) => Some(LinearKernel::generic(format)),
            #[cfg(target_arch = "x86_64")]
            (Storage::Rows, _, Isa::Avx2) if shape == LinearShape::Matvec || format.block_len() == 1 => {
                let (run, layout) = avx2::kernel(caps.avx2()?, format, shape)?;
                Some(LinearKernel::with(variant, layout, Code::Plain(run)))
            }
            #[cfg(target_arch = "aarch64")]
            (Storage::Rows, _, Isa::Dotprod) => {
                let (run, layout) = neon::kernel(caps.dotprod()?, format, shape);
                Some(LinearKernel::with(variant, layout, Code::Plain(run)))
            }
            #[cfg(target_arch = "aarch64")]
            (Storage::Rows, _, Isa::I8mm) => {
                let (run, layout) = neon::matrix_kernel(caps.i8mm()?, format, shape);
                Some(LinearKernel::with(variant, layout, Code::Plain(run)))
            }
            _ => panels::kernel(&variant, caps).map(|(code, layout)| LinearKernel::with(variant, layout, code)),
        }
    }

    /// Every kernel for `format` that `caps` allow.
    pub fn all(format: Format, caps: &Caps) -> Vec<LinearKernel> {
        let shapes = [LinearShape::Matvec, LinearShape::Matmul];
        let layouts = [Storage::Rows, Storage::Panels].into_iter().flat_map(|s| shapes.map(|shape| (s, shape)));
        let variants = Isa::ALL
            .iter()
            .flat_map(|&isa| layouts.clone().map(move |(storage, shape)| Variant { format, storage, shape, isa }));
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
        let (storage, shape) = (Storage::Rows, LinearShape::Matvec);
        let variant = Variant { format, storage, shape, isa: Isa::Generic };
        LinearKernel::with(variant, ActivationLayout::rows(ActivationFormat::of(format)), Code::Plain(run))
    }

    fn with(variant: Variant, layout: ActivationLayout, code: Code) -> LinearKernel {
        LinearKernel { variant, layout, code, reading: Reading::default() }
    }

    /// The ways of reading that the kernel can be told; none if there is nothing to choose.
    pub fn readings(&self) -> &'static [Reading] {
        match self.code {
            Code::Plain(_) => &[],
            Code::Reader(_) => &Reading::CANDIDATES,
        }
    }

    /// The same kernel, reading as it is told. One that takes no [`LinearKernel::readings`] does as before.
    ///
    /// # Panics
    /// If there are no streams, or more than [`Reading::MOST_STREAMS`].
    pub fn with_reading(self, reading: Reading) -> LinearKernel {
        assert!((1..=Reading::MOST_STREAMS).contains(&reading.streams), "{reading}");
        LinearKernel { reading, ..self }
    }

    /// What distinguishes the kernel.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The kernel's name, such as `cpu-matvec-q4_kxa8-avx2` or, of panels, `cpu-matvec-q4_k-r16xa8-avx2`.
    pub fn name(&self) -> String {
        let Variant { format, storage, shape, isa } = self.variant;
        let shape = match shape {
            LinearShape::Matvec => "matvec",
            LinearShape::Matmul => "matmul",
        };
        let storage = match storage {
            Storage::Rows => "",
            Storage::Panels => "-r16",
        };
        let format = format.name().to_ascii_lowercase();
        format!("cpu-{shape}-{format}{storage}x{}-{isa}", self.layout.format().name())
    }

    /// The activations that the kernel takes.
    pub fn layout(&self) -> ActivationLayout {
        self.layout
    }

    /// Whole rows of `cols` values as the kernel takes them.
    ///
    /// # Panics
    /// If the rows are not whole, which is a fault of the caller.
    pub fn stored<'a>(&self, rows: &'a [u8], cols: usize) -> Cow<'a, [u8]> {
        let Variant { format, storage, .. } = self.variant;
        let n_rows = format.row_bytes(cols).and_then(|bytes| rows.len().checked_div(bytes)).unwrap_or(0);
        match (storage, panel_bytes(format, n_rows, cols)) {
            (Storage::Panels, Some(bytes)) => {
                let mut panels = vec![0; bytes];
                repack(format, rows, cols, &mut panels);
                panels.into()
            }
            _ => rows.into(),
        }
    }

    /// Computes `out.n_rows()` weight rows times the activations of `tokens`.
    ///
    /// `weights` are whole rows of `cols` values, at any address, or their panels ([`repack`]). Calls for other rows, other
    /// tokens, or both can run at the same time; give each a large part, which it then reads as several streams.
    ///
    /// # Panics
    /// If the lengths disagree, `cols` is not a whole number of blocks, or the activations have another layout, all of
    /// which are faults of the caller.
    pub fn run(&self, weights: &[u8], cols: usize, acts: &Activations, tokens: Range<usize>, out: &mut Output<'_>) {
        let format = self.variant.format;
        let Some(row_bytes) = format.row_bytes(cols) else {
            panic!("rows of {cols} values are not whole blocks of {format}");
        };
        let n_stored = match self.variant.storage {
            Storage::Rows => out.n_rows(),
            Storage::Panels => out.n_rows().next_multiple_of(ROWS),
        };
        assert_eq!(row_bytes.checked_mul(n_stored), Some(weights.len()), "bytes of {} rows", out.n_rows());
        assert_eq!(acts.layout(), self.layout, "the layout of the activations");
        assert_eq!(acts.cols(), cols, "values per row of the activations");
        assert!(tokens.start <= tokens.end && tokens.end <= acts.n_tokens(), "{tokens:?} of {}", acts.n_tokens());
        assert_eq!(tokens.len(), out.n_tokens(), "tokens of the output");
        if cols == 0 {
            (0..out.n_tokens()).for_each(|t| out.token(t).fill(0.0));
        } else if !weights.is_empty() && !tokens.is_empty() {
            // SAFETY: `new` makes a kernel only where `caps` prove that the processor has its instructions.
            unsafe {
                match self.code {
                    Code::Plain(run) => run(weights, cols, acts, tokens, out),
                    Code::Reader(run) => run(weights, cols, acts, tokens, self.reading, out),
                }
            }
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

//! Which kernel runs: pure functions of shape, format and abilities, tested without running anything.

use silhak_quant::Format;

use crate::{Caps, Isa};

/// Tokens from which unpacking the weights into a panel first is faster than multiplying them as they are read.
///
/// It is about 8 for Q4_0 and 20 for IQ4_XS, whose unpacking costs most; one number keeps the kernels of a batch alike.
pub const MATMUL_TOKENS: usize = 12;

/// What distinguishes one linear kernel from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The weights' format.
    pub format: Format,
    /// How the weights are laid out.
    pub storage: Storage,
    /// Few tokens or many.
    pub shape: LinearShape,
    /// The instruction set.
    pub isa: Isa,
}

/// How the weights of a matrix are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Row after row, as in the file.
    Rows,
    /// Repacked, sixteen rows side by side.
    Panels,
}

/// What a linear kernel is made for. Each computes any number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinearShape {
    /// One token, or a few: every weight is used as it is read.
    Matvec,
    /// Many tokens: weights are unpacked in small tiles, and each is used for all tokens.
    Matmul,
}

/// The kernel for a weight in `format` when `n_tokens` go through it at once.
///
/// The choice looks at the whole batch, not at a thread's part of it: so results do not depend on how the work is
/// shared.
pub fn choose(format: Format, storage: Storage, n_tokens: usize, caps: &Caps) -> Variant {
    let shape = match caps.isa() {
        Isa::Generic => LinearShape::Matvec,
        _ if n_tokens < MATMUL_TOKENS => LinearShape::Matvec,
        _ => LinearShape::Matmul,
    };
    // Floats, and rows that are used as they are read, gain nothing from VNNI.
    let in_lanes = storage == Storage::Panels || (!is_float(format) && shape == LinearShape::Matmul);
    let isa = match caps.isa() {
        Isa::AvxVnni | Isa::Avx512Vnni if !in_lanes => Isa::Avx2,
        isa => isa,
    };
    Variant { format, storage, shape, isa }
}

/// How to lay out a matrix in `format` whose rows are used in multiples of `unit`, where there is memory to repack it.
pub fn storage(format: Format, unit: usize, caps: &Caps) -> Storage {
    let in_lanes = matches!(caps.isa(), Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni);
    let panels = in_lanes && !is_float(format) && unit.is_multiple_of(crate::linear::ROWS);
    if panels { Storage::Panels } else { Storage::Rows }
}

fn is_float(format: Format) -> bool {
    matches!(format, Format::F32 | Format::F16 | Format::Bf16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generic_kernels_have_one_shape() {
        for n in [1, 1000] {
            let variant = choose(Format::Q4K, Storage::Rows, n, &Caps::generic());
            let (format, storage, shape) = (Format::Q4K, Storage::Rows, LinearShape::Matvec);
            assert_eq!(variant, Variant { format, storage, shape, isa: Isa::Generic });
        }
        assert_eq!(storage(Format::Q4K, 16, &Caps::generic()), Storage::Rows);
    }

    #[test]
    fn many_tokens_go_through_matmul() {
        for &isa in &Isa::ALL[1..] {
            let Some(caps) = Caps::with_isa(isa) else {
                println!("SKIPPED: this machine has no {isa}");
                continue;
            };
            let without_vnni = if matches!(isa, Isa::AvxVnni | Isa::Avx512Vnni) { Isa::Avx2 } else { isa };
            for &format in Format::ALL {
                let choose = |n_tokens| choose(format, storage(format, 16, &caps), n_tokens, &caps);
                assert_eq!([1, MATMUL_TOKENS - 1].map(|n| choose(n).shape), [LinearShape::Matvec; 2]);
                assert_eq!([MATMUL_TOKENS, 1000].map(|n| choose(n).shape), [LinearShape::Matmul; 2]);
                assert_eq!(choose(1).isa, if is_float(format) { without_vnni } else { isa }, "{format}");
                assert_eq!(super::choose(format, Storage::Rows, 1, &caps).isa, without_vnni, "{format}");
            }
        }
    }

    #[test]
    fn only_whole_panels_are_repacked() {
        let Some(caps) = Caps::with_isa(Isa::Avx2) else {
            println!("SKIPPED: this machine has no avx2");
            return;
        };
        assert_eq!(storage(Format::Q6K, 48, &caps), Storage::Panels);
        assert_eq!(storage(Format::Q6K, 40, &caps), Storage::Rows);
        assert_eq!(storage(Format::F16, 48, &caps), Storage::Rows);
    }
}

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
    /// Few tokens or many.
    pub shape: LinearShape,
    /// The instruction set.
    pub isa: Isa,
}

/// What a linear kernel is made for. Each computes any number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinearShape {
    /// One token, or a few: every weight is used as it is read.
    Matvec,
    /// Many tokens: weights are rearranged in small panels, and each is used for all tokens.
    Matmul,
}

/// The kernel for a weight in `format` when `n_tokens` go through it at once.
///
/// The choice looks at the whole batch, not at a thread's part of it: so results do not depend on how the work is
/// shared.
pub fn choose(format: Format, n_tokens: usize, caps: &Caps) -> Variant {
    let isa = caps.isa();
    let shape = match isa {
        Isa::Avx2 | Isa::Dotprod | Isa::I8mm if n_tokens >= MATMUL_TOKENS => LinearShape::Matmul,
        Isa::Avx2 | Isa::Dotprod | Isa::I8mm | Isa::Generic => LinearShape::Matvec,
    };
    Variant { format, shape, isa }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generic_kernels_have_one_shape() {
        for n in [1, 1000] {
            let variant = choose(Format::Q4K, n, &Caps::generic());
            assert_eq!(variant, Variant { format: Format::Q4K, shape: LinearShape::Matvec, isa: Isa::Generic });
        }
    }

    #[test]
    fn many_tokens_go_through_matmul() {
        let caps = Caps::detect();
        if caps.isa() == Isa::Generic {
            println!("SKIPPED: this machine has no instructions beyond the generic ones");
            return;
        }
        for &format in Format::ALL {
            let shape = |n_tokens| choose(format, n_tokens, &caps).shape;
            assert_eq!([1, MATMUL_TOKENS - 1].map(shape), [LinearShape::Matvec; 2]);
            assert_eq!([MATMUL_TOKENS, 1000].map(shape), [LinearShape::Matmul; 2]);
            assert_eq!(choose(format, 1, &caps).isa, caps.isa());
        }
    }
}

//! What the processor can do, found once and passed by value.

use std::fmt;
use std::str::FromStr;

/// An instruction set that this crate has kernels for, the plainest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every processor of the target has (SSE2 on x86-64), through plain Rust.
    Generic,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// Dot products of bytes, beside what every 64-bit ARM has (NEON).
    Dotprod,
    /// The same with products of matrices of bytes.
    I8mm,
}

impl Isa {
    /// Every instruction set, the plainest first.
    pub const ALL: &[Isa] = &[Isa::Generic, Isa::Avx2, Isa::Dotprod, Isa::I8mm];

    /// The name used in kernel names and settings.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Generic => "generic",
            Isa::Avx2 => "avx2",
            Isa::Dotprod => "dotprod",
            Isa::I8mm => "i8mm",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not one of [`Isa::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown instruction set `{0}`; expected `generic`, `avx2`, `dotprod` or `i8mm`")]
pub struct UnknownIsa(String);

impl FromStr for Isa {
    type Err = UnknownIsa;

    /// Parses the name, in any case.
    fn from_str(name: &str) -> Result<Isa, UnknownIsa> {
        let found = Isa::ALL.iter().copied().find(|isa| isa.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownIsa(name.to_owned()))
    }
}

/// The instruction sets that kernels may use.
///
/// A value says more than a flag: only [`Caps::detect`] finds anything beyond the generic set, so whoever holds an
/// [`Avx2`] or a [`Dotprod`] runs on a machine that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    avx2: Option<Avx2>,
    dotprod: Option<Dotprod>,
    i8mm: Option<I8mm>,
}

impl Caps {
    /// What this machine has.
    pub fn detect() -> Caps {
        Caps { avx2: Avx2::detect(), dotprod: Dotprod::detect(), i8mm: I8mm::detect() }
    }

    /// Nothing beyond the generic set.
    pub fn generic() -> Caps {
        Caps { avx2: None, dotprod: None, i8mm: None }
    }

    /// This machine's abilities up to and including `isa`; `None` if the machine does not have it.
    pub fn with_isa(isa: Isa) -> Option<Caps> {
        match isa {
            Isa::Generic => Some(Caps::generic()),
            Isa::Avx2 => Avx2::detect().map(|avx2| Caps { avx2: Some(avx2), ..Caps::generic() }),
            Isa::Dotprod => Dotprod::detect().map(|dotprod| Caps { dotprod: Some(dotprod), ..Caps::generic() }),
            Isa::I8mm => I8mm::detect().map(|i8mm| Caps { dotprod: Some(i8mm.0), i8mm: Some(i8mm), ..Caps::generic() }),
        }
    }

    /// The best instruction set that may be used.
    pub fn isa(&self) -> Isa {
        match self {
            Caps { avx2: Some(_), .. } => Isa::Avx2,
            Caps { i8mm: Some(_), .. } => Isa::I8mm,
            Caps { dotprod: Some(_), .. } => Isa::Dotprod,
            _ => Isa::Generic,
        }
    }

    /// Proof that AVX2, FMA and F16C may be used.
    pub fn avx2(&self) -> Option<Avx2> {
        self.avx2
    }

    /// Proof that ARM's dot products may be used.
    pub fn dotprod(&self) -> Option<Dotprod> {
        self.dotprod
    }

    /// Proof that ARM's products of matrices may be used.
    pub fn i8mm(&self) -> Option<I8mm> {
        self.i8mm
    }
}

/// Proof that the processor has AVX2, FMA and F16C. It comes from [`Caps`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    #[cfg(target_arch = "x86_64")]
    fn detect() -> Option<Avx2> {
        let found =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        found.then_some(Avx2(()))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Option<Avx2> {
        None
    }
}

/// Proof that the processor has NEON with dot products, and little-endian memory. It comes from [`Caps`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dotprod(());

impl Dotprod {
    #[cfg(target_arch = "aarch64")]
    fn detect() -> Option<Dotprod> {
        use std::arch::is_aarch64_feature_detected;
        let found = is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod");
        (found && cfg!(target_endian = "little")).then_some(Dotprod(()))
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn detect() -> Option<Dotprod> {
        None
    }
}

/// Proof that the processor has products of matrices of bytes, too. It comes from [`Caps`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I8mm(Dotprod);

impl I8mm {
    #[cfg(target_arch = "aarch64")]
    fn detect() -> Option<I8mm> {
        let found = std::arch::is_aarch64_feature_detected!("i8mm");
        Dotprod::detect().filter(|_| found).map(I8mm)
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn detect() -> Option<I8mm> {
        Dotprod::detect().map(I8mm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for &isa in Isa::ALL {
            assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
        }
        assert!("avx3".parse::<Isa>().unwrap_err().to_string().contains("avx3"));
    }

    #[test]
    fn a_lower_instruction_set_can_be_forced() {
        assert_eq!(Caps::with_isa(Isa::Generic), Some(Caps::generic()));
        assert_eq!((Caps::generic().avx2(), Caps::generic().dotprod()), (None, None));
        for &isa in Isa::ALL {
            assert!(Caps::with_isa(isa).is_none_or(|caps| caps.isa() == isa), "{isa}");
        }
        let detected = Caps::detect();
        assert_eq!(Caps::with_isa(detected.isa()), Some(detected));
    }
}

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
    /// AVX2 with AVX-VNNI: products of bytes in one instruction.
    AvxVnni,
    /// AVX-512 (F, BW, VL) with VNNI.
    Avx512Vnni,
    /// Dot products of bytes, beside what every 64-bit ARM has (NEON).
    Dotprod,
    /// The same with products of matrices of bytes.
    I8mm,
}

impl Isa {
    /// Every instruction set, the plainest first.
    pub const ALL: &[Isa] = &[Isa::Generic, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni, Isa::Dotprod, Isa::I8mm];

    /// The name used in kernel names and settings.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Generic => "generic",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
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
#[error("unknown instruction set `{0}`; expected `generic`, `avx2`, `avx-vnni`, `avx512-vnni`, `dotprod` or `i8mm`")]
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
    avx_vnni: Option<AvxVnni>,
    avx512_vnni: Option<Avx512Vnni>,
    dotprod: Option<Dotprod>,
    i8mm: Option<I8mm>,
}

impl Caps {
    /// What this machine has.
    pub fn detect() -> Caps {
        let avx2 = Avx2::detect();
        Caps {
            avx2,
            avx_vnni: AvxVnni::detect(avx2),
            avx512_vnni: Avx512Vnni::detect(avx2),
            dotprod: Dotprod::detect(),
            i8mm: I8mm::detect(),
        }
    }

    /// Nothing beyond the generic set.
    pub fn generic() -> Caps {
        Caps { avx2: None, avx_vnni: None, avx512_vnni: None, dotprod: None, i8mm: None }
    }

    /// This machine's abilities up to and including `isa`; `None` if the machine does not have it.
    pub fn with_isa(isa: Isa) -> Option<Caps> {
        let all = Caps::detect();
        let caps = Caps {
            avx2: all.avx2.filter(|_| isa >= Isa::Avx2),
            avx_vnni: all.avx_vnni.filter(|_| isa >= Isa::AvxVnni),
            avx512_vnni: all.avx512_vnni.filter(|_| isa >= Isa::Avx512Vnni),
            dotprod: all.dotprod.filter(|_| isa >= Isa::Dotprod),
            i8mm: all.i8mm.filter(|_| isa >= Isa::I8mm),
        };
        caps.has(isa).then_some(caps)
    }

    /// The best instruction set that may be used.
    pub fn isa(&self) -> Isa {
        Isa::ALL.iter().copied().rfind(|isa| self.has(*isa)).unwrap_or(Isa::Generic)
    }

    /// Whether an instruction set may be used.
    pub fn has(&self, isa: Isa) -> bool {
        match isa {
            Isa::Generic => true,
            Isa::Avx2 => self.avx2.is_some(),
            Isa::AvxVnni => self.avx_vnni.is_some(),
            Isa::Avx512Vnni => self.avx512_vnni.is_some(),
            Isa::Dotprod => self.dotprod.is_some(),
            Isa::I8mm => self.i8mm.is_some(),
        }
    }

    /// Proof that AVX2, FMA and F16C may be used.
    pub fn avx2(&self) -> Option<Avx2> {
        self.avx2
    }

    /// Proof that AVX-VNNI may be used, too.
    pub fn avx_vnni(&self) -> Option<AvxVnni> {
        self.avx_vnni
    }

    /// Proof that AVX-512 with VNNI may be used, and AVX2, FMA and F16C.
    pub fn avx512_vnni(&self) -> Option<Avx512Vnni> {
        self.avx512_vnni
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

/// A type whose values prove that the processor has some instructions. They come from [`Caps`] only.
macro_rules! proof {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// The proof, where it is known from elsewhere.
            ///
            /// # Safety
            /// The processor must have the instructions.
            #[cfg(target_arch = "x86_64")]
            pub(crate) unsafe fn assume() -> Self {
                $name(())
            }
        }
    };
}

proof! {
    /// Proof that the processor has AVX2, FMA and F16C. It comes from [`Caps`] only.
    Avx2
}
proof! {
    /// Proof that the processor has AVX-VNNI, and all that [`Avx2`] stands for. It comes from [`Caps`] only.
    AvxVnni
}
proof! {
    /// Proof that the processor has AVX-512 F, BW, VL and VNNI, and all that [`Avx2`] stands for. It comes from [`Caps`]
    /// only.
    Avx512Vnni
}

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn detect() -> Option<Avx2> {
        let found =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        found.then_some(Avx2(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl AvxVnni {
    fn detect(avx2: Option<Avx2>) -> Option<AvxVnni> {
        (avx2.is_some() && is_x86_feature_detected!("avxvnni")).then_some(AvxVnni(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Avx512Vnni {
    fn detect(avx2: Option<Avx2>) -> Option<Avx512Vnni> {
        let found = avx2.is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        found.then_some(Avx512Vnni(()))
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Avx2 {
    fn detect() -> Option<Avx2> {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl AvxVnni {
    fn detect(_: Option<Avx2>) -> Option<AvxVnni> {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Avx512Vnni {
    fn detect(_: Option<Avx2>) -> Option<Avx512Vnni> {
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
        let detected = Caps::detect();
        for &isa in Isa::ALL {
            let forced = Caps::with_isa(isa);
            assert_eq!(forced.is_some(), detected.has(isa), "{isa}");
            assert!(forced.is_none_or(|caps| caps.isa() == isa), "{isa}");
        }
    }
}

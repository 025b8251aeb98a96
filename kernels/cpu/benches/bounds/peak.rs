//! How fast a core multiplies bytes.

use std::time::Instant;

use silhak_cpu::{Caps, Isa};

/// Instructions that multiply bytes, and how fast a core does nothing else.
pub(crate) struct Peak {
    probe: &'static Probe,
    /// The shortest time that [`ROUNDS`] have taken, in seconds.
    best: f64,
}

impl Peak {
    /// What this machine has, not measured yet; of each instruction set the fastest way first.
    pub(crate) fn all() -> Vec<Peak> {
        let caps = Caps::detect();
        PROBES.iter().filter(|probe| caps.has(probe.isa)).map(|probe| Peak { probe, best: f64::INFINITY }).collect()
    }

    pub(crate) fn measure(&mut self) {
        for _ in 0..REPETITIONS {
            let begin = Instant::now();
            // SAFETY: `all` has asked for the instruction set.
            unsafe { (self.probe.run)(ROUNDS) };
            self.best = self.best.min(begin.elapsed().as_secs_f64());
        }
    }

    pub(crate) fn isa(&self) -> Isa {
        self.probe.isa
    }

    pub(crate) fn instructions(&self) -> &'static str {
        self.probe.instructions
    }

    /// Thousands of millions of operations per second; a product and a sum are two.
    pub(crate) fn gops(&self) -> f64 {
        (ROUNDS * self.probe.operations) as f64 / self.best / 1e9
    }
}

struct Probe {
    isa: Isa,
    instructions: &'static str,
    /// In each round of the loop.
    operations: u64,
    /// Sound where the processor has the instruction set.
    run: unsafe fn(rounds: u64),
}

/// Some milliseconds.
const ROUNDS: u64 = 1_000_000;
const REPETITIONS: usize = 10;

/// A loop of instructions, each of whose results is waited for a whole round later. What the registers hold does not
/// matter.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! probe {
    ($name:ident, $features:literal, $body:literal, $next:literal, [$($register:tt)*]) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u64) {
            // SAFETY: nothing but the named registers is changed, and no memory is touched.
            unsafe {
                std::arch::asm!(
                    "2:", $body, $next,
                    rounds = inout(reg) rounds => _, $(out($register) _,)* options(nomem, nostack)
                );
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Isa, Probe};

    const N: u64 = 12;
    /// Of a `ymm` register; a `zmm` has twice as many.
    const BYTES: u64 = 32;

    pub(super) const PROBES: &[Probe] = &[
        Probe { isa: Isa::Avx2, instructions: "vpmaddubsw", operations: 2 * BYTES * N, run: words },
        Probe { isa: Isa::Avx2, instructions: "vpmaddubsw, vpmaddwd, vpaddd", operations: BYTES * N, run: sums },
        Probe { isa: Isa::AvxVnni, instructions: "vpdpbusd ymm", operations: 2 * BYTES * N, run: vnni },
        Probe { isa: Isa::Avx512Vnni, instructions: "vpdpbusd zmm", operations: 4 * BYTES * N, run: avx512_vnni },
    ];

    probe!(
        words,
        "avx2",
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11
            vpmaddubsw ymm\\i, ymm14, ymm15
        .endr",
        "dec {rounds}
        jne 2b",
        ["ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11"]
    );
    // Half as many, each with a sum in 32 bits.
    probe!(
        sums,
        "avx2",
        ".irp i,0,1,2,3,4,5
            vpmaddubsw ymm1\\i, ymm8, ymm9
            vpmaddwd ymm1\\i, ymm1\\i, ymm9
            vpaddd ymm\\i, ymm\\i, ymm1\\i
        .endr",
        "dec {rounds}
        jne 2b",
        ["ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm10" "ymm11" "ymm12" "ymm13" "ymm14" "ymm15"]
    );
    probe!(
        vnni,
        "avx2,avxvnni",
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11
            {{vex}} vpdpbusd ymm\\i, ymm14, ymm15
        .endr",
        "dec {rounds}
        jne 2b",
        ["ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5" "ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11"]
    );
    probe!(
        avx512_vnni,
        "avx512f,avx512vnni",
        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11
            vpdpbusd zmm\\i, zmm14, zmm15
        .endr",
        "dec {rounds}
        jne 2b",
        ["zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11"]
    );
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Isa, Probe};

    const N: u64 = 12;

    pub(super) const PROBES: &[Probe] = &[
        Probe { isa: Isa::Dotprod, instructions: "sdot", operations: 2 * 16 * N, run: dot },
        Probe { isa: Isa::I8mm, instructions: "smmla", operations: 2 * 32 * N, run: matrix },
    ];

    probe!(
        dot,
        "neon",
        ".arch_extension dotprod
        .irp i,0,1,2,3,4,5,6,7,16,17,18,19
            sdot v\\i\\().4s, v30.16b, v31.16b
        .endr",
        "subs {rounds}, {rounds}, #1
        b.ne 2b",
        ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v16" "v17" "v18" "v19"]
    );
    probe!(
        matrix,
        "neon",
        ".arch_extension i8mm
        .irp i,0,1,2,3,4,5,6,7,16,17,18,19
            smmla v\\i\\().4s, v30.16b, v31.16b
        .endr",
        "subs {rounds}, {rounds}, #1
        b.ne 2b",
        ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v16" "v17" "v18" "v19"]
    );
}

#[cfg(target_arch = "x86_64")]
use x86::PROBES;

#[cfg(target_arch = "aarch64")]
use arm::PROBES;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PROBES: &[Probe] = &[];

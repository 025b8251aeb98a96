//! `cargo xtask spills`: whether the compiler keeps in registers what the kernels' inner loops work on, read off the
//! machine code of `silhak-cpu`.
//!
//! An inner loop is where all of a kernel's time goes. One that has more values alive than there are registers puts some
//! on the stack and fetches them again, which no test notices but everyone who waits for an answer does.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::{folders, process};

/// The names of kernels tell the format only in this way of writing them down.
const FLAGS: &str = "-Csymbol-mangling-version=v0";

/// What `SILHAK_REQUIRE` names to make a missing disassembler a failure, and the package that has it.
pub(crate) const BINUTILS: &str = "binutils";
const DISASSEMBLER: &str = "objdump";

/// Where the kernels stand, and of which instruction sets.
const KERNELS: &str = "silhak_cpu::linear::panels::";
const ISAS: [&str; 3] = ["avx2", "avx_vnni", "avx512_vnni"];

/// Instructions that multiply bytes; a loop with fewer does something else.
const MULTIPLICATIONS: [&str; 2] = ["vpmaddubsw", "vpdpbusd"];
const FEWEST: usize = 4;

pub(crate) fn run() -> Result<ExitCode> {
    if let Some(why) = cannot_run() {
        bail!(why);
    }
    let loops = measure()?;
    println!("{:44} {:>12} {:>15} {:>7}", "inner loop of", "instructions", "multiplications", "spills");
    for Loop { kernel, instructions, multiplications, spills } in &loops {
        println!("{kernel:44} {instructions:12} {multiplications:15} {spills:7}");
    }
    check(&loops)?;
    Ok(ExitCode::SUCCESS)
}

/// What is missing here.
pub(crate) fn cannot_run() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("it reads the machine code of x86-64 processors".into());
    }
    let missing = !process::available(DISASSEMBLER, &["--version"]);
    missing.then(|| format!("needs {DISASSEMBLER}: apt-get install {BINUTILS}"))
}

/// Builds the kernels and finds their inner loops.
pub(crate) fn measure() -> Result<Vec<Loop>> {
    let mut objdump = Command::new(DISASSEMBLER);
    objdump.args(["--disassemble", "--demangle", "--no-show-raw-insn"]).arg(build()?);
    let mut loops = loops(&process::output(&mut objdump)?);
    if loops.is_empty() {
        bail!("no inner loop of a kernel found: have the kernels moved from {KERNELS}?");
    }
    loops.sort();
    Ok(loops)
}

/// An error names the loops that spill too much.
pub(crate) fn check(loops: &[Loop]) -> Result<()> {
    let bad: Vec<String> = loops
        .iter()
        .filter(|l| l.spills > l.allowed())
        .map(|l| format!("{} ({} for {} multiplications)", l.kernel, l.spills, l.multiplications))
        .collect();
    if !bad.is_empty() {
        bail!("more vectors on the stack than there is reason for: {}", bad.join(", "));
    }
    Ok(())
}

/// The benchmark of the kernels, which has all of them.
fn build() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args([
        "build",
        "--locked",
        "--release",
        "--package",
        "silhak-cpu",
        "--bench",
        "linear",
        "--message-format",
        "json",
    ]);
    cargo.arg("--target-dir").arg(folders::checkout().join("target/spills")).env("RUSTFLAGS", FLAGS);
    let messages = process::output(&mut cargo)?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().context("cargo named no executable")
}

/// An innermost loop that multiplies.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loop {
    /// Such as `avx2::matmul::<BlockQ4K>`.
    kernel: String,
    instructions: usize,
    multiplications: usize,
    /// Vectors that are put on the stack.
    spills: usize,
}

impl Loop {
    /// One vector for four multiplications. Where few tokens meet weights that are unpacked as they are read, and there are
    /// but 16 registers, three: what two parts of a block share stays until the second has come.
    fn allowed(&self) -> usize {
        let is_short = self.kernel.contains("::matvec::") && !self.kernel.starts_with("avx512");
        let of_four = if is_short { 3 } else { 1 };
        self.multiplications * of_four / 4
    }
}

/// The loops of all kernels in `code`, as `objdump` prints it.
fn loops(code: &str) -> Vec<Loop> {
    let mut found = Vec::new();
    let mut kernel: Option<String> = None;
    let mut body = Vec::new();
    for line in code.lines().chain([""]) {
        if let Some(instruction) = kernel.as_ref().and_then(|_| Instruction::parse(line)) {
            body.push(instruction);
        } else {
            if let Some(kernel) = kernel.take() {
                found.extend(inner_loops(&kernel, &body));
            }
            body.clear();
            kernel = kernel_name(line);
        }
    }
    found
}

/// The short name of the kernel that `line` is the heading of.
fn kernel_name(line: &str) -> Option<String> {
    let name = line.split_once(" <")?.1.strip_suffix(">:")?.strip_prefix(KERNELS)?;
    let (isa, _) = name.split_once("::")?;
    let is_kernel = ISAS.contains(&isa) && (name.contains("::matmul::<") || name.contains("::matvec::<"));
    is_kernel.then(|| name.replace("silhak_quant::blocks::", ""))
}

/// An instruction and where it is.
struct Instruction<'a> {
    address: u64,
    text: &'a str,
}

impl<'a> Instruction<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (address, text) = line.trim_start().split_once(":\t")?;
        Some(Instruction { address: u64::from_str_radix(address, 16).ok()?, text: text.trim() })
    }

    /// Where a jump goes to.
    fn target(&self) -> Option<u64> {
        let (name, operand) = self.text.split_once(char::is_whitespace)?;
        let address = operand.trim_start().split(' ').next()?;
        name.starts_with('j').then(|| u64::from_str_radix(address, 16).ok())?
    }

    fn multiplies(&self) -> bool {
        MULTIPLICATIONS.iter().any(|name| self.text.trim_start_matches("{vex} ").starts_with(name))
    }

    /// Whether a vector goes to a fixed place on the stack.
    fn spills(&self) -> bool {
        self.text.starts_with('v')
            && self.text.ends_with("(%rsp)")
            && self
                .text
                .rsplit_once(',')
                .is_some_and(|(source, _)| source.ends_with(char::is_numeric) && source.contains("mm"))
    }
}

/// The loops of a kernel that contain no other, and multiply.
fn inner_loops(kernel: &str, body: &[Instruction]) -> Vec<Loop> {
    let at: HashMap<u64, usize> = body.iter().enumerate().map(|(i, instruction)| (instruction.address, i)).collect();
    let jump = |(end, instruction): (usize, &Instruction)| {
        let start = *at.get(&instruction.target()?)?;
        (start <= end).then_some((start, end))
    };
    let all: Vec<(usize, usize)> = body.iter().enumerate().filter_map(jump).collect();
    let contains =
        |outer: &(usize, usize), inner: &(usize, usize)| outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1;
    let innermost = all.iter().filter(|outer| !all.iter().any(|inner| contains(outer, inner)));
    innermost
        .map(|&(start, end)| {
            let body = &body[start..=end];
            Loop {
                kernel: kernel.to_owned(),
                instructions: body.len(),
                multiplications: body.iter().filter(|instruction| instruction.multiplies()).count(),
                spills: body.iter().filter(|instruction| instruction.spills()).count(),
            }
        })
        .filter(|l| l.multiplications >= FEWEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "
0000000000001000 <silhak_cpu::linear::panels::avx2::matmul::<silhak_quant::blocks::BlockQ4K>>:
    1000:\tvpxor  %xmm0,%xmm0,%xmm0
    1004:\tvmovdqu %ymm0,0x40(%rsp)
    1008:\tvpmaddubsw %ymm0,%ymm1,%ymm2
    100c:\tvpmaddubsw %ymm0,%ymm1,%ymm3
    1010:\tvmovdqu %ymm3,0x20(%rsp)
    1014:\tvmovdqu %ymm3,0x20(%rsp,%rax,4)
    1018:\tvmovdqu 0x20(%rsp),%ymm3
    101c:\tvpmaddubsw %ymm0,%ymm1,%ymm2
    1020:\tvpmaddubsw %ymm0,%ymm1,%ymm3
    1024:\tjne    1008 <silhak_cpu::linear::panels::avx2::matmul::<silhak_quant::blocks::BlockQ4K>+0x8>
    1028:\tjmp    1000 <silhak_cpu::linear::panels::avx2::matmul::<silhak_quant::blocks::BlockQ4K>>
    102c:\tret

0000000000002000 <silhak_cpu::linear::panels::matmul::unpack>:
    2000:\tvmovdqu %ymm0,0x40(%rsp)
    2004:\tjmp    2000 <silhak_cpu::linear::panels::matmul::unpack>
";

    #[test]
    fn vectors_that_an_inner_loop_puts_on_the_stack_are_counted() {
        let kernel = "avx2::matmul::<BlockQ4K>".to_owned();
        let found = loops(CODE);
        assert_eq!(found, [Loop { kernel, instructions: 8, multiplications: 4, spills: 1 }]);
        assert!(check(&found).is_ok());
        let worse = found.into_iter().map(|l| Loop { spills: 2, ..l }).collect::<Vec<_>>();
        assert!(check(&worse).unwrap_err().to_string().contains("BlockQ4K> (2 for 4"));
    }
}

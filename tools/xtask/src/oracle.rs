//! Builds and runs `tests/oracle`, which links ggml and llama.cpp.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{folders, process};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Build llama.cpp with its Vulkan backend, too, for `--gpu-layers`; must come first
    #[arg(long, requires = "arguments")]
    vulkan: bool,
    /// Arguments for the oracle; `--help` lists them. With none, everything is compared on all test models
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let oracle = build(if options.vulkan { Build::Vulkan } else { Build::Native })?;
    if options.arguments.is_empty() {
        return everything(&oracle);
    }
    process::run(Command::new(oracle).args(&options.arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// What llama.cpp is built for.
#[derive(Clone, Copy)]
pub(crate) enum Build {
    /// All instructions of this machine.
    Native,
    /// The same, and GPUs.
    Vulkan,
    /// An instruction set that the machine may have more than.
    Isa(Isa),
}

/// An instruction set to hold llama.cpp to, by the name that `run-model --isa` has for it.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Isa {
    /// AVX2 with FMA and F16C
    Avx2,
    /// AVX2 with AVX-VNNI
    AvxVnni,
}

impl Isa {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
        }
    }

    /// The bindings' build script takes from these what it asks of CMake.
    fn rust_flags(self) -> &'static str {
        match self {
            Isa::Avx2 => "-Ctarget-cpu=x86-64-v3",
            Isa::AvxVnni => "-Ctarget-cpu=x86-64-v3 -Ctarget-feature=+avxvnni",
        }
    }
}

impl Build {
    /// In the cache, by version of the bindings, so that a fresh clone need not compile llama.cpp again. Each build has a
    /// folder of its own, so that none replaces another.
    fn target_folder(self) -> Result<PathBuf> {
        let name = match self {
            Build::Native => "target".to_owned(),
            Build::Vulkan => "target-vulkan".to_owned(),
            Build::Isa(isa) => format!("target-{}", isa.name()),
        };
        Ok(folders::cache()?.join(format!("oracle-{}", version()?)).join(name))
    }
}

/// Builds the oracle, and returns the program's path.
pub(crate) fn build(build: Build) -> Result<PathBuf> {
    for (program, version) in [("cmake", "--version"), ("c++", "--version")] {
        if !process::available(program, &[version]) {
            bail!("needs {program} to build llama.cpp: install it (on Debian: apt-get install cmake libclang-dev g++)");
        }
    }
    let folder = folders::checkout().join("tests/oracle");
    let target = build.target_folder()?;
    // Cargo reads the oracle's own settings (instruction set) only when it starts in the oracle's folder.
    let mut command = process::cargo();
    command.current_dir(&folder).args(["build", "--release", "--target-dir"]).arg(&target);
    match build {
        Build::Native => {}
        Build::Vulkan => {
            needs_for_vulkan(&folder)?;
            command.args(["--features", "vulkan"]);
        }
        Build::Isa(_) if cfg!(not(target_arch = "x86_64")) => bail!("`--isa` names instruction sets of x86-64"),
        Build::Isa(isa) => {
            // These take the place of the flags in the oracle's settings.
            command.env("RUSTFLAGS", isa.rust_flags());
        }
    }
    process::run(&mut command)?;
    Ok(target.join("release").join(format!("oracle{}", env::consts::EXE_SUFFIX)))
}

/// The version of the crate that llama.cpp comes with.
pub(crate) fn version() -> Result<String> {
    let path = folders::checkout().join("tests/oracle/Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = manifest
        .lines()
        .find(|line| line.starts_with("llama-cpp-sys-2"))
        .and_then(|line| line.split('"').nth(1))
        .with_context(|| format!("no version of llama-cpp-sys-2 in {}", path.display()))?;
    Ok(version.trim_start_matches('=').to_owned())
}

/// Looks where CMake will: in `$VULKAN_SDK`, then where the system has it.
fn needs_for_vulkan(folder: &Path) -> Result<()> {
    let sdk = env::var_os("VULKAN_SDK").map(PathBuf::from);
    let in_sdk = |path: &str| sdk.as_ref().map(|sdk| sdk.join(path)).filter(|path| path.exists());
    let glslc = in_sdk("bin/glslc").unwrap_or_else(|| PathBuf::from("glslc"));
    let include = in_sdk("include").unwrap_or_else(|| PathBuf::from("/usr/include"));
    let include = format!("-I{}", include.display());
    let mut missing = Vec::new();
    if !process::available(&glslc, &["--version"]) {
        missing.push("glslc");
    }
    for (header, package) in [("vulkan/vulkan.hpp", "libvulkan-dev"), ("spirv/unified1/spirv.hpp", "spirv-headers")] {
        // The preprocessor alone; the file itself is empty.
        if !process::available("c++", &[&include, "-E", "-include", header, "-x", "c++", "-"]) {
            missing.push(package);
        }
    }
    if !missing.is_empty() {
        bail!(
            "needs {} to build llama.cpp's Vulkan backend: install what is missing (on Debian: apt-get install glslc libvulkan-dev spirv-headers), or set VULKAN_SDK",
            missing.join(" and ")
        );
    }
    let shader = folder.join("glslc.comp");
    let to_nowhere = ["-fshader-stage=compute", "--target-env=vulkan1.3", "-o", "-"];
    let arguments = to_nowhere.iter().map(OsStr::new).chain([shader.as_os_str()]);
    if !process::available(&glslc, &arguments.collect::<Vec<_>>()) {
        eprintln!(
            "warning: {} lacks cooperative matrices, integer dot products or bfloat16: llama.cpp is built without its fastest kernels, and is no fair peer (glslc of shaderc 2026.4 has all)",
            glslc.display()
        );
    }
    Ok(())
}

/// All comparisons on all test models.
fn everything(oracle: &Path) -> Result<ExitCode> {
    let folder = folders::test_models()?;
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") {
            models.push(path);
        }
    }
    models.sort();
    let text = folder.join(TEXT);
    if models.is_empty() || !text.is_file() {
        bail!("expected models and {TEXT} in {}: run `cargo xtask fetch`", folder.display());
    }
    process::run(Command::new(oracle).arg("dot"))?;
    process::run(Command::new(oracle).arg("dequantize").args(&models))?;
    process::run(Command::new(oracle).arg("compare").args(&models).arg("--file").arg(&text))?;
    Ok(ExitCode::SUCCESS)
}

const TEXT: &str = "constitution.lf.txt";

//! Builds and runs `tests/oracle`, which links ggml and llama.cpp.

use anyhow::{Context, Result, bail};
use clap::Args;
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
    for (program, version) in [("cmake", "--version"), ("c++", "--version")] {
        if !process::available(program, &[version]) {
            bail!("needs {program} to build llama.cpp: install it (on Debian: apt-get install cmake libclang-dev g++)");
        }
    }
    let folder = folders::checkout().join("tests/oracle");
    if options.vulkan {
        needs_for_vulkan(&folder)?;
    }
    let target = target_folder(options.vulkan)?;
    // Cargo reads the oracle's own settings (instruction set) only when it starts in the oracle's folder.
    let mut build = process::cargo();
    build.current_dir(&folder).args(["build", "--release", "--target-dir"]).arg(&target);
    if options.vulkan {
        build.args(["--features", "vulkan"]);
    }
    process::run(&mut build)?;
    let oracle = target.join("release").join(format!("oracle{}", env::consts::EXE_SUFFIX));
    if options.arguments.is_empty() {
        return everything(&oracle);
    }
    process::run(Command::new(oracle).args(&options.arguments))?;
    Ok(ExitCode::SUCCESS)
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

/// In the cache, by version of the bindings, so that a fresh clone need not compile llama.cpp again. The Vulkan build has a
/// folder of its own, so that neither replaces the other.
fn target_folder(vulkan: bool) -> Result<PathBuf> {
    let path = folders::checkout().join("tests/oracle/Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let version = manifest
        .lines()
        .find(|line| line.starts_with("llama-cpp-sys-2"))
        .and_then(|line| line.split('"').nth(1))
        .with_context(|| format!("no version of llama-cpp-sys-2 in {}", path.display()))?;
    let folder = format!("oracle-{}", version.trim_start_matches('='));
    Ok(folders::cache()?.join(folder).join(if vulkan { "target-vulkan" } else { "target" }))
}

//! `cargo xtask gpu-matrix`: the GPU tests against several Vulkan drivers, and a page in `docs/` that says how they went.

mod driver;
mod lavapipe;
pub(crate) mod packages;
mod page;
mod suite;
mod swiftshader;
mod tests;

use anyhow::{Result, bail};
use clap::Args;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::folders;
use driver::Driver;
use page::Row;

#[derive(Args)]
pub(crate) struct Options {
    /// A further driver: the path of its ICD file, as `VK_DRIVER_FILES` takes it; may be given several times
    #[arg(long, value_name = "FILE")]
    icd: Vec<PathBuf>,
    /// Run real models too, which takes a software driver long
    #[arg(long)]
    models: bool,
    /// Fetch no driver: test those that are here
    #[arg(long)]
    offline: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !cfg!(target_os = "linux") {
        bail!("drivers are chosen by Vulkan's loader, in a way that Linux has; here `cargo test` uses the system's");
    }
    let files = tests::files(options.models)?;
    tests::build(&files)?;
    let mut rows = Vec::new();
    for driver in drivers(options)? {
        println!("\n=== {}", driver.name);
        let Some(adapter) = driver.adapter()? else {
            println!("SKIPPED {}: it shows no adapter", driver.name);
            continue;
        };
        let results = files.iter().map(|file| tests::run(file, &driver)).collect::<Result<_>>()?;
        rows.push(Row { driver: driver.name, adapter, results });
    }
    if rows.is_empty() {
        bail!("no driver was tested: install one (on Debian: apt-get install mesa-vulkan-drivers)");
    }
    let path = folders::checkout().join("docs/gpu-matrix.md");
    fs::write(&path, page::text(&files, &rows)?)?;
    println!("\nwritten to {}", path.display());
    Ok(if rows.iter().all(Row::passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The system's driver, SwiftShader and a new Mesa where they can be had, and those that were named.
fn drivers(options: &Options) -> Result<Vec<Driver>> {
    let mut drivers = vec![Driver { name: "the system's".to_owned(), icd: None, libraries: None }];
    for (name, driver) in
        [("SwiftShader", swiftshader::driver(options.offline)), ("lavapipe", lavapipe::driver(options.offline))]
    {
        match driver {
            Ok(driver) => drivers.push(driver),
            Err(error) => println!("SKIPPED {name}: {error:#}"),
        }
    }
    for icd in &options.icd {
        // Tests run in folders of their own.
        let icd = env::current_dir()?.join(icd);
        if !icd.is_file() {
            bail!("no file {}: expected the path of a Vulkan ICD file (JSON)", icd.display());
        }
        let name = icd.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        drivers.push(Driver { name, icd: Some(icd), libraries: None });
    }
    Ok(drivers)
}

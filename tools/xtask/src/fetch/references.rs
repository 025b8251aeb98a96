//! Lets the scripts of the test suites make what the tests compare with, by independent implementations.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{download, remove_folder};
use crate::{folders, process, python};

/// Runs each script unless its output is there.
pub(crate) fn make() -> Result<()> {
    let python = python::interpreter()?;
    tokenizers(&python)?;
    chat_templates(&python)
}

/// Hugging Face's tokenizers on many texts, and llama.cpp's test vectors. The script itself sees what is there.
fn tokenizers(python: &Path) -> Result<()> {
    println!("tokenizers");
    let script = folders::checkout().join("runtime/text/tests/tokenizer/reference.py");
    process::run(Command::new(python).arg(script).arg(folders::test_models()?))
}

/// The chat templates that llama.cpp keeps, rendered by Jinja2.
fn chat_templates(python: &Path) -> Result<()> {
    let folder = folders::cache()?.join("chat-templates");
    if folder.join("expected.json").is_file() {
        println!("chat templates: present");
        return Ok(());
    }
    println!("chat templates: downloading llama-cpp-python {LLAMA_CPP_PYTHON}");
    let staging = folder.with_extension("part");
    remove_folder(&staging)?; // an interrupted run leaves it
    let templates = staging.join("templates");
    fs::create_dir_all(&templates).with_context(|| format!("cannot create {}", templates.display()))?;
    let archive = download::source("llama-cpp-python", LLAMA_CPP_PYTHON, &staging)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(&templates).args(["--strip-components", "5", TEMPLATES]);
    process::run(&mut tar)?;
    let script = folders::checkout().join("runtime/text/tests/template_oracle.py");
    process::run(Command::new(python).arg(script).arg("templates").arg(&templates))?;
    remove_folder(&folder)?;
    fs::rename(templates, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    remove_folder(&staging)
}

const LLAMA_CPP_PYTHON: &str = "0.3.36";
const TEMPLATES: &str = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/templates";

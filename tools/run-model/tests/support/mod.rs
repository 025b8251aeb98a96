//! The program in a home of its own.

#![allow(dead_code, reason = "each test program uses its own part of this module")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use silhak_tests::tiny::Tiny;
use tempfile::TempDir;

#[cfg(target_os = "linux")]
pub(crate) mod disk;

/// The model repository that the store's own tests use.
#[path = "../../../../runtime/store/tests/support/mod.rs"]
pub(crate) mod repository;

pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) store: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        Self { folder, store }
    }

    /// Adds a catalogue file of the user's own.
    pub(crate) fn catalogue(&self, text: &str) {
        fs::create_dir_all(&self.store).unwrap();
        fs::write(self.store.join("catalogue.toml"), text).unwrap();
    }

    /// The program with nothing of the caller's environment that it would listen to.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_run-model"));
        self.isolate(&mut command);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Takes from a command what it would listen to of the caller's environment, and gives it this home.
    pub(crate) fn isolate(&self, command: &mut Command) {
        for variable in ["HF_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            command.env_remove(variable).env_remove(variable.to_lowercase());
        }
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SILHAK_")) {
            command.env_remove(variable);
        }
        // Without it, Mesa's Vulkan driver complains on stderr.
        command.env("XDG_RUNTIME_DIR", self.folder.path());
        command.env("SILHAK_HOME", &self.store).env("SILHAK_LANG", "en").env("HOME", self.folder.path());
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::from(self.command(args).output().unwrap())
    }

    /// Runs with a text piped in.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Outcome {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Outcome::from(child.wait_with_output().unwrap())
    }

    /// Runs, expects success and reads what is printed as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(args).stdout).unwrap()
    }

    /// Writes a model that can be loaded, with so much after its end that it has `len` bytes; returns its path.
    pub(crate) fn model(&self, name: &str, len: u64, seed: u64) -> String {
        let path = self.folder.path().join(name);
        Tiny { n_layers: 1, seed, ..Tiny::new("llama") }.write(&path).unwrap();
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        assert!(file.metadata().unwrap().len() <= len);
        file.set_len(len).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// Runs and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> Outcome {
        let outcome = self.run(args);
        assert_eq!(outcome.status, Some(0), "{args:?}: {}", outcome.stderr);
        outcome
    }

    /// The names of the files in the store's folders for blobs and manifests.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = ["blobs", "models"]
            .iter()
            .flat_map(|folder| fs::read_dir(self.store.join(folder)).into_iter().flatten())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The names that `ls --json` lists.
    pub(crate) fn listed(&self) -> Vec<String> {
        let models: serde_json::Value = serde_json::from_str(&self.ok(&["ls", "--json"]).stdout).unwrap();
        models.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

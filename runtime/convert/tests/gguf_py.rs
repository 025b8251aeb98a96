//! An independent implementation, gguf-py (PyPI `gguf`), converts the same checkpoints to the same bits.
//!
//! Python is `$SILHAK_PYTHON`, or `python3`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests too")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{convert_all, fixture};
use silhak_convert::{Mix, Options};

/// Those of an architecture that gguf-py knows, with rows of whole blocks of 32.
const CHECKPOINTS: &[&str] =
    &["exaone4", "exaone.random1", "exaone4-full.random1", "llama.random1", "qwen2-yarn.random1"];

#[test]
fn gguf_py_makes_the_same_tensors() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut peer = Command::new(python);
    peer.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer.py"));
    let mut n_tensors = 0;
    for mix in [Mix::F32, Mix::F16, Mix::Bf16, Mix::Q8_0] {
        for name in CHECKPOINTS {
            let path = folder.path().join(format!("{name}.{mix}.gguf"));
            let report = convert_all(&fixture(name), &path, &Options { mix: Some(mix), ..Options::default() }).unwrap();
            // `rope_freqs` is computed.
            n_tensors += report.n_tensors - usize::from(name.starts_with("exaone"));
            peer.arg(fixture(name)).arg(path);
        }
    }
    let output = peer.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), n_tensors.to_string());
}

/// The interpreter, if it has gguf-py.
fn python() -> Option<String> {
    let python = std::env::var("SILHAK_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_gguf = Command::new(&python).args(["-c", "import gguf"]).output().is_ok_and(|out| out.status.success());
    if !has_gguf {
        let required = std::env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|word| word == "python"));
        assert!(!required, "{python} with gguf-py is required");
        println!("SKIPPED: {python} has no gguf-py (pip install gguf==0.19.0)");
        return None;
    }
    Some(python)
}

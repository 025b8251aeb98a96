//! The corpus of the fuzzers (`tests/fuzz`) replays: every file gives what its name says.
//!
//! That of the GGUF reader replays in the tests of `silhak-gguf`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![allow(unreachable_pub, reason = "the modules are public in the crate of the fuzz targets")]

#[path = "../fuzz/src/template.rs"]
mod template;
#[path = "../fuzz/src/vocab.rs"]
mod vocab;
#[path = "../fuzz/src/vocab_seeds.rs"]
mod vocab_seeds;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Replays a target's corpus: files are called `EXPECTED--NAME`.
fn replay(target: &str, at_least: usize, check: fn(&[u8]) -> Result<(), String>) {
    let mut wrong = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(corpus(target)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let start = Instant::now();
        let found = check(&std::fs::read(entry.path()).unwrap()).err().unwrap_or_else(|| "Ok".to_owned());
        if name.split("--").next() != Some(&found) {
            wrong.push(format!("{name}: found {found}"));
        }
        if start.elapsed() > Duration::from_secs(1) {
            wrong.push(format!("{name}: took {:?}", start.elapsed()));
        }
        files += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(files >= at_least, "only {files} files");
}

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus")).join(target)
}

#[test]
fn vocabularies() {
    replay("vocab", 25, vocab::check);
}

#[test]
fn templates() {
    replay("template", 20, template::check);
}

/// `SILHAK_BLESS=1` writes them anew.
#[test]
fn vocabulary_seeds_are_in_the_corpus() {
    for (name, bytes) in vocab_seeds::all() {
        let path = corpus("vocab").join(name);
        if std::env::var_os("SILHAK_BLESS").is_some() {
            std::fs::create_dir_all(corpus("vocab")).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).is_ok_and(|stored| stored == bytes), "{name} is stale: run with SILHAK_BLESS=1");
    }
}

//! `convert`: a maker's folder becomes a file that every verb takes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::fs;
use std::path::Path;

use support::Home;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_makers_folder_becomes_a_model_that_answers() {
    let home = Home::new();
    let path = home.folder.path().join("m.gguf");
    let model = path.to_str().unwrap();
    let told = home.json(&["convert", &fixture("exaone4"), "-o", model, "--type", "q8_0", "--json"]);
    assert_eq!((&told["path"], &told["type"], &told["n_resumed"]), (&model.into(), &"Q8_0".into(), &0.into()));
    assert_eq!(told["bytes"], fs::metadata(&path).unwrap().len());
    assert_eq!(home.json(&["show", model, "--json"])["model"]["architecture"], "exaone4");
    let answer = home.ok(&["run", model, "헌법 제5조", "--temp", "0"]).stdout;
    assert!(answer.trim().starts_with("① 대한민국은 국제평화의 유지에 노력하고"), "{answer}");
}

#[test]
fn one_line_says_what_was_written() {
    let home = Home::new();
    let path = home.folder.path().join("m.gguf");
    for (lang, word) in [("en", "Wrote"), ("ko", "썼습니다")] {
        let args = ["convert", &fixture("solar.random1"), "-o", path.to_str().unwrap(), "--lang", lang];
        let outcome = home.ok(&args);
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains(word), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn what_is_no_model_is_refused_in_both_languages() {
    let home = Home::new();
    let folder = home.folder.path().to_str().unwrap();
    for (lang, label) in [("en", "error: "), ("ko", "오류: ")] {
        let outcome = home.run(&["convert", folder, "-o", "m.gguf", "--lang", lang]);
        assert_eq!(outcome.status, Some(1));
        assert!(outcome.stderr.starts_with(label) && outcome.stderr.contains("model.safetensors"), "{outcome:?}");
    }
    let outcome = home.run(&["convert", folder, "-o", "m.gguf", "--type", "Q4_K"]);
    assert!(outcome.status == Some(2) && outcome.stderr.contains("Q4_K_M"), "{outcome:?}");
}

//! `quantize`: a smaller file that still answers, and the type that fits.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::fs;
use std::path::Path;

use support::Home;

/// The trained fixture in its maker's format, and a path for a smaller one.
fn source(home: &Home) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/exaone4");
    let path = |name: &str| home.folder.path().join(name).to_str().unwrap().to_owned();
    home.ok(&["convert", folder.to_str().unwrap(), "-o", &path("source.gguf")]);
    (path("source.gguf"), path("small.gguf"))
}

#[test]
fn a_smaller_model_gives_the_same_answer() {
    let home = Home::new();
    let (source, small) = source(&home);
    let told = home.json(&["quantize", &source, &small, "--type", "q4_0", "--json"]);
    assert_eq!((&told["type"], &told["path"]), (&"Q4_0".into(), &small.as_str().into()));
    assert_eq!(told["bytes"], fs::metadata(&small).unwrap().len());
    assert!(told["bytes"].as_u64().unwrap() * 2 < told["source_bytes"].as_u64().unwrap());
    let answer = home.ok(&["run", &small, "헌법 제5조", "--temp", "0"]).stdout;
    assert!(answer.trim().starts_with("① 대한민국은 국제평화의 유지에 노력하고"), "{answer}");
    let again = home.run(&["quantize", &small, &source, "--type", "Q8_0", "--lang", "ko"]);
    assert!(again.status == Some(1) && again.stderr.contains("이미 양자화"), "{again:?}");
}

#[test]
fn an_importance_matrix_of_a_text_is_taken() {
    let home = Home::new();
    let (source, small) = source(&home);
    let text = "대한민국은 국제평화의 유지에 노력하고 침략적 전쟁을 부인한다. ".repeat(4);
    let path = home.folder.path().join("importance.gguf");
    let importance = path.to_str().unwrap();
    let outcome = home.ok(&["imatrix", &source, &text, "-o", importance, "--chunk", "64"]);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("42 matrices"), "{outcome:?}");
    let quantize = |more: &[&str]| {
        home.ok(&[&["quantize", &source, &small, "--type", "Q4_0"], more].concat());
        fs::read(&small).unwrap()
    };
    assert!(quantize(&[]) != quantize(&["--imatrix", importance]));
    let short = home.run(&["imatrix", &source, "짧은 글", "-o", importance]);
    assert!(short.status == Some(1) && short.stderr.contains("512"), "{short:?}");
    let other = home.run(&["quantize", &source, &small, "--type", "Q4_0", "--imatrix", &source]);
    assert!(other.status == Some(1) && other.stderr.contains("no importance matrix"), "{other:?}");
}

#[test]
fn lines_say_what_became_of_it() {
    let home = Home::new();
    let (source, small) = source(&home);
    for (lang, words) in [("en", ["Wrote", "smaller blocks"]), ("ko", ["썼습니다", "더 작은 형식"])] {
        let outcome = home.ok(&["quantize", &source, &small, "--type", "Q4_K_M", "--lang", lang]);
        assert!(words.iter().all(|word| outcome.stderr.contains(word)), "{outcome:?}");
    }
}

/// What fits is the most exact type whose weights, keys, values and scratch memory are within the size.
#[test]
fn the_best_type_that_fits_is_chosen() {
    let home = Home::new();
    let (source, small) = source(&home);
    let fitting =
        |size: u64| home.run(&["quantize", &source, &small, "--fit", &size.to_string(), "--context", "512", "--json"]);
    let chosen = |size: u64| {
        let outcome = fitting(size);
        serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap()["type"].as_str().unwrap().to_owned()
    };
    assert_eq!(chosen(1 << 30), "Q8_0");
    let of_source = home.json(&["fit", &source, "--ctx", "512", "--device", "cpu", "--json"]);
    let beside = ["kv_bytes", "scratch_bytes"].map(|part| of_source[part].as_u64().unwrap()).iter().sum::<u64>();
    let needs = |ty: &str| {
        home.ok(&["quantize", &source, &small, "--type", ty]);
        let types = home.json(&["inspect", &small, "--json"])["types"].clone();
        beside + types.as_array().unwrap().iter().map(|ty| ty["bytes"].as_u64().unwrap()).sum::<u64>()
    };
    let q8 = needs("Q8_0");
    assert_eq!(chosen(q8), "Q8_0");
    // Of this model's shape Q6_K falls back to Q8_0 throughout.
    assert_eq!(needs("Q6_K"), q8);
    let next = chosen(q8 - 1);
    assert_eq!((next.as_str(), needs(&next) < q8), ("Q5_K_M", true));
    let outcome = fitting(1000);
    assert!(outcome.status == Some(1) && outcome.stderr.contains("--context"), "{outcome:?}");
}

#[test]
fn wrong_usage_is_status_2() {
    let home = Home::new();
    for (args, word) in [
        (&["quantize", "a.gguf", "b.gguf"][..], "--type"),
        (&["quantize", "a.gguf", "b.gguf", "--type", "Q8_0", "--fit", "1GB"], "--fit"),
        (&["quantize", "a.gguf", "b.gguf", "--type", "Q8_0", "--context", "1"], "--context"),
    ] {
        let outcome = home.run(args);
        assert!(outcome.status == Some(2) && outcome.stderr.contains(word), "{outcome:?}");
    }
}

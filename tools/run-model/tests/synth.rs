//! `synth`: what it writes, and what it leaves when it cannot.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::fs;

use support::Home;

/// The smallest file there is: the vocabulary is most of it.
const SMALL: [&str; 6] = ["synth", "llama-1b", "--layers", "1", "--type", "q4_0"];

fn synth<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL, more].concat()
}

#[test]
fn the_presets_are_listed() {
    let home = Home::new();
    let text = home.ok(&["synth", "--list"]).stdout;
    for word in ["NAME", "llama-1b", "qwen2-7b", "Qwen2.5 32B", "19.8 GB (Q4_K_M)"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(home.ok(&["synth", "--list", "--lang", "ko"]).stdout.contains("파일 크기"));
    let json = home.json(&["synth", "--list", "--json", "--type", "Q8_0", "--layers", "2"]);
    let found = json.as_array().unwrap().iter().find(|model| model["preset"] == "qwen2-7b").unwrap();
    assert_eq!((&found["type"], &found["n_layers"]), (&"Q8_0".into(), &2.into()));
    assert!(found["bytes"].as_u64() > found["parameters"].as_u64());
}

#[test]
fn every_verb_takes_what_it_writes() {
    let home = Home::new();
    let path = home.folder.path().join("m.gguf");
    let model = path.to_str().unwrap();
    let told = home.json(&synth(&["-o", model, "--json"]));
    assert_eq!((&told["path"], &told["preset"]), (&model.into(), &"llama-1b".into()));
    assert_eq!(told["bytes"], fs::metadata(&path).unwrap().len());

    let shown = home.json(&["show", model, "--json"]);
    assert_eq!(shown["model"]["title"], "Llama 3.2 1B with random weights");
    assert_eq!((&shown["model"]["parameters"], &shown["model"]["runs"]), (&told["parameters"], &true.into()));
    assert!(home.ok(&["inspect", model]).stdout.contains("rope_freqs.weight"));
    assert_eq!(home.json(&["fit", model, "--memory", "64GB", "--json"])["fits"], true);
    let ids = home.json(&["tokenize", model, "대한민국", "--json"]);
    assert_eq!(ids["ids"].as_array().unwrap().len(), 4);
    let text = "나라의 말이 중국과 달라";
    let score = home.json(&["perplexity", model, text, "--json"]);
    assert!(score["perplexity"].as_f64().unwrap().is_finite());
    let answer = home.json(&["run", model, text, "--temp", "0", "--max-tokens", "3", "--json"]);
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    let speed = home.json(&["bench", model, "--prefill", "4", "--decode", "2", "--reps", "1", "--json"]);
    assert!(speed["decode"]["median_tps"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_seed_decides_and_there_is_no_bar_in_a_pipe() {
    let home = Home::new();
    let write = |name: &str, more: &[&str]| {
        let path = home.folder.path().join(name);
        let outcome = home.ok(&synth(&[&["-o", path.to_str().unwrap()], more].concat()));
        assert!(outcome.stdout.is_empty() && !outcome.stderr.contains('\x1b'), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        fs::read(path).unwrap()
    };
    let first = write("a.gguf", &[]);
    assert!(first == write("b.gguf", &["--seed", "1"]));
    assert!(first != write("c.gguf", &["--seed", "2"]));
}

#[test]
fn wrong_usage_is_status_2_and_says_what_there_is() {
    let home = Home::new();
    for (args, word) in [
        (&["synth"][..], "PRESET"),
        (&["synth", "llama-1b"], "--output"),
        (&["synth", "llama-2b", "-o", "m.gguf"], "qwen2-7b"),
        (&["synth", "llama-1b", "-o", "m.gguf", "--type", "Q4_K"], "Q4_K_M"),
        (&["synth", "llama-1b", "-o", "m.gguf", "--layers", "0"], "1..=1024"),
    ] {
        let outcome = home.run(args);
        assert_eq!(outcome.status, Some(2), "{args:?}");
        assert!(outcome.stderr.contains(word), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let home = Home::new();
    let folder = home.folder.path().to_str().unwrap();
    let outcome = home.run(&synth(&["-o", folder]));
    assert!(outcome.status == Some(1) && outcome.stderr.contains("no regular file"), "{outcome:?}");
    let korean = home.run(&synth(&["-o", folder, "--lang", "ko"]));
    assert!(korean.stderr.starts_with("오류: ") && korean.stderr.contains("보통 파일이 아닙니다"), "{korean:?}");
}

/// Needs the right to mount a small file system.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_gives_one_sentence_and_no_debris() {
    let home = Home::new();
    let Some(_mounted) = support::disk::small(&home.store) else { return };
    let path = home.store.join("m.gguf");
    let outcome = home.run(&synth(&["-o", path.to_str().unwrap()]));
    assert!(outcome.status == Some(1) && outcome.stderr.contains("not enough room"), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(fs::read_dir(&home.store).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_nothing() {
    let home = Home::new();
    let folder = home.folder.path().join("models");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("m.gguf");
    let mut child = home.command(&["synth", "qwen2-7b", "-o", path.to_str().unwrap()]).spawn().unwrap();
    // It has begun when there is something to leave.
    while fs::read_dir(&folder).unwrap().count() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

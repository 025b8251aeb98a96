//! No text of a megabyte takes a second, whatever it looks like.

use std::time::{Duration, Instant};

use silhak_text::{Special, Tokenizer, VocabSource};

use crate::support::{json, test_file, vocab_of_gguf};

const MEGABYTE: usize = 1_000_000;

#[test]
fn a_megabyte_of_korean_takes_less_than_a_second() {
    let Some(texts) = test_file("tokenizer/texts.json") else { return };
    let constitution = json(&texts)["constitution"][0].as_str().unwrap().to_owned();
    for (name, tokenizer) in tokenizers(9) {
        let time = encoding_time(&tokenizer, &constitution);
        println!("{name}: {:.1} MB/s", 1.0 / time.as_secs_f64());
        assert!(time < Duration::from_secs(1), "{name}: {time:?}");
    }
}

/// What a megabyte of whatever somebody sends may take. What takes quadratic time takes hours; what is linear has taken up to 1.3 s
/// on the slowest processor it was tried on.
const OF_ANY_TEXT: Duration = Duration::from_secs(2);

#[test]
fn unusual_texts_take_little_longer() {
    for (name, tokenizer) in tokenizers(1) {
        for part in
            ["a", "가", "대한민국의헌법", " ", "\n", " \n\t", "!?", "7", "\u{300}", "e\u{301}", "가A", "<|", "\0"]
        {
            let time = encoding_time(&tokenizer, part);
            println!("{name}, {part:?}: {:.1} MB/s", 1.0 / time.as_secs_f64());
            assert!(time < OF_ANY_TEXT, "{name}, {part:?}: {time:?}");
        }
    }
}

#[test]
fn white_space_that_ends_nowhere() {
    let Some(path) = test_file("qwen2.5-coder-0.5b.gguf") else { return };
    let pre = Some("deepseek-llm".to_owned());
    let tokenizer = Tokenizer::new(VocabSource { pre, ..vocab_of_gguf(&path) }).unwrap();
    let spaces = " ".repeat(MEGABYTE / 2);
    let time = encoding_time(&tokenizer, &format!("{spaces}가{spaces}"));
    assert!(time < OF_ANY_TEXT, "{time:?}");
}

#[test]
fn a_tokenizer_is_ready_in_less_than_a_second() {
    for (file, _) in VOCABULARIES {
        let Some(path) = test_file(file) else { continue };
        let source = vocab_of_gguf(&path);
        let time = used(|| Tokenizer::new(source.clone()).unwrap());
        println!("{file}: {time:?}");
        assert!(time < Duration::from_secs(1), "{file}: {time:?}");
    }
}

/// Vocabularies, and the pre-tokenizers to try them with.
const VOCABULARIES: [(&str, &[&str]); 2] = [
    ("qwen2.5-coder-0.5b.gguf", &["qwen2", "exaone", "exaone4", "exaone-moe", "gpt-4o", "deepseek-v3", "hyperclovax"]),
    ("gemma-3-270m.gguf", &["default"]),
];

/// The vocabularies at hand, each with up to `n` of its pre-tokenizers.
fn tokenizers(n: usize) -> Vec<(String, Tokenizer)> {
    let mut all = Vec::new();
    for (file, pres) in VOCABULARIES {
        let Some(path) = test_file(file) else { continue };
        let source = vocab_of_gguf(&path);
        for pre in pres.iter().take(n) {
            let source = VocabSource { pre: Some((*pre).to_owned()), ..source.clone() };
            all.push((format!("{file} with {pre}"), Tokenizer::new(source).unwrap()));
        }
    }
    all
}

/// The time for a megabyte of `part` over and over.
fn encoding_time(tokenizer: &Tokenizer, part: &str) -> Duration {
    let text = part.repeat(MEGABYTE.div_ceil(part.len()));
    used(|| assert!(!tokenizer.encode(&text, Special::Ignore).is_empty()))
}

/// The time that `work` takes, the better of two. Other programs run too, so what counts is what this thread has used
/// of a processor, where the system tells.
fn used<T>(work: impl Fn() -> T) -> Duration {
    let time = || {
        let start = (Instant::now(), processor_time());
        work();
        match (start.1, processor_time()) {
            (Some(before), Some(after)) => after - before,
            _ => start.0.elapsed(),
        }
    };
    time().min(time())
}

fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

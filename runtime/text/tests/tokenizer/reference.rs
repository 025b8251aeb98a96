//! Ids equal those of Hugging Face `tokenizers`, as `reference.py` wrote them down.

use silhak_text::{Special, Tokenizer};
use unicode_normalization_alignments::UnicodeNormalization;

use crate::support::{ids, json, test_file, tokenizer_of_gguf, vocab_of_json};

#[test]
fn qwen_in_gguf() {
    same_as_original("qwen3", Vocabulary::Gguf("qwen2.5-coder-0.5b.gguf"));
}

#[test]
fn gemma_3_in_gguf() {
    same_as_original("gemma3", Vocabulary::Gguf("gemma-3-270m.gguf"));
}

#[test]
fn llama_3() {
    same_as_original("llama3", Vocabulary::Json { pre: "llama-bpe" });
}

#[test]
fn gpt_oss() {
    same_as_original("gptoss", Vocabulary::Json { pre: "gpt-4o" });
}

#[test]
fn deepseek_3() {
    same_as_original("deepseek_v3", Vocabulary::Json { pre: "deepseek-v3" });
}

/// Where the vocabulary comes from.
enum Vocabulary {
    Gguf(&'static str),
    Json { pre: &'static str },
}

fn same_as_original(name: &str, vocabulary: Vocabulary) {
    let folder = format!("tokenizer/{name}");
    let (Some(texts), Some(expected)) = (test_file("tokenizer/texts.json"), test_file(&format!("{folder}/ids.json")))
    else {
        return;
    };
    let tokenizer = match vocabulary {
        Vocabulary::Gguf(file) => {
            let Some(path) = test_file(file) else { return };
            tokenizer_of_gguf(&path)
        }
        Vocabulary::Json { pre } => {
            let Some(path) = test_file(&format!("{folder}/tokenizer.json")) else { return };
            Tokenizer::new(vocab_of_json(&json(&path), pre)).unwrap()
        }
    };
    let (texts, expected) = (json(&texts), json(&expected));
    for set in ["constitution", "udhr", "random", "tokens"] {
        let (texts, expected) = (texts[set].as_array().unwrap(), expected[set].as_array().unwrap());
        assert_eq!(texts.len(), expected.len());
        let mut different = Vec::new();
        for (text, expected) in texts.iter().zip(expected) {
            let text = text.as_str().unwrap();
            let expected = ids(expected);
            let found = tokenizer.encode(text, Special::Ignore);
            if found != expected {
                different.push(first_difference(text, &found, &expected, &tokenizer));
            }
            assert_eq!(tokenizer.decode(&found), normal_form(name, text), "{name}, {set}: round trip");
        }
        println!("{name}, {set}: {} of {} texts differ", different.len(), texts.len());
        assert!(different.is_empty(), "{name}, {set}:\n{}", different[..different.len().min(20)].join("\n"));
    }
}

/// The text that the ids of `text` stand for.
fn normal_form(name: &str, text: &str) -> String {
    match name {
        "qwen3" => text.nfc().map(|(c, _)| c).collect(),
        "gemma3" => text.replace('▁', " "),
        _ => text.to_owned(),
    }
}

fn first_difference(text: &str, found: &[u32], expected: &[u32], tokenizer: &Tokenizer) -> String {
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let some = |ids: &[u32]| -> Vec<String> {
        ids.iter()
            .skip(same.saturating_sub(1))
            .take(4)
            .map(|&id| format!("{id} {:?}", tokenizer.token_text(id)))
            .collect()
    };
    let start: String = text.chars().take(40).collect();
    format!("{start:?} at {same}: found {:?}, expected {:?}", some(found), some(expected))
}

//! A few texts whose ids are kept here, for real tokenizers where their vocabularies are at hand and for two tiny ones
//! always. `golden.py` writes the files.

use serde_json::Value;
use silhak_text::{Special, TokenType, Tokenizer, VocabSource};

use crate::support::{ids, json, test_file, tokenizer_of_gguf, vocab_of_json};

#[test]
fn real_tokenizers() {
    let golden: Value = serde_json::from_str(include_str!("../data/tokenizer-golden.json")).unwrap();
    for (name, file) in [("qwen3", "qwen2.5-coder-0.5b.gguf"), ("gemma3", "gemma-3-270m.gguf")] {
        let Some(path) = test_file(file) else { continue };
        check(name, &tokenizer_of_gguf(&path), &golden[name]);
    }
    for (name, pre) in [("llama3", "llama-bpe"), ("gptoss", "gpt-4o"), ("deepseek_v3", "deepseek-v3")] {
        let Some(path) = test_file(&format!("tokenizer/{name}/tokenizer.json")) else { continue };
        check(name, &Tokenizer::new(vocab_of_json(&json(&path), pre)).unwrap(), &golden[name]);
    }
}

#[test]
fn tiny_tokenizers() {
    for (kind, source) in [("byte-level", byte_level()), ("sentence-piece", sentence_piece())] {
        check(kind, &Tokenizer::new(source).unwrap(), &tiny()[kind]["cases"]);
    }
}

fn check(name: &str, tokenizer: &Tokenizer, cases: &Value) {
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 10, "{name}");
    for case in cases {
        let text = case[0].as_str().unwrap();
        let found = tokenizer.encode(text, Special::Ignore);
        assert_eq!(found, ids(&case[1]), "{name}: {text:?}");
        assert_eq!(found, tokenizer.encode(&tokenizer.decode(&found), Special::Ignore), "{name}: {text:?}");
    }
}

/// A byte-level tokenizer with 420 tokens and `<|im_start|>`, `<|im_end|>` and a user-defined one behind them.
pub(crate) fn byte_level() -> VocabSource {
    let tiny = &tiny()["byte-level"];
    VocabSource {
        model: "gpt2".to_owned(),
        pre: Some("qwen2".to_owned()),
        tokens: strings(&tiny["tokens"]),
        types: types(&tiny["types"]),
        merges: strings(&tiny["merges"]),
        ..VocabSource::default()
    }
}

/// A SentencePiece tokenizer with `<unk>`, `<s>`, `</s>`, the bytes, and some hundred pieces.
pub(crate) fn sentence_piece() -> VocabSource {
    let tiny = &tiny()["sentence-piece"];
    VocabSource {
        model: "llama".to_owned(),
        tokens: strings(&tiny["tokens"]),
        types: types(&tiny["types"]),
        scores: tiny["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap() as f32).collect(),
        ..VocabSource::default()
    }
}

fn tiny() -> Value {
    serde_json::from_str(include_str!("../data/tokenizer-tiny.json")).unwrap()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn types(list: &Value) -> Vec<TokenType> {
    ids(list).into_iter().map(|value| TokenType::try_from(value as i32).unwrap()).collect()
}

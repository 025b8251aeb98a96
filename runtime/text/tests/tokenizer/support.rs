//! Where the tests find vocabularies and texts, and how they turn them into a [`VocabSource`].

use std::path::{Path, PathBuf};

use serde_json::Value;
use silhak_gguf::Gguf;
use silhak_text::{TokenType, Tokenizer, VocabSource};

/// A file among the test models, or `None` after saying which is missing. What `SILHAK_REQUIRE` names must be there.
pub(crate) fn test_file(name: &str) -> Option<PathBuf> {
    let path = test_models().join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|what| what.trim() == "models"), "required, but missing: {}", path.display());
    println!("SKIPPED: {} is missing", path.display());
    None
}

fn test_models() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SILHAK_TEST_MODELS").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).unwrap_or_default();
        cache.join("silhak").join("test-models")
    })
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

pub(crate) fn tokenizer_of_gguf(path: &Path) -> Tokenizer {
    Tokenizer::new(vocab_of_gguf(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The vocabulary in a GGUF file.
pub(crate) fn vocab_of_gguf(path: &Path) -> VocabSource {
    let file = Gguf::open(path).unwrap();
    let m = file.metadata();
    let strings = |key| {
        let array = m.opt_str_array(key).unwrap();
        array.map(|array| array.iter().map(str::to_owned).collect()).unwrap_or_default()
    };
    let types = m.opt_i32_array("tokenizer.ggml.token_type").unwrap().unwrap_or_default();
    let flag = |key| m.opt_bool(key).unwrap();
    let id = |key| m.opt_u32(key).unwrap();
    VocabSource {
        model: m.str("tokenizer.ggml.model").unwrap().to_owned(),
        pre: m.opt_str("tokenizer.ggml.pre").unwrap().map(str::to_owned),
        tokens: strings("tokenizer.ggml.tokens"),
        scores: m.opt_f32_array("tokenizer.ggml.scores").unwrap().unwrap_or_default().to_vec(),
        types: types.iter().map(|&value| TokenType::try_from(value).unwrap()).collect(),
        merges: strings("tokenizer.ggml.merges"),
        bos: id("tokenizer.ggml.bos_token_id"),
        eos: id("tokenizer.ggml.eos_token_id"),
        eot: id("tokenizer.ggml.eot_token_id"),
        eom: id("tokenizer.ggml.eom_token_id"),
        unk: id("tokenizer.ggml.unknown_token_id"),
        pad: id("tokenizer.ggml.padding_token_id"),
        sep: id("tokenizer.ggml.seperator_token_id"),
        mask: id("tokenizer.ggml.mask_token_id"),
        add_bos: flag("tokenizer.ggml.add_bos_token"),
        add_eos: flag("tokenizer.ggml.add_eos_token"),
        add_space_prefix: flag("tokenizer.ggml.add_space_prefix"),
        remove_extra_whitespaces: flag("tokenizer.ggml.remove_extra_whitespaces"),
    }
}

/// The byte-level BPE vocabulary in a `tokenizer.json`, which names no pre-tokenizer: that is `pre`.
pub(crate) fn vocab_of_json(file: &Value, pre: &str) -> VocabSource {
    let model = &file["model"];
    let mut source = VocabSource { model: "gpt2".to_owned(), pre: Some(pre.to_owned()), ..VocabSource::default() };
    let mut set = |text: &str, id: &Value, token_type| {
        let id = id.as_u64().unwrap() as usize;
        if source.tokens.len() <= id {
            source.tokens.resize(id + 1, String::new());
            source.types.resize(id + 1, TokenType::Unused);
        }
        source.tokens[id] = text.to_owned();
        source.types[id] = token_type;
    };
    for (text, id) in model["vocab"].as_object().unwrap() {
        set(text, id, TokenType::Normal);
    }
    for added in file["added_tokens"].as_array().unwrap() {
        let special = added["special"].as_bool().unwrap();
        let token_type = if special { TokenType::Control } else { TokenType::UserDefined };
        set(added["content"].as_str().unwrap(), &added["id"], token_type);
    }
    // Older files write a merge as one string, newer ones as a pair.
    source.merges = model["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|merge| match merge {
            Value::String(pair) => pair.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        })
        .collect();
    source
}

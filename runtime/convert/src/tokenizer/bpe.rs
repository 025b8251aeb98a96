//! Byte-level BPE, as `tokenizer.json` states it.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Entries, Kind, Tokens, integers, pre, strings};
use crate::Error;

/// The part of the file that GGUF has.
#[derive(Deserialize)]
struct TokenizerJson {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    pre_tokenizer: Option<Json>,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: usize,
    content: String,
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    vocab: HashMap<String, usize>,
    #[serde(default)]
    merges: Vec<Merge>,
}

/// Since tokens may have spaces, merges are pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Spaced(String),
}

/// The vocabulary as GGUF has it.
pub(super) fn metadata(path: &Path, n_vocab: usize, pre: Option<&str>) -> Result<Entries, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let json: TokenizerJson =
        serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let refuse = |reason: &str| Error::Tokenizer { path: path.to_owned(), reason: reason.to_owned() };
    if json.model.kind.as_deref() != Some("BPE") {
        return Err(refuse("its model is not BPE, and no other can be converted without a tokenizer.model"));
    }
    if json.model.byte_fallback {
        return Err(refuse("it was made from SentencePiece, and the tokenizer.model that has the scores is not there"));
    }
    let pre = match pre {
        Some(pre) => pre.to_owned(),
        None => pre::name(json.pre_tokenizer.as_ref())?.to_owned(),
    };
    let mut tokens = Tokens::default();
    for (text, id) in json.model.vocab {
        tokens.add(id, text, Kind::Normal as i32);
    }
    for AddedToken { id, content, special } in json.added_tokens {
        let kind = if special || looks_special(&content) { Kind::Control } else { Kind::UserDefined };
        tokens.add(id, content, kind as i32);
    }
    let (texts, kinds) = tokens.into_lists(n_vocab, path)?;
    let merges = json.model.merges.into_iter().map(|merge| match merge {
        Merge::Pair([left, right]) => format!("{left} {right}"),
        Merge::Spaced(merge) => merge,
    });
    Ok(vec![
        ("ggml.model".into(), "gpt2".into()),
        ("ggml.pre".into(), pre.as_str().into()),
        ("ggml.tokens".into(), strings(texts)?),
        ("ggml.token_type".into(), integers(kinds)),
        ("ggml.merges".into(), strings(merges)?),
    ])
}

/// Makers do not always mark what shapes a conversation; such a token is none that a user may write.
fn looks_special(text: &str) -> bool {
    (text.starts_with("<|") && text.ends_with("|>")) || (text.starts_with("[|") && text.ends_with("|]"))
}

/// Whether a special token comes before a single text.
pub(super) fn puts_token_before(processor: &Json) -> bool {
    match processor.get("type").and_then(Json::as_str) {
        Some("Sequence") => {
            let steps = processor.get("processors").and_then(Json::as_array);
            steps.is_some_and(|steps| steps.iter().any(puts_token_before))
        }
        Some("TemplateProcessing") => {
            processor.pointer("/single/0").is_some_and(|first| first.get("SpecialToken").is_some())
        }
        _ => false,
    }
}

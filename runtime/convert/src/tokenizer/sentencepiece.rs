//! SentencePiece's `tokenizer.model`, a Protocol Buffers message.

use std::path::Path;

use prost::Message;
use silhak_gguf::{Array, Value};

use super::{Entries, Tokens, integers, strings};
use crate::Error;
use crate::config::Config;

/// The part of SentencePiece's `ModelProto` that GGUF has.
#[derive(Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Message)]
struct Piece {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(float, tag = "2")]
    score: f32,
    /// Values 1 to 6 are those of `tokenizer.ggml.token_type`.
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Message)]
struct Trainer {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
}

#[derive(Message)]
struct Normalizer {
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// `Trainer::model_type`.
const BPE: i32 = 2;

/// The vocabulary as GGUF has it.
pub(super) fn metadata(path: &Path, settings: &Config, n_vocab: usize) -> Result<Entries, Error> {
    let refuse = |reason: String| Error::Tokenizer { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let model = ModelProto::decode(&*bytes).map_err(|error| refuse(format!("{error}; download it again")))?;
    if model.trainer.and_then(|trainer| trainer.model_type) != Some(BPE) {
        return Err(refuse("its model is not BPE, and no other can be converted".into()));
    }
    let mut tokens = Tokens::default();
    let mut scores = vec![0.0; n_vocab.max(model.pieces.len())];
    for (id, Piece { text, score, kind }) in model.pieces.into_iter().enumerate() {
        tokens.add(id, text, kind.unwrap_or(NORMAL));
        scores[id] = score;
    }
    for (id, text, special) in added_tokens(settings)? {
        tokens.add(id, text, if special { CONTROL } else { USER_DEFINED });
    }
    scores.truncate(n_vocab);
    let (texts, kinds) = tokens.into_lists(n_vocab, path)?;
    let normalizer = model.normalizer.unwrap_or_default();
    Ok(vec![
        ("ggml.model".into(), "llama".into()),
        ("ggml.pre".into(), "default".into()),
        ("ggml.tokens".into(), strings(texts)?),
        ("ggml.scores".into(), Value::Array(Array::F32(scores))),
        ("ggml.token_type".into(), integers(kinds)),
        // SentencePiece's own defaults.
        ("ggml.add_space_prefix".into(), Value::Bool(normalizer.add_dummy_prefix.unwrap_or(true))),
        ("ggml.remove_extra_whitespaces".into(), Value::Bool(normalizer.remove_extra_whitespaces.unwrap_or(true))),
    ])
}

/// What the maker added behind SentencePiece's own tokens: id, text, and whether it shapes a conversation.
fn added_tokens(settings: &Config) -> Result<Vec<(usize, String, bool)>, Error> {
    const KEY: &str = "added_tokens_decoder";
    let Some(added) = settings.get(KEY) else { return Ok(Vec::new()) };
    let wrong = || settings.wrong(KEY, "tokens by their ids");
    let token = |(id, token): (&String, &serde_json::Value)| {
        let text = token.get("content")?.as_str()?.to_owned();
        Some((id.parse().ok()?, text, token.get("special")?.as_bool()?))
    };
    added.as_object().ok_or_else(wrong)?.iter().map(|entry| token(entry).ok_or_else(wrong)).collect()
}

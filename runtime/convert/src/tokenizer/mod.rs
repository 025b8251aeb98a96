//! The vocabulary: `tokenizer.json` or SentencePiece's `tokenizer.model`, and what says which token ends a text.

mod bpe;
mod pre;
mod sentencepiece;

use std::collections::BTreeMap;
use std::path::Path;

use silhak_gguf::{Array, StringArray, Value};

use crate::Error;
use crate::config::Config;

/// Values of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
}

/// The tokens, each at its id, in whatever order they were found.
#[derive(Debug, Default)]
struct Tokens {
    by_id: BTreeMap<usize, (String, i32)>,
}

impl Tokens {
    fn add(&mut self, id: usize, text: String, kind: i32) {
        self.by_id.insert(id, (text, kind));
    }

    /// Texts and kinds of `n_vocab` tokens. Where the vocabulary has a hole, there is a token that means nothing: makers
    /// give embeddings more rows than they have tokens.
    fn into_lists(mut self, n_vocab: usize, path: &Path) -> Result<(Vec<String>, Vec<i32>), Error> {
        if let Some((&last, _)) = self.by_id.last_key_value().filter(|(last, _)| **last >= n_vocab) {
            let reason = format!("it has a token {last}, and the model an embedding for {n_vocab}");
            return Err(Error::Tokenizer { path: path.to_owned(), reason });
        }
        let hole = |id| (format!("[PAD{id}]"), Kind::Unused as i32);
        Ok((0..n_vocab).map(|id| self.by_id.remove(&id).unwrap_or_else(|| hole(id))).unzip())
    }
}

/// `tokenizer.*` and the sampling that the maker recommends, as GGUF names them. `pre` overrides the name of the rules that
/// cut text into words.
pub(crate) fn metadata(
    folder: &Path,
    config: &Config,
    n_vocab: usize,
    pre: Option<&str>,
) -> Result<Vec<(String, Value)>, Error> {
    let settings = Config::read_optional(&folder.join("tokenizer_config.json"))?;
    let generation = Config::read_optional(&folder.join("generation_config.json"))?;
    let json = folder.join("tokenizer.json");
    let sentencepiece = folder.join("tokenizer.model");
    let mut entries = if sentencepiece.exists() {
        sentencepiece::metadata(&sentencepiece, &settings, n_vocab)?
    } else {
        bpe::metadata(&json, n_vocab, pre)?
    };
    entries.extend(special_tokens(config, &generation)?);
    entries.extend(add_bos(&json, &settings)?);
    entries.extend(chat_templates(folder, &settings)?);
    let named = entries.into_iter().map(|(key, value)| (format!("tokenizer.{key}"), value));
    Ok(named.chain(sampling(&generation)?).collect())
}

type Entries = Vec<(String, Value)>;

fn strings(strings: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Value, Error> {
    Ok(Value::from(StringArray::new(strings)?))
}

fn integers(values: Vec<i32>) -> Value {
    Value::Array(Array::I32(values))
}

/// Several tokens may end a text; GGUF has names for three, and readers know others by their spelling.
fn special_tokens(config: &Config, generation: &Config) -> Result<Entries, Error> {
    let ids = |name: &str| {
        let of = |config: &Config| match config.get(name) {
            Some(serde_json::Value::Array(_)) => config.sizes(name),
            _ => Ok(config.opt_size(name)?.into_iter().collect()),
        };
        let found = of(generation)?;
        if found.is_empty() { of(config) } else { Ok(found) }
    };
    let mut entries = Vec::new();
    let mut add = |key: &str, id: usize| entries.push((format!("ggml.{key}_token_id"), Value::U32(id as u32)));
    for (key, name) in [("bos", "bos_token_id"), ("padding", "pad_token_id"), ("unknown", "unk_token_id")] {
        ids(name)?.first().into_iter().for_each(|&id| add(key, id));
    }
    ["eos", "eot", "eom"].into_iter().zip(ids("eos_token_id")?).for_each(|(key, id)| add(key, id));
    Ok(entries)
}

/// Whether a prompt begins with the token for beginnings: what `tokenizer.json` puts before a text decides, else the
/// settings.
fn add_bos(json: &Path, settings: &Config) -> Result<Entries, Error> {
    let entry = |add: bool| vec![("ggml.add_bos_token".to_owned(), Value::Bool(add))];
    if json.exists()
        && let Some(processor) = Config::read(json)?.get("post_processor")
    {
        return Ok(entry(bpe::puts_token_before(processor)));
    }
    Ok(settings.opt_bool("add_bos_token")?.map(entry).unwrap_or_default())
}

/// The template in its own file, or the one or several among the settings.
fn chat_templates(folder: &Path, settings: &Config) -> Result<Entries, Error> {
    const KEY: &str = "chat_template";
    let own = folder.join("chat_template.jinja");
    if own.exists() {
        let template = std::fs::read_to_string(&own).map_err(Error::io("read", &own))?;
        return Ok(vec![(KEY.into(), template.as_str().into())]);
    }
    let wrong = || settings.wrong(KEY, "a template, or a list of templates with names");
    match settings.get(KEY) {
        None => Ok(Vec::new()),
        Some(serde_json::Value::String(template)) => Ok(vec![(KEY.into(), template.as_str().into())]),
        Some(several) => {
            let several = several.as_array().ok_or_else(wrong)?;
            let entry = |named: &serde_json::Value| {
                let (name, template) = (named.get("name")?.as_str()?, named.get("template")?.as_str()?);
                let key = if name == "default" { KEY.into() } else { format!("{KEY}.{name}") };
                Some((key, Value::from(template)))
            };
            several.iter().map(|named| entry(named).ok_or_else(wrong)).collect()
        }
    }
}

fn sampling(generation: &Config) -> Result<Entries, Error> {
    let mut entries = Vec::new();
    for (gguf, maker) in [("temp", "temperature"), ("top_p", "top_p"), ("penalty_repeat", "repetition_penalty")] {
        let number = generation.opt_f32(maker)?;
        entries.extend(number.map(|number| (format!("general.sampling.{gguf}"), Value::F32(number))));
    }
    let top_k = generation.opt_size("top_k")?;
    entries.extend(top_k.map(|k| ("general.sampling.top_k".to_owned(), Value::I32(k as i32))));
    Ok(entries)
}

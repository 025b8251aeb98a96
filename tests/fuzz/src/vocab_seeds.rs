//! Handcrafted vocabularies: one for each rule that can be broken, and some that break none.

use silhak_gguf::{StringArray, TensorWriter, Value, Writer};

/// The name of a seed (`EXPECTED--NAME`, where `EXPECTED` is the variant of `TokenizerError` or `Ok`) and its bytes.
pub type Seed = (&'static str, Vec<u8>);

/// All seeds.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, pre) in [
        ("Ok--gpt2-qwen2", "qwen2"),
        ("Ok--gpt2-llama-bpe", "llama-bpe"),
        ("Ok--gpt2-exaone4", "exaone4"),
        ("Ok--gpt2-default", "default"),
        ("UnknownPre--nobody-has-this", "nobody-has-this"),
    ] {
        seeds.push((name, gpt2().with("pre", pre.into()).write()));
    }
    let ids = |bad: u32| gpt2().with("bos_token_id", bad.into());
    let text = |list: &[&str]| strings(list.iter().map(|&text| text.to_owned()));
    seeds.extend([
        ("UnknownModel--t5", gpt2().with("model", "t5".into()).write()),
        ("MissingList--no-merges", gpt2().without("merges").write()),
        ("MissingList--no-scores", spm().without("scores").write()),
        ("Length--one-type", gpt2().with("token_type", vec![1i32].into()).write()),
        ("Length--one-score", spm().with("scores", vec![0.5f32].into()).write()),
        ("VocabularySize--no-tokens", gpt2().with("tokens", text(&[])).without("token_type").write()),
        ("IdOutOfRange--bos-is-n-vocab", ids(gpt2().n_tokens() as u32).write()),
        ("IdOutOfRange--bos-is-minus-one", ids(u32::MAX).write()),
        ("MissingId--add-bos-without-bos", gpt2().with("add_bos_token", true.into()).write()),
        ("Duplicate--twice-a-token", gpt2().token("ab", 1).token("ab", 1).write()),
        ("UnknownTokenType--seven", gpt2().token("ab", 7).write()),
        ("ByteToken--negative", spm().token("<0x-1>", 6).write()),
        ("ByteToken--three-digits", spm().token("<0x100>", 6).write()),
        ("Score--not-a-number", spm().with("scores", vec![f32::NAN; spm().n_tokens()].into()).write()),
        ("Merge--one-word", gpt2().with("merges", text(&["ab"])).write()),
        ("Merge--no-such-token", gpt2().with("merges", text(&["a Z-Z"])).write()),
        ("Merge--result-is-no-token", gpt2().with("merges", text(&["x y"])).write()),
        ("NoByte--without-exclamation-mark", {
            let mut vocab = gpt2();
            vocab.tokens.retain(|(text, _)| text != "!");
            vocab.write()
        }),
        ("Ok--gpt2-special-in-text", gpt2().token("<|im_end|>", 3).token("<think>", 4).write()),
        ("Ok--spm", spm().write()),
        ("Ok--spm-no-prefix", spm().with("add_space_prefix", false.into()).write()),
        ("Ok--spm-squeezed", spm().with("remove_extra_whitespaces", true.into()).write()),
        ("Ok--spm-bos", spm().with("bos_token_id", 1u32.into()).with("add_bos_token", true.into()).write()),
        ("Ok--gemma4", chars().write()),
        ("Gguf--tokens-are-numbers", gpt2().with("tokens", vec![1u32].into()).write()),
    ]);
    seeds
}

/// The `tokenizer.ggml.*` keys of a vocabulary.
struct Vocab {
    tokens: Vec<(String, i32)>,
    keys: Vec<(&'static str, Value)>,
    removed: Option<&'static str>,
    /// Whether there are scores; they fall from token to token.
    scored: bool,
}

/// Byte-level BPE with all bytes, and merges towards one Hangul syllable and one word.
fn gpt2() -> Vocab {
    let bytes = (0..=255u8).map(|byte| byte_char(byte).to_string());
    let syllable: String = "한".bytes().map(byte_char).collect();
    let (first, last) = syllable.split_at(syllable.char_indices().nth(2).map_or(0, |(at, _)| at));
    let (a, b) = first.split_at(first.char_indices().nth(1).map_or(0, |(at, _)| at));
    let merged = [first.to_owned(), syllable.clone(), "Ġt".to_owned(), "he".to_owned(), "Ġthe".to_owned()];
    let merges = [format!("{a} {b}"), format!("{first} {last}"), "Ġ t".into(), "h e".into(), "Ġt he".into()];
    Vocab::new("gpt2", bytes.chain(merged).map(|token| (token, 1)).collect())
        .with("pre", "qwen2".into())
        .with("merges", strings(merges))
}

/// SentencePiece with all bytes and a few pieces.
fn spm() -> Vocab {
    let special = [("<unk>".to_owned(), 2), ("<s>".to_owned(), 3), ("</s>".to_owned(), 3)];
    let bytes = (0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), 6));
    let pieces = ["▁", "▁대", "대한", "민국", "한", "e", "t", "th", "the", "▁the", "가"];
    let tokens: Vec<_> = special.into_iter().chain(bytes).chain(pieces.map(|piece| (piece.to_owned(), 1))).collect();
    Vocab { scored: true, ..Vocab::new("llama", tokens) }
}

/// BPE over characters with byte fallback.
fn chars() -> Vocab {
    let vocab = spm();
    let merges = ["t h", "th e", "▁ the", "대 한"];
    let tokens = vocab.tokens.into_iter().chain([("h".to_owned(), 1), ("대".to_owned(), 1)]).collect();
    Vocab::new("gemma4", tokens).with("merges", strings(merges.map(str::to_owned)))
}

impl Vocab {
    fn new(model: &str, tokens: Vec<(String, i32)>) -> Vocab {
        Vocab { tokens, keys: Vec::new(), removed: None, scored: false }.with("model", model.into())
    }

    fn n_tokens(&self) -> usize {
        self.tokens.len()
    }

    fn with(mut self, key: &'static str, value: Value) -> Vocab {
        self.keys.retain(|(old, _)| *old != key);
        self.keys.push((key, value));
        self
    }

    fn without(mut self, key: &'static str) -> Vocab {
        self.keys.retain(|(old, _)| *old != key);
        self.removed = Some(key);
        self
    }

    fn token(mut self, text: &str, ty: i32) -> Vocab {
        self.tokens.push((text.to_owned(), ty));
        self
    }

    fn write(mut self) -> Vec<u8> {
        let types: Vec<i32> = self.tokens.iter().map(|(_, ty)| *ty).collect();
        let tokens = strings(self.tokens.iter().map(|(text, _)| text.clone()));
        let scores: Vec<f32> = (0..self.tokens.len()).map(|id| -(id as f32)).collect();
        for (key, value) in [("tokens", tokens), ("token_type", types.into()), ("scores", scores.into())] {
            let wanted = key != "scores" || self.scored;
            if wanted && self.removed != Some(key) && !self.keys.iter().any(|(set, _)| *set == key) {
                self.keys.push((key, value));
            }
        }
        let mut writer = Writer::new();
        for (key, value) in self.keys {
            writer.add(&format!("tokenizer.ggml.{key}"), value).expect("a seed is small");
        }
        writer.begin(Vec::new()).and_then(TensorWriter::finish).expect("memory takes it")
    }
}

fn strings(list: impl IntoIterator<Item = String>) -> Value {
    StringArray::new(list).expect("a seed is small").into()
}

/// The character that stands for a byte in byte-level BPE (GPT-2's `bytes_to_unicode`).
fn byte_char(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match printable(byte) {
        true => char::from(byte),
        false => {
            let before = (0..byte).filter(|&other| !printable(other)).count();
            char::from_u32(256 + before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    }
}

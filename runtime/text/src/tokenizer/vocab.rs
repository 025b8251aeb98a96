//! The vocabulary as a file states it, and the same once checked.

use rustc_hash::FxHashMap;

use super::error::TokenizerError;

/// A vocabulary as plain data, field by field what `tokenizer.ggml.*` holds in a GGUF file.
///
/// Every `Option` is `None` where the file has no such key. Build one with `..VocabSource::default()` and hand it to
/// [`Tokenizer::new`](super::Tokenizer::new), which checks it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VocabSource {
    /// `model`: the kind of tokenizer: `gpt2` (byte-level BPE), `llama` (SentencePiece) or `gemma4` (BPE over characters).
    pub model: String,
    /// `pre`: the name of the pre-tokenizer; only BPE has one.
    pub pre: Option<String>,
    /// `tokens`: the text of each token, in the tokenizer's own spelling.
    pub tokens: Vec<String>,
    /// `scores`: one per token, or empty. SentencePiece merges the pair with the highest score first.
    pub scores: Vec<f32>,
    /// `token_type`: one per token, or empty when all are normal.
    pub types: Vec<TokenType>,
    /// `merges`: pairs of tokens separated by a space, most urgent first. BPE alone has them.
    pub merges: Vec<String>,
    /// `bos_token_id`: beginning of sequence.
    pub bos: Option<u32>,
    /// `eos_token_id`: end of sequence.
    pub eos: Option<u32>,
    /// `eot_token_id`: end of turn.
    pub eot: Option<u32>,
    /// `eom_token_id`: end of message, when more messages of the same turn follow.
    pub eom: Option<u32>,
    /// `unknown_token_id`: stands for what no token can express.
    pub unk: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `seperator_token_id` (the key is spelled so).
    pub sep: Option<u32>,
    /// `mask_token_id`.
    pub mask: Option<u32>,
    /// `add_bos_token`: whether a prompt starts with [`bos`](Self::bos).
    pub add_bos: Option<bool>,
    /// `add_eos_token`: whether a text ends with [`eos`](Self::eos).
    pub add_eos: Option<bool>,
    /// `add_space_prefix`: whether SentencePiece puts a space before the text.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`: whether SentencePiece trims the text and squeezes runs of spaces to one.
    pub remove_extra_whitespaces: Option<bool>,
}

/// What a token is for: the values of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TokenType {
    /// 0: the file does not say.
    Undefined,
    /// 1: a piece of text.
    #[default]
    Normal,
    /// 2: stands for what no token can express.
    Unknown,
    /// 3: structure, such as the end of a turn; never a piece of text.
    Control,
    /// 4: a piece of text that is always kept whole.
    UserDefined,
    /// 5: a place in the vocabulary that means nothing.
    Unused,
    /// 6: one byte, spelled `<0xHH>`.
    Byte,
}

impl TryFrom<i32> for TokenType {
    type Error = TokenizerError;

    fn try_from(value: i32) -> Result<Self, Self::Error> {
        Ok(match value {
            0 => Self::Undefined,
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            other => return Err(TokenizerError::UnknownTokenType(other)),
        })
    }
}

/// The tokens of a checked [`VocabSource`]: every id is in range, every text is there once, every score is a number.
#[derive(Debug)]
pub(crate) struct Vocab {
    texts: Vec<String>,
    types: Vec<TokenType>,
    scores: Vec<f32>,
    ids: FxHashMap<String, u32>,
}

impl Vocab {
    /// Checks `source`; takes its lists and leaves the rest in place.
    pub(crate) fn take(source: &mut VocabSource) -> Result<Self, TokenizerError> {
        let texts = std::mem::take(&mut source.tokens);
        let n = texts.len();
        if n == 0 || u32::try_from(n).is_err() {
            return Err(TokenizerError::VocabularySize(n));
        }
        let mut types = std::mem::take(&mut source.types);
        if types.is_empty() {
            types = vec![TokenType::Normal; n];
        }
        let mut scores = std::mem::take(&mut source.scores);
        if scores.is_empty() {
            scores = vec![0.0; n];
        }
        for (list, found) in [("tokenizer.ggml.token_type", types.len()), ("tokenizer.ggml.scores", scores.len())] {
            if found != n {
                return Err(TokenizerError::Length { list, expected: n, found });
            }
        }
        check_ids(source, n)?;
        if let Some(id) = scores.iter().position(|score| !score.is_finite()) {
            return Err(TokenizerError::Score { id: id as u32 });
        }
        let mut ids = FxHashMap::with_capacity_and_hasher(n, Default::default());
        for (id, text) in (0u32..).zip(&texts) {
            // Converters leave several holes of a vocabulary empty; no text can match them.
            if text.is_empty() {
                continue;
            }
            if let Some(first) = ids.insert(text.clone(), id) {
                return Err(TokenizerError::Duplicate { text: text.clone(), first, second: id });
            }
        }
        let vocab = Self { texts, types, scores, ids };
        for id in vocab.ids_of_type(TokenType::Byte) {
            if vocab.byte_value(id).is_none() {
                return Err(TokenizerError::ByteToken { id, text: vocab.text(id).to_owned() });
            }
        }
        Ok(vocab)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The token's text, `""` when there is no such id.
    pub(crate) fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("", String::as_str)
    }

    /// The token's type, [`TokenType::Undefined`] when there is no such id.
    pub(crate) fn token_type(&self, id: u32) -> TokenType {
        self.types.get(id as usize).copied().unwrap_or(TokenType::Undefined)
    }

    pub(crate) fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.texts.len() as u32
    }

    fn ids_of_type(&self, wanted: TokenType) -> impl Iterator<Item = u32> + '_ {
        self.ids().filter(move |&id| self.token_type(id) == wanted)
    }

    /// Whether the token may stand for a piece of ordinary text: structure never does.
    pub(crate) fn is_text(&self, id: u32) -> bool {
        matches!(self.token_type(id), TokenType::Undefined | TokenType::Normal | TokenType::UserDefined)
    }

    /// The byte that a token of type [`TokenType::Byte`] stands for.
    pub(crate) fn byte_value(&self, id: u32) -> Option<u8> {
        let digits = self.text(id).strip_prefix("<0x")?.strip_suffix('>')?.as_bytes();
        let hex = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        };
        match *digits {
            [high, low] => Some(hex(high)? << 4 | hex(low)?),
            _ => None,
        }
    }

    /// What stands for characters that have no token of their own: the byte tokens, else the unknown token.
    pub(crate) fn fallback(&self, unk: Option<u32>) -> Result<Fallback, TokenizerError> {
        let mut table = [None; 256];
        for id in self.ids_of_type(TokenType::Byte) {
            if let Some(byte) = self.byte_value(id) {
                table[byte as usize] = Some(id);
            }
        }
        if let (Some(unk), true) = (unk, table == [None; 256]) {
            return Ok(Fallback::Unknown(unk));
        }
        let mut complete = Box::new([0; 256]);
        for ((byte, found), slot) in (0u8..=255).zip(table).zip(complete.iter_mut()) {
            let never_in_utf8 = matches!(byte, 0xC0 | 0xC1 | 0xF5..=0xFF);
            *slot = match found {
                Some(id) => id,
                None if never_in_utf8 => 0,
                None => return Err(TokenizerError::NoByte { byte }),
            };
        }
        Ok(Fallback::Bytes(complete))
    }
}

/// How a character without a token is written.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// As one token for each of its bytes.
    Bytes(Box<[u32; 256]>),
    /// As the unknown token.
    Unknown(u32),
}

impl Fallback {
    /// The tokens for the character whose UTF-8 form is `utf8`.
    pub(crate) fn tokens(&self, utf8: &[u8]) -> impl Iterator<Item = u32> + use<> {
        let mut found = [0; 4];
        let n = match self {
            Self::Bytes(table) => {
                for (slot, &byte) in found.iter_mut().zip(utf8) {
                    *slot = table[byte as usize];
                }
                utf8.len()
            }
            Self::Unknown(id) => {
                found[0] = *id;
                1
            }
        };
        found.into_iter().take(n)
    }
}

fn check_ids(source: &VocabSource, n_vocab: usize) -> Result<(), TokenizerError> {
    let ids = [
        ("tokenizer.ggml.bos_token_id", source.bos),
        ("tokenizer.ggml.eos_token_id", source.eos),
        ("tokenizer.ggml.eot_token_id", source.eot),
        ("tokenizer.ggml.eom_token_id", source.eom),
        ("tokenizer.ggml.unknown_token_id", source.unk),
        ("tokenizer.ggml.padding_token_id", source.pad),
        ("tokenizer.ggml.seperator_token_id", source.sep),
        ("tokenizer.ggml.mask_token_id", source.mask),
    ];
    for (key, id) in ids {
        if let Some(id) = id.filter(|&id| id as usize >= n_vocab) {
            return Err(TokenizerError::IdOutOfRange { key, id, n_vocab });
        }
    }
    Ok(())
}

//! Tokenizers: text to token ids and back.
//!
//! [`Tokenizer::new`] takes a vocabulary as plain data, [`VocabSource`], and gives ids equal to those of the tokenizer
//! the vocabulary was made from. There are three kinds, told apart by `tokenizer.ggml.model`:
//!
//! - `gpt2`: byte-level BPE. Text is cut into words by the pre-tokenizer that `tokenizer.ggml.pre` names.
//! - `llama`: SentencePiece with scores, byte fallback and `▁` for spaces.
//! - `gemma4`: BPE over characters, with byte fallback and `▁` for spaces.
//!
//! Merging is our own, and shared by the three, because the `tokenizers` crate knows no scores, compiles an expression
//! engine in C, and spends most of its time on offsets that nobody here asks for.
//!
//! Qwen's tokenizers bring text to Unicode Normalization Form C first. No GGUF key says so; it goes by the name of the
//! pre-tokenizer. The form is that of Unicode 9, as the originals have it: `unicode-normalization-alignments` is the
//! crate that they use.

mod added;
mod bpe;
mod byte_level;
mod end;
mod error;
mod merge;
mod pre;
mod spm;
mod vocab;

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use error::TokenizerError;
pub use vocab::{TokenType, VocabSource};

use added::{AddedTokens, is_structure};
use bpe::Bpe;
use pre::PreTokenizer;
use spm::Spm;
use vocab::Vocab;

/// Whether text may contain control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Control tokens are spelled out as the text they look like. For everything that a user or a document supplies.
    Ignore,
    /// Control tokens stand for themselves. For text that a chat template produced.
    Parse,
}

/// A tokenizer, immutable and shareable between threads.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    model: Model,
    pre: Option<String>,
    nfc: bool,
    spaces: Spaces,
    in_text: AddedTokens,
    all: AddedTokens,
    pieces: Pieces,
    bos: Option<u32>,
    eos: Option<u32>,
    unk: Option<u32>,
    pad: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    end: Vec<u32>,
}

#[derive(Debug)]
enum Model {
    Bpe(Bpe),
    Spm(Spm),
}

/// What happens to spaces before the model sees the text.
#[derive(Debug, Clone, Copy, Default)]
struct Spaces {
    /// They are written as `▁`.
    escaped: bool,
    /// One is put before the text, and before text that follows an added token.
    prefixed: bool,
    /// Those at the ends go, and runs become one.
    squeezed: bool,
}

impl Tokenizer {
    /// Checks a vocabulary and prepares it for use.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] says what is wrong and where: lists of unequal length, ids outside the vocabulary, repeated
    /// tokens, malformed merges or byte tokens, an unknown tokenizer model or pre-tokenizer.
    pub fn new(mut source: VocabSource) -> Result<Self, TokenizerError> {
        let kind = Kind::find(&source.model)?;
        let missing = |list| TokenizerError::MissingList { model: source.model.clone(), list };
        match kind {
            Kind::ByteLevel | Kind::CharLevel if source.merges.is_empty() => {
                return Err(missing("tokenizer.ggml.merges"));
            }
            Kind::SentencePiece if source.scores.is_empty() => return Err(missing("tokenizer.ggml.scores")),
            _ => {}
        }
        let pre = match kind {
            Kind::ByteLevel => {
                Some(PreTokenizer::find(source.pre.as_deref().ok_or_else(|| missing("tokenizer.ggml.pre"))?)?)
            }
            Kind::CharLevel => Some(PreTokenizer::lines()),
            Kind::SentencePiece => None,
        };
        let vocab = Vocab::take(&mut source)?;
        if matches!(kind, Kind::SentencePiece) {
            assume_sentence_piece_ids(&mut source, &vocab);
        }
        let model = match (kind, pre) {
            (Kind::ByteLevel, Some(pre)) => Model::Bpe(Bpe::byte_level(&vocab, &source.merges, pre)?),
            (Kind::CharLevel, _) => Model::Bpe(Bpe::char_level(&vocab, &source.merges, source.unk)?),
            (_, _) => Model::Spm(Spm::new(&vocab, source.unk)?),
        };
        let spaces = match kind {
            Kind::ByteLevel => Spaces::default(),
            Kind::CharLevel => Spaces { escaped: true, ..Spaces::default() },
            Kind::SentencePiece => Spaces {
                escaped: true,
                prefixed: source.add_space_prefix.unwrap_or(true),
                squeezed: source.remove_extra_whitespaces.unwrap_or(false),
            },
        };
        let bos_by_default = source.bos.is_some() && pre.is_none_or(|pre| pre.add_bos);
        let add_bos = source.add_bos.unwrap_or(bos_by_default);
        let add_eos = source.add_eos.unwrap_or(false);
        for (flag, set, id_key, id) in [
            ("tokenizer.ggml.add_bos_token", add_bos, "tokenizer.ggml.bos_token_id", source.bos),
            ("tokenizer.ggml.add_eos_token", add_eos, "tokenizer.ggml.eos_token_id", source.eos),
        ] {
            if set && id.is_none() {
                return Err(TokenizerError::MissingId { flag, id_key });
            }
        }
        Ok(Self {
            in_text: AddedTokens::in_text(&vocab)?,
            all: AddedTokens::all(&vocab)?,
            pieces: Pieces::new(&vocab, kind),
            end: end::end_tokens(&source, &vocab),
            vocab,
            model,
            nfc: pre.is_some_and(|pre| pre.nfc),
            spaces,
            bos: source.bos,
            eos: source.eos,
            unk: source.unk,
            pad: source.pad,
            add_bos,
            add_eos,
            pre: source.pre,
        })
    }

    /// The names of pre-tokenizers that [`VocabSource::pre`] may have, in no particular order.
    pub fn pre_names() -> impl Iterator<Item = &'static str> {
        PreTokenizer::names()
    }

    /// The ids of `text`, without BOS or EOS.
    ///
    /// [`decode`](Self::decode) gives the text back, in the tokenizer's normal form if it has one. A few byte-level
    /// vocabularies lack tokens for control characters or for bytes of unassigned planes: as with their originals, those
    /// bytes are lost.
    ///
    /// The time is proportional to the length of the text, but for a logarithmic factor in the length of its words.
    pub fn encode(&self, text: &str, special: Special) -> Vec<u32> {
        let added = match special {
            Special::Ignore => &self.in_text,
            Special::Parse => &self.all,
        };
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut done = 0;
        for (range, id) in added.find(text) {
            self.encode_plain(&text[done..range.start], &mut ids);
            ids.push(id);
            done = range.end;
        }
        self.encode_plain(&text[done..], &mut ids);
        ids
    }

    /// The ids of a text as the model wants its beginning: with BOS before them if it uses one.
    ///
    /// A BOS that they begin with (some chat templates write it) is not repeated.
    pub fn with_bos(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.bos.filter(|bos| self.add_bos && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        ids
    }

    /// Where `text` spells tokens that only [`Special::Parse`] recognises, in order and without overlap.
    pub fn special_tokens_in(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        self.all.find(text).filter(|&(_, id)| is_structure(&self.vocab, id)).map(|(range, _)| range)
    }

    /// Appends the ids of a stretch of text between added tokens.
    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        for stretch in stretches(text, MAX_STRETCH) {
            self.encode_stretch(stretch, ids);
        }
    }

    fn encode_stretch(&self, text: &str, ids: &mut Vec<u32>) {
        let mut text = Cow::Borrowed(text);
        if self.nfc && is_nfc_quick(text.chars()) != IsNormalized::Yes {
            text = text.nfc().map(|(c, _)| c).collect::<String>().into();
        }
        if self.spaces.squeezed {
            text = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").into();
        }
        if self.spaces.prefixed {
            text = format!(" {text}").into();
        }
        if self.spaces.escaped {
            text = text.replace(' ', spm::SPACE.encode_utf8(&mut [0; 4])).into();
        }
        match &self.model {
            Model::Bpe(bpe) => bpe.encode(&text, ids),
            Model::Spm(spm) => spm.encode(&text, ids),
        }
    }

    /// The bytes that the token adds to a text: none for control, unknown and unused tokens, and for ids outside the
    /// vocabulary. They need not be whole characters.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        match self.vocab.token_type(id) {
            TokenType::Control | TokenType::Unknown | TokenType::Unused => &[],
            _ => self.pieces.get(id),
        }
    }

    /// As [`token_bytes`](Self::token_bytes), but control, unknown and unused tokens are spelled out.
    pub fn token_bytes_with_special(&self, id: u32) -> &[u8] {
        self.pieces.get(id)
    }

    /// The text of `ids`, without control tokens.
    ///
    /// Of the space that SentencePiece puts before a text nothing remains. Bytes that are not UTF-8, as at the end of a
    /// list that stops inside a character, become U+FFFD; everything else is exact.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).copied().collect();
        let start = usize::from(self.spaces.prefixed && bytes.first() == Some(&b' '));
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }

    /// The token's text in the tokenizer's own spelling; `""` for an id outside the vocabulary.
    pub fn token_text(&self, id: u32) -> &str {
        self.vocab.text(id)
    }

    /// The token whose text, in the tokenizer's own spelling, is `text`.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.vocab.id(text)
    }

    /// The token's type; [`TokenType::Undefined`] for an id outside the vocabulary.
    pub fn token_type(&self, id: u32) -> TokenType {
        self.vocab.token_type(id)
    }

    /// The number of tokens; ids are smaller than that.
    pub fn n_vocab(&self) -> usize {
        self.vocab.len()
    }

    /// Whether generation is over when the model has produced this token.
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.end.binary_search(&id).is_ok()
    }

    /// All tokens that end a generation, in rising order.
    pub fn end_of_generation(&self) -> &[u32] {
        &self.end
    }

    /// The name of the pre-tokenizer, as the file or `--pre` gave it.
    pub fn pre(&self) -> Option<&str> {
        self.pre.as_deref()
    }

    /// Beginning of sequence.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// End of sequence.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The token for what no token can express.
    pub fn unk(&self) -> Option<u32> {
        self.unk
    }

    /// Padding.
    pub fn pad(&self) -> Option<u32> {
        self.pad
    }

    /// Whether a text starts with [`bos`](Self::bos).
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether a text ends with [`eos`](Self::eos).
    pub fn add_eos(&self) -> bool {
        self.add_eos
    }

    /// Whether [`encode`](Self::encode) puts a space before the text, which [`decode`](Self::decode) takes away.
    pub fn adds_space_prefix(&self) -> bool {
        self.spaces.prefixed
    }
}

/// Positions inside a stretch are kept in 32 bits, and normalization can triple its length.
const MAX_STRETCH: usize = 1 << 30;

/// Cuts `text` into parts of at most `max` bytes (at least 4), in most cases one.
fn stretches(mut text: &str, max: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (stretch, rest) = text.split_at(text.floor_char_boundary(max));
        text = rest;
        (!stretch.is_empty()).then_some(stretch)
    })
}

/// The kinds of tokenizers, by `tokenizer.ggml.model`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    ByteLevel,
    SentencePiece,
    CharLevel,
}

impl Kind {
    const NAMES: &[(&str, Self)] =
        &[("gpt2", Self::ByteLevel), ("llama", Self::SentencePiece), ("gemma4", Self::CharLevel)];

    fn find(name: &str) -> Result<Self, TokenizerError> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, kind)| kind).ok_or_else(|| {
            TokenizerError::UnknownModel {
                found: name.to_owned(),
                known: Self::NAMES.iter().map(|&(name, _)| name).collect::<Vec<_>>().join(", "),
            }
        })
    }
}

/// Early SentencePiece files name no special tokens: by convention they are `<unk>` 0, `<s>` 1 and `</s>` 2.
fn assume_sentence_piece_ids(source: &mut VocabSource, vocab: &Vocab) {
    for (slot, id, text) in [(&mut source.unk, 0, "<unk>"), (&mut source.bos, 1, "<s>"), (&mut source.eos, 2, "</s>")] {
        if slot.is_none() && vocab.text(id) == text {
            *slot = Some(id);
        }
    }
}

/// What each token looks like in a text, end to end in one buffer.
#[derive(Debug)]
struct Pieces {
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

impl Pieces {
    fn new(vocab: &Vocab, kind: Kind) -> Self {
        let mut pieces = Self { bytes: Vec::new(), ends: Vec::with_capacity(vocab.len()) };
        for id in vocab.ids() {
            let text = vocab.text(id);
            match (vocab.token_type(id), kind) {
                (TokenType::Byte, _) => pieces.bytes.extend(vocab.byte_value(id)),
                (TokenType::Normal | TokenType::Undefined, Kind::ByteLevel) => {
                    pieces.bytes.extend(byte_level::bytes(text));
                }
                (
                    TokenType::Normal | TokenType::Undefined | TokenType::UserDefined,
                    Kind::SentencePiece | Kind::CharLevel,
                ) => {
                    pieces.bytes.extend(text.replace(spm::SPACE, " ").as_bytes());
                }
                _ => pieces.bytes.extend(text.as_bytes()),
            }
            pieces.ends.push(pieces.bytes.len());
        }
        pieces
    }

    fn get(&self, id: u32) -> &[u8] {
        let Some(&end) = self.ends.get(id as usize) else { return &[] };
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_cut_between_characters() {
        assert_eq!(stretches("가나다ab", 7).collect::<Vec<_>>(), ["가나", "다ab"]);
        assert_eq!(stretches("가나다", 4).collect::<Vec<_>>(), ["가", "나", "다"]);
        assert_eq!(stretches("", 4).count(), 0);
    }
}

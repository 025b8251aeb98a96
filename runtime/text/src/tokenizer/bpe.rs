//! Byte pair encoding: by bytes inside words (GPT-2 and all that follow it), or by characters inside lines (Gemma 4).

use rustc_hash::FxHashMap;

use super::byte_level;
use super::error::TokenizerError;
use super::merge::Merger;
use super::pre::PreTokenizer;
use super::vocab::{Fallback, TokenType, Vocab};

/// A byte-level or character-level BPE model.
#[derive(Debug)]
pub(crate) struct Bpe {
    pre: &'static PreTokenizer,
    alphabet: Alphabet,
    merges: Merges,
    /// Tokens by their bytes; empty unless whole words are looked up.
    words: FxHashMap<Box<[u8]>, u32>,
}

/// The rank of each merge and the token it makes, by the pair of tokens.
type Merges = FxHashMap<(u32, u32), (u32, u32)>;

/// What merging starts from.
#[derive(Debug)]
enum Alphabet {
    /// One token per byte. Some vocabularies lack control characters or bytes of rare planes; their originals leave these
    /// bytes of a text out, and so must we to give the same ids.
    Bytes(Box<[Option<u32>; 256]>),
    /// One token per character, with spaces written as `▁`; characters without a token fall back to their bytes.
    Chars { tokens: FxHashMap<char, u32>, fallback: Fallback },
}

impl Bpe {
    /// Byte-level BPE: `tokenizer.ggml.model` is `gpt2`.
    pub(crate) fn byte_level(
        vocab: &Vocab,
        merges: &[String],
        pre: &'static PreTokenizer,
    ) -> Result<Self, TokenizerError> {
        let mut table = Box::new([None; 256]);
        for (byte, slot) in (0u8..=255).zip(table.iter_mut()) {
            *slot = vocab.id(byte_level::spell(byte).encode_utf8(&mut [0; 4])).filter(|&id| vocab.is_text(id));
            if slot.is_none() && matches!(byte, b' '..=b'~') {
                return Err(TokenizerError::NoByte { byte });
            }
        }
        let alphabet = Alphabet::Bytes(table);
        let mut words = FxHashMap::default();
        if pre.ignore_merges {
            // User-defined tokens were found in the text before, and may look like other tokens once spelled in bytes.
            let whole = |&id: &u32| vocab.is_text(id) && vocab.token_type(id) != TokenType::UserDefined;
            words.extend(vocab.ids().filter(whole).map(|id| (byte_level::bytes(vocab.text(id)).into(), id)));
        }
        Ok(Self { pre, alphabet, merges: rank_merges(vocab, merges)?, words })
    }

    /// BPE over characters: `tokenizer.ggml.model` is `gemma4`.
    pub(crate) fn char_level(vocab: &Vocab, merges: &[String], unk: Option<u32>) -> Result<Self, TokenizerError> {
        let mut tokens = FxHashMap::default();
        for id in vocab.ids().filter(|&id| vocab.is_text(id)) {
            let mut chars = vocab.text(id).chars();
            if let (Some(only), None) = (chars.next(), chars.next()) {
                tokens.insert(only, id);
            }
        }
        let alphabet = Alphabet::Chars { tokens, fallback: vocab.fallback(unk)? };
        let merges = rank_merges(vocab, merges)?;
        Ok(Self { pre: PreTokenizer::lines(), alphabet, merges, words: FxHashMap::default() })
    }

    /// Appends the tokens of `text`, which holds no added tokens.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let mut merger = Merger::new();
        let join = |left, right| self.merges.get(&(left, right)).copied();
        self.pre.split(text, &mut |word| {
            if let Some(&id) = self.words.get(word.as_bytes()) {
                ids.push(id);
                return;
            }
            match &self.alphabet {
                Alphabet::Bytes(bytes) => {
                    merger.merge(word.bytes().filter_map(|byte| bytes[byte as usize]), join, |id| ids.push(id));
                }
                Alphabet::Chars { tokens, fallback } => {
                    let symbols = word.chars().flat_map(|c| {
                        let own = tokens.get(&c).copied();
                        let others = fallback.tokens(c.encode_utf8(&mut [0; 4]).as_bytes());
                        own.into_iter().chain(others.filter(move |_| own.is_none()))
                    });
                    merger.merge(symbols, join, |id| ids.push(id));
                }
            }
        });
    }
}

fn rank_merges(vocab: &Vocab, merges: &[String]) -> Result<Merges, TokenizerError> {
    let mut ranks = Merges::with_capacity_and_hasher(merges.len(), Default::default());
    let mut joined = String::new();
    for (rank, (index, text)) in (0u32..).zip(merges.iter().enumerate()) {
        let wrong = |problem| TokenizerError::Merge { index, text: text.clone(), problem };
        // The first token may itself start with a space.
        let space = text.char_indices().skip(1).find(|&(_, c)| c == ' ');
        let (left, right) = space
            .map(|(at, _)| (&text[..at], &text[at + 1..]))
            .filter(|(_, right)| !right.is_empty())
            .ok_or_else(|| wrong("expected two tokens with a space between them"))?;
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let find = |token: &str, problem| vocab.id(token).ok_or_else(|| wrong(problem));
        let pair = (
            find(left, "its first part is no token of the vocabulary")?,
            find(right, "its second part is no token of the vocabulary")?,
        );
        let whole = find(&joined, "its parts join to no token of the vocabulary")?;
        if !vocab.is_text(whole) {
            return Err(wrong("its parts join to a token that is not text"));
        }
        // Of merges that are stated twice the first counts.
        ranks.entry(pair).or_insert((rank, whole));
    }
    Ok(ranks)
}

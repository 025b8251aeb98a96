//! SentencePiece: of all neighbouring pieces that join to a token, those with the highest score join first.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use super::error::TokenizerError;
use super::merge::Merger;
use super::vocab::{Fallback, TokenType, Vocab};

/// The character that stands for a space inside tokens.
pub(crate) const SPACE: char = '▁';

/// A SentencePiece model with scores: `tokenizer.ggml.model` is `llama`.
#[derive(Debug)]
pub(crate) struct Spm {
    /// The tokens that may stand for text, by that text with `▁` for spaces.
    pieces: FxHashMap<Box<str>, (Score, u32)>,
    /// The length of the longest of them in bytes.
    longest: usize,
    fallback: Fallback,
}

/// A score that is known to be a number, the highest first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.partial_cmp(&self.0).unwrap_or(Ordering::Equal)
    }
}

impl Spm {
    pub(crate) fn new(vocab: &Vocab, unk: Option<u32>) -> Result<Self, TokenizerError> {
        let mut pieces = FxHashMap::with_capacity_and_hasher(vocab.len(), Default::default());
        for id in vocab.ids().filter(|&id| vocab.is_text(id)) {
            // Converters write some added tokens with plain spaces; where both spellings are there, the first counts.
            let text = vocab.text(id).replace(' ', SPACE.encode_utf8(&mut [0; 4]));
            // User-defined tokens are whole before anything else joins. Most were found in the text already; not so runs
            // of spaces of which some are spelled `▁` in the text itself.
            let score = if vocab.token_type(id) == TokenType::UserDefined { f32::INFINITY } else { vocab.score(id) };
            pieces.entry(text.into_boxed_str()).or_insert((Score(score), id));
        }
        let longest = pieces.keys().map(|piece| piece.len()).max().unwrap_or(0);
        Ok(Self { pieces, longest, fallback: vocab.fallback(unk)? })
    }

    /// Appends the tokens of `text`, which has `▁` for spaces, holds no added tokens, and is shorter than 4 GiB.
    pub(crate) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let mut merger = Merger::new();
        let symbols = text.char_indices().map(|(start, c)| (start as u32, (start + c.len_utf8()) as u32));
        let span = |start: u32, end: u32| start as usize..end as usize;
        let join = |left: (u32, u32), right: (u32, u32)| {
            let whole = span(left.0, right.1);
            if whole.len() > self.longest {
                return None;
            }
            self.pieces.get(&text[whole]).map(|&(score, _)| (score, (left.0, right.1)))
        };
        merger.merge(symbols, join, |(start, end)| match self.pieces.get(&text[span(start, end)]) {
            Some(&(_, id)) => ids.push(id),
            None => ids.extend(self.fallback.tokens(&text.as_bytes()[span(start, end)])),
        });
    }
}

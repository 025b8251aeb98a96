//! Added tokens: those that are found in the text before anything else cuts it.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::error::TokenizerError;
use super::vocab::{TokenType, Vocab};

/// Finds added tokens in text, the leftmost first and the longest of those that start at one place.
#[derive(Debug)]
pub(crate) struct AddedTokens {
    automaton: AhoCorasick,
    /// The token of each pattern.
    ids: Vec<u32>,
}

impl AddedTokens {
    /// The added tokens that are part of ordinary text. Those that mark structure are not, so that nobody can write
    /// them into a conversation.
    pub(crate) fn in_text(vocab: &Vocab) -> Result<Self, TokenizerError> {
        Self::new(vocab, |id| vocab.token_type(id) == TokenType::UserDefined && !is_structure(vocab, id))
    }

    /// All added tokens, structure included.
    pub(crate) fn all(vocab: &Vocab) -> Result<Self, TokenizerError> {
        let added = [TokenType::UserDefined, TokenType::Control, TokenType::Unknown];
        Self::new(vocab, |id| added.contains(&vocab.token_type(id)))
    }

    fn new(vocab: &Vocab, wanted: impl Fn(u32) -> bool) -> Result<Self, TokenizerError> {
        let mut patterns = Vec::new();
        let mut ids = Vec::new();
        for id in vocab.ids().filter(|&id| wanted(id) && !vocab.text(id).is_empty()) {
            let text = vocab.text(id).to_owned();
            patterns.push(text);
            ids.push(id);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .map_err(|e| TokenizerError::AddedTokens { n_tokens: patterns.len(), reason: e.to_string() })?;
        Ok(Self { automaton, ids })
    }

    /// Where added tokens stand in `text`, in order and without overlap.
    pub(crate) fn find(&self, text: &str) -> impl Iterator<Item = (Range<usize>, u32)> {
        self.automaton.find_iter(text).map(|found| (found.range(), self.ids[found.pattern().as_usize()]))
    }
}

/// Whether a token is one that nobody may write into a conversation: a control token, or a user-defined one that is
/// spelled like one: `<|user|>`, `<｜User｜>`, `[|user|]`, `<|channel>`, `<channel|>`. Several models have such, among them
/// DeepSeek its role markers.
pub(crate) fn is_structure(vocab: &Vocab, id: u32) -> bool {
    let text = vocab.text(id);
    let enclosed = |open: &str, close: &str| text.starts_with(open) && text.ends_with(close);
    match vocab.token_type(id) {
        TokenType::Control | TokenType::Unknown => true,
        TokenType::UserDefined => {
            enclosed("<|", ">") || enclosed("<", "|>") || enclosed("<｜", "｜>") || enclosed("[|", "|]")
        }
        _ => false,
    }
}

//! Pre-tokenizers: how byte-level BPE cuts text into the words inside which it merges.
//!
//! A tokenizer's own file states the cut as regular expressions; a GGUF file keeps only a name for them. [`table`] maps
//! each name to its expressions, written as lists of [`rule::Rule`]. The rules are matched by hand: a backtracking engine
//! gives up on a long run of white space, an automaton cannot look ahead, and both are slower on ordinary text.

mod class;
mod rule;
mod table;
#[cfg(test)]
mod tests;

use rule::Rule;

use super::error::TokenizerError;

/// Everything that `tokenizer.ggml.pre` decides.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    /// The names it has in files.
    names: &'static [&'static str],
    /// Each stage is one expression: it cuts every piece that the stage before it left.
    stages: &'static [Stage],
    /// A word that is a token is that token, whatever the merges would make of it.
    pub(crate) ignore_merges: bool,
    /// Whether a prompt starts with the BOS token when the file does not say.
    pub(crate) add_bos: bool,
    /// Whether text is brought to Normalization Form C first.
    pub(crate) nfc: bool,
}

/// The alternatives of one expression, tried in order at each place. What none of them matches stays together as one
/// piece up to the next match.
type Stage = &'static [Rule];

impl PreTokenizer {
    /// The pre-tokenizer that files call `name`.
    pub(crate) fn find(name: &str) -> Result<&'static Self, TokenizerError> {
        table::ALL.iter().find(|pre| pre.names.contains(&name)).ok_or_else(|| TokenizerError::UnknownPre {
            found: name.to_owned(),
            known: Self::names().collect::<Vec<_>>().join(", "),
        })
    }

    /// The pre-tokenizer of `gemma4` models, which cuts text into lines.
    pub(crate) fn lines() -> &'static Self {
        &table::OF_LINES
    }

    /// All names that [`find`](Self::find) knows.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        table::ALL.iter().flat_map(|pre| pre.names).copied()
    }

    /// Hands the words of `text` to `word`, in order; together they are `text`.
    pub(crate) fn split<'a>(&self, text: &'a str, word: &mut impl FnMut(&'a str)) {
        split_by(self.stages, text, word);
    }
}

fn split_by<'a>(stages: &[Stage], text: &'a str, word: &mut impl FnMut(&'a str)) {
    let Some((alternatives, later)) = stages.split_first() else {
        word(text);
        return;
    };
    let mut unmatched = 0;
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        match alternatives.iter().find_map(|rule| rule.matched(text, at)) {
            Some(length) => {
                if unmatched < at {
                    split_by(later, &text[unmatched..at], word);
                }
                split_by(later, &text[at..at + length], word);
                at += length;
                unmatched = at;
            }
            None => at += next.len_utf8(),
        }
    }
    if unmatched < at {
        split_by(later, &text[unmatched..at], word);
    }
}

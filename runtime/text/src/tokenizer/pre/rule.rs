//! The shapes that alternatives of pre-tokenizer expressions have, each matched by one pass over the text.

use super::class::{LETTER, LOWER, MARK, NEWLINE, NUMBER, Set, UNCASED, UPPER, WHITE_SPACE};

/// One alternative of a pre-tokenizer's regular expression.
///
/// Matching gives exactly what a backtracking engine would, but never looks at a character more than a few times: each
/// shape has one way to match, or its backtracking is worked out by hand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// `'s|'t|'re|'ve|'m|'ll|'d`, in lower case or, with `any_case`, in any.
    Contraction { any_case: bool },
    /// `prefix? body{min,max} tail{0,tail_max}`; the prefix may be made obligatory. The tail must not overlap the body
    /// unless it has no limit, and the body must not overlap the prefix when `min` is above 1.
    Run(Run),
    /// `prefix? [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]* [\p{Ll}\p{Lm}\p{Lo}\p{M}]+ (?i:contraction)?`
    WordToLower { contraction: bool },
    /// `prefix? [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+ [\p{Ll}\p{Lm}\p{Lo}\p{M}]* (?i:contraction)?`
    WordFromUpper { contraction: bool },
    /// `[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`: words with single spaces between them.
    Phrase,
    /// `\s*[\r\n]+`, and `\s*[\r\n]`, which ends at the same place: the last newline of the white space.
    Newlines,
    /// `\s+(?!\S)`: white space, except the last character of it when something follows.
    SpaceBeforeLast,
    /// `\s+`
    Space,
    /// `\s+$`
    SpaceAtEnd,
}

/// See [`Rule::Run`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) prefix: Prefix,
    pub(crate) body: Set,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) tail: Option<Set>,
    pub(crate) tail_max: usize,
}

/// What may stand before the body of a [`Run`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prefix {
    None,
    Optional(Set),
    Required(Set),
}

impl Rule {
    /// `[body]+`
    pub(crate) const fn run(body: Set) -> Self {
        Self::Run(Run { prefix: Prefix::None, body, min: 1, max: usize::MAX, tail: None, tail_max: 0 })
    }

    /// `[body]{min,max}`
    pub(crate) const fn count(body: Set, min: usize, max: usize) -> Self {
        Self::Run(Run { prefix: Prefix::None, body, min, max, tail: None, tail_max: 0 })
    }

    /// `[prefix]?[body]+`
    pub(crate) const fn after(prefix: Set, body: Set) -> Self {
        Self::tailed(prefix, body, None, 0)
    }

    /// `[prefix]?[body]+[tail]{0,tail_max}`
    pub(crate) const fn tailed(prefix: Set, body: Set, tail: Option<Set>, tail_max: usize) -> Self {
        Self::Run(Run { prefix: Prefix::Optional(prefix), body, min: 1, max: usize::MAX, tail, tail_max })
    }

    /// `[prefix][body]+`
    pub(crate) const fn only_after(prefix: Set, body: Set) -> Self {
        Self::Run(Run { prefix: Prefix::Required(prefix), body, min: 1, max: usize::MAX, tail: None, tail_max: 0 })
    }

    /// The number of bytes of `piece` that match from `at` on, at least 1. Matches are sought from left to right: at `at`
    /// either one has just ended, or none has begun at the character before.
    pub(crate) fn matched(&self, piece: &str, at: usize) -> Option<usize> {
        let text = &piece[at..];
        let length = match self {
            Self::Contraction { any_case } => contraction(text, *any_case),
            Self::Run(run) => run.matched(text),
            Self::WordToLower { contraction } => cased_word(text, *contraction, word_to_lower),
            Self::WordFromUpper { contraction } => cased_word(text, *contraction, word_from_upper),
            Self::Phrase => phrase(text),
            Self::Newlines => newlines(text),
            Self::SpaceBeforeLast => space_before_last(text),
            Self::Space => span(text, &Set::of(WHITE_SPACE), usize::MAX).0,
            Self::SpaceAtEnd => space_at_end(piece, at),
        };
        (length > 0).then_some(length)
    }
}

impl Run {
    fn matched(&self, text: &str) -> usize {
        let (prefix, required) = match &self.prefix {
            Prefix::None => return self.without_prefix(text),
            Prefix::Optional(set) => (set, false),
            Prefix::Required(set) => (set, true),
        };
        if let Some(first) = text.chars().next().filter(|&c| prefix.contains(c)) {
            let rest = self.without_prefix(&text[first.len_utf8()..]);
            if rest > 0 {
                return first.len_utf8() + rest;
            }
        }
        if required { 0 } else { self.without_prefix(text) }
    }

    fn without_prefix(&self, text: &str) -> usize {
        let (bytes, count) = span(text, &self.body, self.max);
        if count < self.min {
            return 0;
        }
        bytes + self.tail.map_or(0, |tail| span(&text[bytes..], &tail, self.tail_max).0)
    }
}

/// The longest start of `text` inside `set`, at most `max` characters: its bytes and characters.
fn span(text: &str, set: &Set, max: usize) -> (usize, usize) {
    let mut count = 0;
    for (at, c) in text.char_indices() {
        if count == max || !set.contains(c) {
            return (at, count);
        }
        count += 1;
    }
    (text.len(), count)
}

fn contraction(text: &str, any_case: bool) -> usize {
    let Some(rest) = text.strip_prefix('\'') else { return 0 };
    ["s", "t", "re", "ve", "m", "ll", "d"]
        .iter()
        .find_map(
            |ending| {
                if any_case { folded_prefix(rest, ending) } else { rest.starts_with(ending).then_some(ending.len()) }
            },
        )
        .map_or(0, |length| 1 + length)
}

/// The bytes at the start of `text` that equal the ASCII letters of `ending` but for case. The long s folds to s.
fn folded_prefix(text: &str, ending: &str) -> Option<usize> {
    let mut length = 0;
    let mut chars = text.chars();
    for wanted in ending.chars() {
        let found = chars.next()?;
        if !(found.eq_ignore_ascii_case(&wanted) || found == 'ſ' && wanted == 's') {
            return None;
        }
        length += found.len_utf8();
    }
    Some(length)
}

const BEFORE_WORD: Set = Set::not(NEWLINE | LETTER | NUMBER);
const UPPER_PART: Set = Set::of(UPPER | UNCASED | MARK);
const LOWER_PART: Set = Set::of(LOWER | UNCASED | MARK);
const BOTH_PARTS: Set = Set::of(UNCASED | MARK);

/// A word by `body`, with what may stand before and behind it.
fn cased_word(text: &str, with_contraction: bool, body: fn(&str) -> usize) -> usize {
    let prefix = text.chars().next().filter(|&c| BEFORE_WORD.contains(c)).map_or(0, char::len_utf8);
    let end = match body(&text[prefix..]) {
        0 if prefix > 0 => body(text),
        0 => 0,
        length => prefix + length,
    };
    if end > 0 && with_contraction { end + contraction(&text[end..], true) } else { end }
}

/// `[upper]*[lower]+`: when nothing in lower case follows the first part, that part is cut after the last character
/// which can also be the second.
fn word_to_lower(text: &str) -> usize {
    let (upper, _) = span(text, &UPPER_PART, usize::MAX);
    let (lower, _) = span(&text[upper..], &LOWER_PART, usize::MAX);
    if lower > 0 {
        return upper + lower;
    }
    text[..upper].char_indices().rev().find(|&(_, c)| BOTH_PARTS.contains(c)).map_or(0, |(at, c)| at + c.len_utf8())
}

/// `[upper]+[lower]*`
fn word_from_upper(text: &str) -> usize {
    match span(text, &UPPER_PART, usize::MAX).0 {
        0 => 0,
        upper => upper + span(&text[upper..], &LOWER_PART, usize::MAX).0,
    }
}

fn phrase(text: &str) -> usize {
    let letter =
        |at: usize| text[at..].chars().next().filter(|&c| Set::of(LETTER).contains(c)).map_or(0, char::len_utf8);
    let prefix = text.chars().next().filter(|&c| BEFORE_WORD.contains(c)).map_or(0, char::len_utf8);
    if letter(prefix) == 0 {
        return 0;
    }
    let mut end = prefix;
    loop {
        end += letter(end);
        end += span(&text[end..], &Set::of(MARK), usize::MAX).0;
        if letter(end) > 0 {
            continue;
        }
        if text[end..].starts_with(' ') && letter(end + 1) > 0 {
            end += 1;
            continue;
        }
        return end;
    }
}

fn newlines(text: &str) -> usize {
    let (end, _) = span(text, &Set::of(WHITE_SPACE), usize::MAX);
    text[..end].rfind(['\r', '\n']).map_or(0, |last| last + 1)
}

fn space_before_last(text: &str) -> usize {
    let (end, _) = span(text, &Set::of(WHITE_SPACE), usize::MAX);
    if end == text.len() {
        return end;
    }
    text[..end].char_indices().next_back().map_or(0, |(last, _)| last)
}

fn space_at_end(piece: &str, at: usize) -> usize {
    // In the middle of white space the answer is that of its start: no.
    if piece[..at].ends_with(char::is_whitespace) {
        return 0;
    }
    let (end, _) = span(&piece[at..], &Set::of(WHITE_SPACE), usize::MAX);
    if at + end == piece.len() { end } else { 0 }
}

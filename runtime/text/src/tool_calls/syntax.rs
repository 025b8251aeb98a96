//! What a format of tool calls consists of.

use crate::ToolCall;

/// The marks of a format, and how to read what stands between them.
pub(super) struct Syntax {
    /// What a call begins with.
    pub(super) open: &'static str,
    /// What it begins with at the very beginning of an answer, where that is not the same.
    pub(super) leading: Option<&'static str>,
    /// What it ends with.
    pub(super) close: &'static str,
    /// What stands around texts and calls and is neither.
    pub(super) frames: &'static [&'static str],
    /// Within these a closing mark is part of a value.
    pub(super) quotes: Quotes,
    /// Whether what stands behind an opening mark is a call; `None` where too little of it is there to say.
    pub(super) begins: fn(&str) -> Option<bool>,
    /// Reads what stands between the marks, or says what is wrong with it.
    pub(super) read: fn(&str) -> Result<Vec<ToolCall>, String>,
    /// Whether what can be read is whole, so that it needs no closing mark at the end of an answer.
    pub(super) tells_its_end: bool,
}

/// The marks around a value.
pub(super) struct Quotes {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// Whether the byte behind a backslash means nothing.
    pub(super) escapes: bool,
}

impl Quotes {
    pub(super) const JSON: Quotes = Quotes { open: "\"", close: "\"", escapes: true };
}

/// What stands between an opening mark and the first thing that proves a call is never longer, in bytes.
const LONGEST_LEAD: usize = 256;

/// Whether JSON begins here that may be a call, or several.
pub(super) fn json_begins(body: &str) -> Option<bool> {
    let (lead, undecided) = lead(body);
    let first = lead.trim_start().chars().next();
    first.map_or(undecided, |first| Some(first == '{' || first == '['))
}

/// Whether a word stands here with one of `followers` behind it.
pub(super) fn word_begins(body: &str, followers: &[&str]) -> Option<bool> {
    let (lead, undecided) = lead(body);
    let lead = lead.trim_start();
    let Some(end) = lead.find(|c: char| c.is_whitespace() || c == '<') else { return undecided };
    let behind = lead[end..].trim_start();
    if followers.iter().any(|mark| behind.starts_with(mark)) {
        Some(true)
    } else if followers.iter().any(|mark| mark.starts_with(behind)) {
        undecided
    } else {
        Some(false)
    }
}

/// The part of `body` that decides, and what it decides where it leaves that open.
fn lead(body: &str) -> (&str, Option<bool>) {
    let lead = &body[..body.floor_char_boundary(LONGEST_LEAD)];
    (lead, (body.len() >= LONGEST_LEAD).then_some(false))
}

//! Finds where a text ends and something else begins.

use super::syntax::Syntax;

/// What a text holds that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A call, by its opening mark.
    Call(&'static str),
    /// A mark that says nothing, by its length in bytes.
    Frame(usize),
    /// What may be either, once there is more of it.
    Perhaps,
}

/// The first thing in `text` that is no text, and where it begins.
pub(super) fn first_mark(syntax: &Syntax, text: &str) -> Option<(usize, Found)> {
    // All marks begin with this character.
    text.match_indices('<').find_map(|(at, _)| {
        let text = &text[at..];
        let found = call(syntax, syntax.open, text).or_else(|| frame(syntax, text))?;
        Some((at, found))
    })
}

/// What `text` begins with if an answer does.
pub(super) fn leading_mark(syntax: &Syntax, text: &str) -> Option<Found> {
    call(syntax, syntax.leading?, text)
}

fn call(syntax: &Syntax, open: &'static str, text: &str) -> Option<Found> {
    match text.strip_prefix(open) {
        Some(body) => match (syntax.begins)(body) {
            Some(true) => Some(Found::Call(open)),
            Some(false) => None,
            None => Some(Found::Perhaps),
        },
        None => open.starts_with(text).then_some(Found::Perhaps),
    }
}

fn frame(syntax: &Syntax, text: &str) -> Option<Found> {
    syntax.frames.iter().find_map(|frame| match text.strip_prefix(frame) {
        Some(_) => Some(Found::Frame(frame.len())),
        None => frame.starts_with(text).then_some(Found::Perhaps),
    })
}

//! Finds where a call ends.

use super::syntax::{Quotes, Syntax};

/// Looks for a closing mark in a text that grows, without looking at any of it twice.
#[derive(Clone, Debug)]
pub(super) struct EndFinder {
    /// Whether a closing mark within quotes is part of a value.
    heeds_quotes: bool,
    quoted: bool,
    /// Bytes that need no second look.
    looked_at: usize,
}

impl EndFinder {
    pub(super) fn new(heeds_quotes: bool) -> Self {
        Self { heeds_quotes, quoted: false, looked_at: 0 }
    }

    /// Whether the text so far ends within quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// Where the closing mark begins in `text`, which is the text of the last call with more behind it.
    pub(super) fn find(&mut self, text: &str, syntax: &Syntax) -> Option<usize> {
        let Syntax { close, quotes: Quotes { open: open_quote, close: close_quote, escapes }, .. } = *syntax;
        while self.looked_at < text.len() {
            let rest = &text.as_bytes()[self.looked_at..];
            let begins = |mark: &str| rest.starts_with(mark.as_bytes());
            let may_begin = |mark: &str| mark.as_bytes().starts_with(rest);
            let quote = if self.quoted { close_quote } else { open_quote };
            if !self.quoted && begins(close) {
                return Some(self.looked_at);
            }
            let len = if self.heeds_quotes && begins(quote) {
                self.quoted = !self.quoted;
                quote.len()
            } else if self.quoted && escapes && begins("\\") {
                2
            } else if may_begin(quote) || (!self.quoted && may_begin(close)) {
                return None;
            } else {
                1
            };
            self.looked_at += len;
        }
        None
    }
}

//! Python's string functions, shared by filters and methods.

use super::budget::{Budget, Result};
use super::lexer::is_space;
use super::value::Value;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Left,
    Right,
    Both,
}

/// Without the given characters, or white space, at both ends.
pub(super) fn strip<'a>(text: &'a str, chars: Option<&str>) -> &'a str {
    strip_end(strip_start(text, chars), chars)
}

pub(super) fn strip_start<'a>(text: &'a str, chars: Option<&str>) -> &'a str {
    match chars {
        Some(chars) => text.trim_start_matches(|c| chars.contains(c)),
        None => text.trim_start_matches(is_space),
    }
}

pub(super) fn strip_end<'a>(text: &'a str, chars: Option<&str>) -> &'a str {
    match chars {
        Some(chars) => text.trim_end_matches(|c| chars.contains(c)),
        None => text.trim_end_matches(is_space),
    }
}

/// The first letter large, all others small.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    out.push_str(&chars.as_str().to_lowercase());
    out
}

pub(super) fn replace(text: &str, old: &str, new: &str, count: Option<i128>, budget: &Budget) -> Result<String> {
    let limit = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let matches = text.matches(old).take(limit).count();
    budget.spend(text.len().saturating_add(matches.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, limit))
}

pub(super) fn join(items: &[Value], separator: &str, budget: &Budget) -> Result<String> {
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        let text = item.to_text(budget)?;
        budget.spend(text.len() + separator.len())?;
        if at > 0 {
            out.push_str(separator);
        }
        out.push_str(&text);
    }
    Ok(out)
}

/// Fills up to `width` characters.
pub(super) fn pad(text: &str, width: i128, fill: char, side: Side, budget: &Budget) -> Result<String> {
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(text.chars().count());
    budget.spend(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    let before = match side {
        Side::Left => missing,
        Side::Right => 0,
        // Python puts the odd one to the left only where the width is odd as well.
        Side::Both => missing / 2 + (missing & width & 1),
    };
    let fills = |n| std::iter::repeat_n(fill, n);
    let mut out: String = fills(before).collect();
    out.push_str(text);
    out.extend(fills(missing - before));
    Ok(out)
}

/// The lines, by the line ends that Python knows.
pub(super) fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let end = match rest[at..].strip_prefix("\r\n") {
            Some(_) => at + 2,
            None => at + rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(if keep_ends { &rest[..end] } else { &rest[..at] });
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

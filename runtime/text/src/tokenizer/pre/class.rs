//! Classes of characters, as the regular expressions of tokenizers name them.

use std::sync::LazyLock;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A set of [`class`] bits and of ranges of characters, or all characters outside them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    bits: u16,
    ranges: &'static [(char, char)],
    negated: bool,
}

impl Set {
    /// The characters of any of the classes `bits`.
    pub(crate) const fn of(bits: u16) -> Self {
        Self { bits, ranges: &[], negated: false }
    }

    /// The characters of none of the classes `bits`.
    pub(crate) const fn not(bits: u16) -> Self {
        Self { bits, ranges: &[], negated: true }
    }

    /// The same, with some ranges (ends included) added to what is named.
    pub(crate) const fn and(self, ranges: &'static [(char, char)]) -> Self {
        Self { ranges, ..self }
    }

    pub(crate) fn contains(&self, c: char) -> bool {
        let named = class(c) & self.bits != 0 || self.ranges.iter().any(|&(first, last)| first <= c && c <= last);
        named != self.negated
    }
}

/// `\p{Lu}` and `\p{Lt}`
pub(crate) const UPPER: u16 = 1;
/// `\p{Ll}`
pub(crate) const LOWER: u16 = 1 << 1;
/// `\p{Lm}` and `\p{Lo}`: Hangul, Han, kana and all else without case
pub(crate) const UNCASED: u16 = 1 << 2;
/// `\p{M}`
pub(crate) const MARK: u16 = 1 << 3;
/// `\p{N}`
pub(crate) const NUMBER: u16 = 1 << 4;
/// `\p{P}`
pub(crate) const PUNCTUATION: u16 = 1 << 5;
/// `\p{S}`
pub(crate) const SYMBOL: u16 = 1 << 6;
/// `\s`: the Unicode property `White_Space`
pub(crate) const WHITE_SPACE: u16 = 1 << 7;
/// `[\r\n]`
pub(crate) const NEWLINE: u16 = 1 << 8;
/// the space character alone
pub(crate) const SPACE: u16 = 1 << 9;
/// the slash alone
pub(crate) const SLASH: u16 = 1 << 10;
/// `[A-Za-z]`
pub(crate) const ASCII_LETTER: u16 = 1 << 11;
/// `[0-9]`
pub(crate) const ASCII_DIGIT: u16 = 1 << 12;
/// the 32 printable ASCII characters that are neither letter, digit nor space
pub(crate) const ASCII_PUNCTUATION: u16 = 1 << 13;
/// `\p{L}`
pub(crate) const LETTER: u16 = UPPER | LOWER | UNCASED;

/// The classes that `c` belongs to.
fn class(c: char) -> u16 {
    match BASIC_PLANE.get(c as usize) {
        Some(&bits) => bits,
        None => find_class(c),
    }
}

/// Nearly all text lies in the basic multilingual plane: 128 KiB make its classes one load each.
static BASIC_PLANE: LazyLock<Box<[u16]>> =
    LazyLock::new(|| (0..0x1_0000).map(|code| char::from_u32(code).map_or(0, find_class)).collect());

fn find_class(c: char) -> u16 {
    use GeneralCategory::*;
    let mut bits = match c.general_category() {
        UppercaseLetter | TitlecaseLetter => UPPER,
        LowercaseLetter => LOWER,
        ModifierLetter | OtherLetter => UNCASED,
        NonspacingMark | SpacingMark | EnclosingMark => MARK,
        DecimalNumber | LetterNumber | OtherNumber => NUMBER,
        ConnectorPunctuation | DashPunctuation | OpenPunctuation | ClosePunctuation | InitialPunctuation
        | FinalPunctuation | OtherPunctuation => PUNCTUATION,
        MathSymbol | CurrencySymbol | ModifierSymbol | OtherSymbol => SYMBOL,
        _ => 0,
    };
    let also = [
        (c.is_whitespace(), WHITE_SPACE),
        (matches!(c, '\r' | '\n'), NEWLINE),
        (c == ' ', SPACE),
        (c == '/', SLASH),
        (c.is_ascii_alphabetic(), ASCII_LETTER),
        (c.is_ascii_digit(), ASCII_DIGIT),
        (c.is_ascii_punctuation(), ASCII_PUNCTUATION),
    ];
    for (holds, bit) in also {
        if holds {
            bits |= bit;
        }
    }
    bits
}

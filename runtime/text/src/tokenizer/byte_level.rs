//! The spelling of bytes as printable characters that GPT-2 brought in: each of the 256 bytes is one character, so that
//! a vocabulary of byte strings can be written as text.

/// The character that spells `byte`: itself where it is printable in Latin-1, else the next one from U+0100 on.
pub(crate) fn spell(byte: u8) -> char {
    match byte {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => byte as char,
        0x00..=0x20 => shifted(byte),
        0x7F..=0xA0 => shifted(byte - 0x7F + 0x21),
        0xAD => shifted(0x21 + 0x22),
    }
}

/// The byte that `c` spells.
pub(crate) fn byte(c: char) -> Option<u8> {
    let code = c as u32;
    let byte = match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7F,
        0x143 => 0xAD,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The bytes that `text` spells; the text's own bytes when some character of it spells none, as in tokens that were
/// added to a vocabulary later.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(byte).collect::<Option<_>>().unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The `n`-th of the characters that stand for bytes without a printable character of their own.
fn shifted(n: u8) -> char {
    // At most U+0143: the callers count 68 bytes.
    char::from_u32(0x100 + u32::from(n)).unwrap_or('\u{100}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_one_to_one() {
        for b in 0..=255 {
            assert_eq!(byte(spell(b)), Some(b), "byte {b}");
        }
        assert_eq!(spell(b' '), 'Ġ');
        assert_eq!(spell(b'\n'), 'Ċ');
        assert_eq!(spell(0xAD), 'Ń');
        assert_eq!(byte('가'), None);
    }

    #[test]
    fn hangul_is_three_characters() {
        assert_eq!(bytes("ëĮĢíķľ"), "대한".as_bytes());
        assert_eq!(bytes("<｜User｜>"), "<｜User｜>".as_bytes());
    }
}

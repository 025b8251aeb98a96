//! Turns the bytes of generated tokens into text, holding back what is not yet a whole character.

use std::mem;

/// A streaming UTF-8 decoder for the bytes of generated tokens.
///
/// One Hangul syllable is three bytes and is often split over two or three byte-level tokens. The
/// detokenizer keeps such a beginning back until the rest arrives, so no piece it returns ever ends
/// in half a character. Bytes that can never become a character turn into U+FFFD by the rule of
/// [`String::from_utf8_lossy`]: all pieces joined equal the lossy decoding of all bytes joined.
///
/// ```
/// let mut detokenizer = silhak_text::Detokenizer::new();
/// let syllable = "글".as_bytes();
/// assert_eq!(detokenizer.push(&syllable[..2]), "");
/// assert_eq!(detokenizer.push(&syllable[2..]), "글");
/// assert_eq!(detokenizer.finish(), "");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Detokenizer {
    /// The beginning of a character whose end has not come: at most three bytes between calls.
    pending: Vec<u8>,
    /// The text the last call returned.
    piece: String,
}

impl Detokenizer {
    /// A detokenizer at the beginning of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes of the next token and returns the text that became complete with them.
    pub fn push(&mut self, bytes: &[u8]) -> &str {
        self.piece.clear();
        let mut joined = mem::take(&mut self.pending);
        joined.extend_from_slice(bytes);

        let mut rest = joined.as_slice();
        while let Some(chunk) = rest.utf8_chunks().next() {
            let (valid, invalid) = (chunk.valid(), chunk.invalid());
            self.piece.push_str(valid);
            rest = &rest[valid.len() + invalid.len()..];
            if invalid.is_empty() {
                continue;
            }
            if rest.is_empty() && is_incomplete(invalid) {
                self.pending = invalid.to_vec();
            } else {
                self.piece.push(char::REPLACEMENT_CHARACTER);
            }
        }
        &self.piece
    }

    /// Ends the text: returns U+FFFD if a character was begun and never completed, else nothing.
    ///
    /// The detokenizer is then at the beginning of a new text.
    pub fn finish(&mut self) -> &str {
        self.piece.clear();
        if !self.pending.is_empty() {
            self.pending.clear();
            self.piece.push(char::REPLACEMENT_CHARACTER);
        }
        &self.piece
    }

    /// Whether bytes of an unfinished character are being held back.
    pub fn is_holding(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// Whether more bytes could still make a character of these.
fn is_incomplete(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(e) if e.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<String> {
        let mut detokenizer = Detokenizer::new();
        let mut out: Vec<String> = pieces.iter().map(|bytes| detokenizer.push(bytes).to_owned()).collect();
        out.push(detokenizer.finish().to_owned());
        out
    }

    #[test]
    fn hangul_split_in_every_way_is_whole() {
        let bytes = "가나".as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = decode(&[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                assert_eq!(pieces.concat(), "가나");
                assert!(pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)));
            }
        }
    }

    #[test]
    fn bytes_that_can_never_complete_are_replaced_at_once() {
        assert_eq!(decode(&[b"a\xff", b"b"]), ["a\u{fffd}", "b", ""]);
        // A lead byte followed by something other than a continuation byte.
        assert_eq!(decode(&[b"\xea", b"x"]), ["", "\u{fffd}x", ""]);
        // 0xed 0xa0 begins a surrogate, which UTF-8 has not: nothing may be held back for it.
        assert_eq!(decode(&[b"\xed\xa0", b"."]), ["\u{fffd}\u{fffd}", ".", ""]);
    }

    #[test]
    fn an_unfinished_end_is_one_replacement_character() {
        assert_eq!(decode(&[b"\xf0\x9f\x98"]), ["", "\u{fffd}"]);
        let mut detokenizer = Detokenizer::new();
        detokenizer.push(b"\xf0\x9f");
        assert!(detokenizer.is_holding());
        detokenizer.finish();
        assert_eq!(detokenizer.push("다시".as_bytes()), "다시");
    }

    /// A small generator is enough here: the property must hold for every input.
    struct XorShift(u64);

    impl XorShift {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % n as u64) as usize
        }
    }

    #[test]
    fn any_split_of_any_bytes_equals_the_lossy_decoding() {
        const FRAGMENTS: [&[u8]; 12] = [
            "한".as_bytes(),
            "글".as_bytes(),
            "a".as_bytes(),
            "é".as_bytes(),
            "😀".as_bytes(),
            b"\xff",
            b"\xc0",
            b"\xed\xa0\x80",
            b"\xf4\x90",
            b"\xe0\x80",
            b"\x80",
            b"\xea\xb0",
        ];
        let mut random = XorShift(0x5117_4a4b);
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(8) {
                let fragment = FRAGMENTS[random.below(FRAGMENTS.len())];
                let end = random.below(fragment.len() + 1);
                bytes.extend_from_slice(&fragment[..end]);
                if random.below(4) == 0 {
                    bytes.push(random.below(256) as u8);
                }
            }

            let mut detokenizer = Detokenizer::new();
            let mut text = String::new();
            let mut start = 0;
            while start < bytes.len() {
                let end = start + 1 + random.below(bytes.len() - start);
                text.push_str(detokenizer.push(&bytes[start..end]));
                start = end;
                // Whatever is out already is final: it is a prefix of the decoding of what came in.
                let so_far = String::from_utf8_lossy(&bytes[..end]);
                assert!(so_far.starts_with(&text), "{bytes:x?} cut at {end}");
                let held = so_far[text.len()..].chars().count();
                assert!(held <= 1 && (held == 1) == detokenizer.is_holding());
            }
            text.push_str(detokenizer.finish());
            assert_eq!(text, String::from_utf8_lossy(&bytes), "{bytes:x?}");
        }
    }
}

//! A vocabulary that works, of any size: byte-level BPE with merges for some English and all Hangul syllables.

use silhak_gguf::{Array, StringArray, Value};

use crate::Error;

/// The tokens: every byte, what merges make, control tokens, and unused ones up to the size that is wanted.
pub(crate) struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<String>,
}

/// Bytes, and control tokens, which come behind the merges.
const N_BYTES: usize = 256;
const CONTROLS: [&str; 3] = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"];

/// Values of `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// ChatML.
const TEMPLATE: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}\
                        {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

impl Vocabulary {
    /// A vocabulary of `n_vocab` tokens, with as many merges as there is room for.
    pub(crate) fn of(n_vocab: usize) -> Result<Vocabulary, Error> {
        let least = N_BYTES + 1 + CONTROLS.len();
        let Some(n_merges) = n_vocab.checked_sub(N_BYTES + CONTROLS.len()).filter(|&n| n > 0) else {
            return Err(Error::Vocabulary { least, found: n_vocab });
        };
        let spelling = byte_spelling();
        let english = ENGLISH.iter().map(|merge| (*merge).to_owned());
        let merges: Vec<String> = english.chain(hangul(&spelling)).take(n_merges).collect();
        let mut tokens: Vec<String> = spelling.iter().map(char::to_string).collect();
        tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
        tokens.extend(CONTROLS.map(String::from));
        tokens.extend((tokens.len()..n_vocab).map(|id| format!("[UNUSED{id}]")));
        Ok(Vocabulary { tokens, merges })
    }

    /// `tokenizer.*` as GGUF names it.
    pub(crate) fn metadata(&self) -> Result<[(String, Value); 9], Error> {
        let strings = |strings: &[String]| Ok::<_, Error>(Value::from(StringArray::new(strings)?));
        let first_control = N_BYTES + self.merges.len();
        let mut types = vec![NORMAL; first_control];
        types.resize(first_control + CONTROLS.len(), CONTROL);
        types.resize(self.tokens.len(), UNUSED);
        let id = |n: usize| Value::U32(n as u32);
        let entries = [
            ("ggml.model", "gpt2".into()),
            ("ggml.pre", "gpt-2".into()),
            ("ggml.tokens", strings(&self.tokens)?),
            ("ggml.token_type", Value::Array(Array::I32(types))),
            ("ggml.merges", strings(&self.merges)?),
            ("ggml.bos_token_id", id(first_control)),
            ("ggml.eos_token_id", id(first_control + 1)),
            ("ggml.add_bos_token", Value::Bool(false)),
            ("chat_template", TEMPLATE.into()),
        ];
        Ok(entries.map(|(key, value)| (format!("tokenizer.{key}"), value)))
    }
}

/// The characters that spell the bytes since GPT-2: printable ones as themselves, others from U+0100 on.
fn byte_spelling() -> [char; N_BYTES] {
    let mut others = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) => char::from(byte),
        _ => others.next().unwrap_or('\u{100}'),
    })
}

/// Frequent pairs, most frequent first.
const ENGLISH: &[&str] = &[
    "t h",
    "th e",
    "Ġ the",
    "i n",
    "e r",
    "a n",
    "r e",
    "o n",
    "a t",
    "e n",
    "o r",
    "e s",
    "i s",
    "i t",
    "o u",
    "a r",
    "in g",
    "an d",
    "Ġ and",
    "o f",
    "Ġ of",
    "t o",
    "Ġ to",
    "Ġ in",
    "Ġ is",
    "Ġ a",
    "Ġ s",
    "Ġ w",
    "Ġ c",
    "Ġ p",
    "Ġ b",
    "Ġ f",
    "e d",
    "l l",
    "a l",
    "i c",
    "i on",
    "t ion",
    "en t",
    "er s",
    "l y",
    "o m",
    "s t",
    "l e",
    "v e",
    "th at",
    "Ġ that",
    "f or",
    "Ġ for",
    "Ġ it",
    "a s",
    "Ġ as",
    "w h",
    "Ġ re",
    "y ou",
    "Ġ you",
    "0 0",
    "1 9",
    "2 0",
    "Ċ Ċ",
    "Ġ Ġ",
    "ĠĠ ĠĠ",
];

/// Merges that make every Hangul syllable of its three bytes: first the pairs of bytes that begin syllables, then these
/// with each third byte.
fn hangul(spelling: &[char; N_BYTES]) -> impl Iterator<Item = String> {
    let syllables = || {
        ('가'..='힣').map(|syllable| {
            let mut bytes = [0; 3];
            syllable.encode_utf8(&mut bytes);
            bytes.map(|byte| spelling[usize::from(byte)])
        })
    };
    // The pair changes where the third byte begins anew.
    let begins = |&(i, [_, _, third]): &(usize, [char; 3])| i == 0 || third == spelling[0x80];
    let pairs = syllables().enumerate().filter(begins).map(|(_, [first, second, _])| format!("{first} {second}"));
    pairs.chain(syllables().map(|[first, second, third]| format!("{first}{second} {third}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use silhak_text::{Special, TokenType, Tokenizer, VocabSource};

    use super::*;

    fn tokenizer(n_vocab: usize) -> Tokenizer {
        let Vocabulary { tokens, merges } = Vocabulary::of(n_vocab).unwrap();
        assert_eq!(tokens.len(), n_vocab);
        let type_of = |(_, text): (usize, &String)| {
            let control = CONTROLS.contains(&text.as_str());
            if control {
                TokenType::Control
            } else if text.starts_with("[UNUSED") {
                TokenType::Unused
            } else {
                TokenType::Normal
            }
        };
        let types = tokens.iter().enumerate().map(type_of).collect();
        let source = VocabSource {
            model: "gpt2".into(),
            pre: Some("gpt-2".into()),
            tokens,
            types,
            merges,
            ..VocabSource::default()
        };
        Tokenizer::new(source).unwrap()
    }

    #[test]
    fn any_text_survives() {
        for n_vocab in [260, 263, 400, 20_000, 128_256] {
            let tokenizer = tokenizer(n_vocab);
            for text in [
                "the king in the city",
                "대한민국의 수도는 서울입니다.",
                "뷁힣가\n\t  값 12,345",
                "漢字 🙂 \u{0}\u{7f}é",
            ] {
                let ids = tokenizer.encode(text, Special::Ignore);
                assert_eq!(tokenizer.decode(&ids), text, "{n_vocab}");
            }
        }
    }

    #[test]
    fn every_syllable_is_a_token_where_there_is_room() {
        let tokenizer = tokenizer(128_256);
        for syllable in '가'..='힣' {
            assert_eq!(tokenizer.encode(&syllable.to_string(), Special::Ignore).len(), 1, "{syllable}");
        }
        assert_eq!(tokenizer.encode("대한민국", Special::Ignore).len(), 4);
        assert_eq!(tokenizer.encode(" the", Special::Ignore).len(), 1);
    }

    /// What loaders count on: each part of a merge is there before it, and makes a token of its own.
    #[test]
    fn merges_build_on_what_is_there() {
        let Vocabulary { tokens, merges } = Vocabulary::of(20_000).unwrap();
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), tokens.len());
        let mut known: HashSet<String> = tokens[..N_BYTES].iter().cloned().collect();
        for merge in merges {
            let (left, right) = merge.split_once(' ').unwrap();
            assert!(known.contains(left) && known.contains(right), "{merge}");
            assert!(known.insert(format!("{left}{right}")), "{merge}");
        }
    }

    #[test]
    fn too_small_a_vocabulary_is_refused() {
        let error = Vocabulary::of(259).err().unwrap().to_string();
        assert!(error.contains("259") && error.contains("260"), "{error}");
    }
}

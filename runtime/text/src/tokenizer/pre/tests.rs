//! The rules against the regular expressions they stand for, and against known cuts.

use fancy_regex::Regex;

use super::PreTokenizer;

/// The expressions of each pre-tokenizer as its original states them, each name one family.
const EXPRESSIONS: &[(&str, &[&str])] = &[
    ("default", &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
    ("gpt-2", &[GPT2]),
    ("exaone", &[r"\p{N}", GPT2]),
    (
        "qwen2",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "qwen35",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "llama-bpe",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "gpt-4o",
        &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "tekken",
        &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        "exaone-moe",
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        ],
    ),
    ("deepseek-v3", &[r"\p{N}{1,3}", HAN_AND_KANA, DEEPSEEK3]),
    ("hyperclovax", &[r"\p{N}", HAN_AND_KANA, DEEPSEEK3]),
    (
        "deepseek-coder",
        &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+", r"\p{N}"],
    ),
    ("falcon", &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
    (LINES, &[r"[^\n]+|[\n]+"]),
];

/// Stands for the pre-tokenizer that has no name.
const LINES: &str = "lines";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const HAN_AND_KANA: &str = "[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+";
const DEEPSEEK3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Characters of every class that an expression names, common ones several times.
const CHARACTERS: &str = "   \n\n\r\t\u{a0}\u{3000}\u{2028}aabZZeésStTlLdDmMrRvV'''ſK가나다힣ㄱ\u{1100}\u{1161}\u{11a8}漢字一龥ひカー０٣½Ⅻ²1123456\
    .,!?-/\\_//$+<=>^~|`“”…、。·（％€©😀👍🏽\u{200d}\u{fe0f}\u{301}\u{308}\u{93f}\u{e01}ǅʰªДджΣσא\0\u{7f}\u{ad}\u{e000}𐐀𝟘𠀀";

#[test]
fn rules_cut_like_the_expressions() {
    let characters: Vec<char> = CHARACTERS.chars().collect();
    let mut random = Random(1);
    let texts: Vec<String> = (0..3000)
        .map(|_| (0..random.below(24)).map(|_| characters[random.below(characters.len())]).collect())
        .collect();
    for (name, expressions) in EXPRESSIONS {
        let expressions: Vec<Regex> = expressions.iter().map(|expression| Regex::new(expression).unwrap()).collect();
        for text in &texts {
            let mut expected = vec![text.as_str()];
            for expression in &expressions {
                expected = expected.into_iter().flat_map(|piece| cut(expression, piece)).collect();
            }
            assert_eq!(words(name, text), expected, "{name}: {text:?}");
        }
    }
}

/// The matches and what lies between them.
fn cut<'a>(expression: &Regex, text: &'a str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for found in expression.find_iter(text) {
        let found = found.unwrap();
        pieces.extend([&text[done..found.start()], found.as_str()]);
        done = found.end();
    }
    pieces.push(&text[done..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[test]
fn numbers() {
    for (name, expected) in [
        ("exaone", "2|0|2|4|년"),
        ("exaone4", "2024|년"),
        ("exaone-moe", "2|0|2|4|년"),
        ("a.x-4.0", "2024|년"),
        ("trillion", "2024|년"),
        ("midm-2.0", "202|4|년"),
        ("kanana2", "202|4|년"),
        ("kormo", "2|0|2|4|년"),
        ("solar-open", "2|0|2|4|년"),
        ("hyperclovax", "2|0|2|4|년"),
        ("mu-choco", "2|0|2|4|년"),
        ("deepseek-v3", "202|4|년"),
        ("qwen2", "2|0|2|4|년"),
    ] {
        assert_eq!(words(name, "2024년").join("|"), expected, "{name}");
    }
}

#[test]
fn spaces_between_words() {
    for (name, expected) in [
        ("exaone", "대한민국의| 수도는| 서울|."),
        ("exaone4", "대한민국의| 수도는| 서울|."),
        // Its tokens may span words.
        ("exaone-moe", "대한민국의 수도는 서울|."),
        ("qwen2", "대한민국의| 수도는| 서울|."),
        ("hyperclovax", "대한민국의| 수도는| 서울|."),
        (LINES, "대한민국의 수도는 서울."),
    ] {
        assert_eq!(words(name, "대한민국의 수도는 서울.").join("|"), expected, "{name}");
    }
}

#[test]
fn several_spaces_leave_one_to_the_word() {
    for name in ["exaone4", "qwen2", "llama-bpe", "gpt-4o", "deepseek-v3", "exaone-moe"] {
        assert_eq!(words(name, "가   나").join("|"), "가|  | 나", "{name}");
    }
}

#[test]
fn contractions() {
    for (name, expected) in [
        ("exaone4", "I|'ve| WE|'|VE"),
        ("qwen2", "I|'ve| WE|'VE"),
        ("gpt-4o", "I've| WE'VE"),
        ("tekken", "I|'ve| WE|'VE"),
    ] {
        assert_eq!(words(name, "I've WE'VE").join("|"), expected, "{name}");
    }
}

#[test]
fn case_parts_words_only_with_gpt_4o() {
    assert_eq!(words("gpt-4o", "OpenAI가GetHTTP").join("|"), "Open|AI가Get|HTTP");
    assert_eq!(words("qwen2", "OpenAI가GetHTTP").join("|"), "OpenAI가GetHTTP");
}

#[test]
fn han_stands_alone_with_hyperclova_x() {
    assert_eq!(words("hyperclovax", "대한민국(大韓民國)").join("|"), "대한민국|(|大韓民國|)");
    assert_eq!(words("qwen2", "대한민국(大韓民國)").join("|"), "대한민국|(大韓民國|)");
}

#[test]
fn deepseek_llm_ignores_letters_it_does_not_list() {
    assert_eq!(words("deepseek-llm", "a Б ա가나 12 \n").join("|"), "a| Б| ա|가나| |12| |\n");
}

#[test]
fn every_name_is_there_once() {
    let names: Vec<&str> = PreTokenizer::names().collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        assert!(PreTokenizer::find(name).is_ok());
    }
    let message = PreTokenizer::find("exaone5").unwrap_err().to_string();
    assert!(message.contains("`exaone5`") && message.contains("exaone4, ") && message.contains("--pre"), "{message}");
}

fn words<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let pre = if name == LINES { PreTokenizer::lines() } else { PreTokenizer::find(name).unwrap() };
    pre.split(text, &mut |word| words.push(word));
    words
}

/// Numbers that look random and are the same on every run: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}

//! The pre-tokenizers by name.
//!
//! Names and expressions are those of llama.cpp's converter and of the `tokenizer.json` of the models that gave the
//! names. Whether a name implies Normalization Form C is stated in no GGUF file: it follows the original tokenizer.

use super::class::*;
use super::rule::Rule;
use super::{PreTokenizer, Stage};

pub(super) static ALL: &[PreTokenizer] = &[
    PreTokenizer { names: &["default"], stages: &[PUNCTUATION_RUNS, GPT2, NUMBERS, THREE_DIGITS], ..PLAIN },
    PreTokenizer {
        names: &["gpt-2", "exaone4", "a.x-4.0", "trillion", "mpt", "olmo", "jais", "phi-2", "gigachat", "mellum"],
        stages: &[GPT2],
        ..PLAIN
    },
    PreTokenizer {
        names: &["exaone", "smollm", "starcoder", "refact", "command-r", "codeshell", "minerva-7b", "mellum2"],
        stages: &[EACH_NUMBER, GPT2],
        ..PLAIN
    },
    PreTokenizer { names: &["qwen2", "deepseek-r1-qwen", "megrez"], stages: &[QWEN2], nfc: true, ..PLAIN },
    PreTokenizer { names: &["kormo", "solar-open", "hunyuan", "stablelm2", "grok-2"], stages: &[QWEN2], ..PLAIN },
    // The vectors published for it leave decomposed characters as they are.
    PreTokenizer { names: &["qwen35"], stages: &[QWEN35], ..PLAIN },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "midm-2.0", "falcon3", "falcon-h1", "pixtral", "lfm2"],
        stages: &[LLAMA3],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    PreTokenizer { names: &["dbrx", "smaug-bpe", "chatglm-bpe"], stages: &[LLAMA3], ..PLAIN },
    PreTokenizer { names: &["glm4", "glm5"], stages: &[LLAMA3], ignore_merges: true, ..PLAIN },
    PreTokenizer { names: &["gpt-4o", "llama4", "kanana2"], stages: &[GPT4O], ..PLAIN },
    PreTokenizer { names: &["tekken"], stages: &[TEKKEN], ignore_merges: true, add_bos: true, ..PLAIN },
    PreTokenizer { names: &["exaone-moe"], stages: &[EXAONE_MOE], ..PLAIN },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        stages: &[UP_TO_THREE_NUMBERS, HAN_AND_KANA, DEEPSEEK3],
        ..PLAIN
    },
    PreTokenizer { names: &["hyperclovax", "mu-choco"], stages: &[EACH_NUMBER, HAN_AND_KANA, DEEPSEEK3], ..PLAIN },
    PreTokenizer {
        names: &["deepseek-llm"],
        stages: &[EACH_NEWLINE, CASED_WORDS, MARKS_OF_PUNCTUATION, SPACE_AT_END, EAST_ASIAN_WORDS, NUMBERS],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        stages: &[EACH_NEWLINE, SPACED_LETTERS, SPACED_PUNCTUATION, EAST_ASIAN_WORDS, EACH_NUMBER],
        ..PLAIN
    },
    PreTokenizer { names: &["falcon"], stages: &[PUNCTUATION_AND_BACKTICK_RUNS, GPT2, THREE_DIGITS], ..PLAIN },
];

/// The one of Gemma 4, which has no words. It goes with the tokenizer model and is not to be chosen by name.
pub(super) static OF_LINES: PreTokenizer = PreTokenizer { stages: &[LINES], add_bos: true, ..PLAIN };

const PLAIN: PreTokenizer = PreTokenizer { names: &[], stages: &[], ignore_merges: false, add_bos: false, nfc: false };

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
const GPT2: Stage = &[
    Rule::Contraction { any_case: false },
    Rule::after(Set::of(SPACE), Set::of(LETTER)),
    Rule::after(Set::of(SPACE), Set::of(NUMBER)),
    Rule::after(Set::of(SPACE), Set::not(WHITE_SPACE | LETTER | NUMBER)),
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const LLAMA3: Stage = &[
    Rule::Contraction { any_case: true },
    Rule::after(Set::not(NEWLINE | LETTER | NUMBER), Set::of(LETTER)),
    Rule::count(Set::of(NUMBER), 1, 3),
    OTHERS_AND_NEWLINES,
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// As [`LLAMA3`], with numbers one by one: `\p{N}`
const QWEN2: Stage = &[
    Rule::Contraction { any_case: true },
    Rule::after(Set::not(NEWLINE | LETTER | NUMBER), Set::of(LETTER)),
    Rule::count(Set::of(NUMBER), 1, 1),
    OTHERS_AND_NEWLINES,
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// As [`QWEN2`], with marks inside words: `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+` and ` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`
const QWEN35: Stage = &[
    Rule::Contraction { any_case: true },
    Rule::after(Set::not(NEWLINE | LETTER | NUMBER), Set::of(LETTER | MARK)),
    Rule::count(Set::of(NUMBER), 1, 1),
    Rule::tailed(Set::of(SPACE), Set::not(WHITE_SPACE | LETTER | MARK | NUMBER), Some(Set::of(NEWLINE)), usize::MAX),
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const OTHERS_AND_NEWLINES: Rule =
    Rule::tailed(Set::of(SPACE), Set::not(WHITE_SPACE | LETTER | NUMBER), Some(Set::of(NEWLINE)), usize::MAX);

/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
const OTHERS_NEWLINES_SLASHES: Rule =
    Rule::tailed(Set::of(SPACE), Set::not(WHITE_SPACE | LETTER | NUMBER), Some(Set::of(NEWLINE | SLASH)), usize::MAX);

/// Words told apart by case, each with its contraction, then `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*` and white space
const GPT4O: Stage = &[
    Rule::WordToLower { contraction: true },
    Rule::WordFromUpper { contraction: true },
    Rule::count(Set::of(NUMBER), 1, 3),
    OTHERS_NEWLINES_SLASHES,
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// As [`GPT4O`], without contractions and with numbers one by one
const TEKKEN: Stage = &[
    Rule::WordToLower { contraction: false },
    Rule::WordFromUpper { contraction: false },
    Rule::count(Set::of(NUMBER), 1, 1),
    OTHERS_NEWLINES_SLASHES,
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// As [`QWEN2`], with several words at once and ` ?[^\s\p{L}\p{N}]+[\r\n/]?`
const EXAONE_MOE: Stage = &[
    Rule::Contraction { any_case: true },
    Rule::Phrase,
    Rule::count(Set::of(NUMBER), 1, 1),
    Rule::tailed(Set::of(SPACE), Set::not(WHITE_SPACE | LETTER | NUMBER), Some(Set::of(NEWLINE | SLASH)), 1),
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*``
/// and white space
const DEEPSEEK3: Stage = &[
    Rule::only_after(Set::of(ASCII_PUNCTUATION), Set::of(ASCII_LETTER)),
    Rule::after(Set::not(NEWLINE | LETTER | PUNCTUATION | SYMBOL), Set::of(LETTER | MARK)),
    Rule::tailed(Set::of(SPACE), Set::of(PUNCTUATION | SYMBOL), Some(Set::of(NEWLINE)), usize::MAX),
    Rule::Newlines,
    Rule::SpaceBeforeLast,
    Rule::Space,
];

/// `\p{N}{1,3}`
const UP_TO_THREE_NUMBERS: Stage = &[Rule::count(Set::of(NUMBER), 1, 3)];
/// `\p{N}`
const EACH_NUMBER: Stage = &[Rule::count(Set::of(NUMBER), 1, 1)];
/// `\p{N}+`
const NUMBERS: Stage = &[Rule::run(Set::of(NUMBER))];
/// `[0-9][0-9][0-9]`
const THREE_DIGITS: Stage = &[Rule::count(Set::of(ASCII_DIGIT), 3, 3)];
/// `[\r\n]`
const EACH_NEWLINE: Stage = &[Rule::count(Set::of(NEWLINE), 1, 1)];
/// `[^\n]+|[\n]+`
const LINES: Stage = &[Rule::run(Set::not(0).and(&[('\n', '\n')])), Rule::run(Set::of(0).and(&[('\n', '\n')]))];
/// `\s+$`
const SPACE_AT_END: Stage = &[Rule::SpaceAtEnd];
/// `[一-龥\u3040-ゟ゠-ヿ]+`
const HAN_AND_KANA: Stage = &[Rule::run(Set::of(0).and(&[('\u{3040}', '\u{30FF}'), ('\u{4E00}', '\u{9FA5}')]))];
/// `[一-龥ࠀ-一가-\uD7FF]+`
const EAST_ASIAN_WORDS: Stage = &[Rule::run(Set::of(0).and(&[('\u{0800}', '\u{9FA5}'), ('\u{AC00}', '\u{D7FF}')]))];
/// `[\p{P}\$\+<=>\^~\|]+`
const PUNCTUATION_RUNS: Stage =
    &[Rule::run(Set::of(PUNCTUATION).and(&[('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('|', '|'), ('~', '~')]))];
/// ``[\p{P}\$\+<=>\^~\|`]+``
const PUNCTUATION_AND_BACKTICK_RUNS: Stage = &[Rule::run(Set::of(PUNCTUATION).and(&[
    ('$', '$'),
    ('+', '+'),
    ('<', '>'),
    ('^', '^'),
    ('`', '`'),
    ('|', '|'),
    ('~', '~'),
]))];
/// `\s?\p{L}+`
const SPACED_LETTERS: Stage = &[Rule::after(Set::of(WHITE_SPACE), Set::of(LETTER))];
/// `\s?\p{P}+`
const SPACED_PUNCTUATION: Stage = &[Rule::after(Set::of(WHITE_SPACE), Set::of(PUNCTUATION))];
/// `\s?[!-/:-~！-／：-～‘-‟\u3000-。]+`
const MARKS_OF_PUNCTUATION: Stage = &[Rule::after(
    Set::of(WHITE_SPACE),
    Set::of(0).and(&[
        ('!', '/'),
        (':', '~'),
        ('\u{2018}', '\u{201F}'),
        ('\u{3000}', '\u{3002}'),
        ('\u{FF01}', '\u{FF0F}'),
        ('\u{FF1A}', '\u{FF5E}'),
    ]),
)];
/// `\s?[A-Za-zµÀ-ÖØ-ö...]+`
const CASED_WORDS: Stage = &[Rule::after(Set::of(WHITE_SPACE), Set::of(0).and(CASED_LETTERS))];

/// The letters with case that the expression of `deepseek-llm` lists: neither Armenian's nor Georgian's small ones, and
/// none that Unicode got later.
const CASED_LETTERS: &[(char, char)] = &[
    ('\u{0041}', '\u{005A}'),
    ('\u{0061}', '\u{007A}'),
    ('\u{00B5}', '\u{00B5}'),
    ('\u{00C0}', '\u{00D6}'),
    ('\u{00D8}', '\u{00F6}'),
    ('\u{00F8}', '\u{01BA}'),
    ('\u{01BC}', '\u{01BF}'),
    ('\u{01C4}', '\u{0293}'),
    ('\u{0295}', '\u{02AF}'),
    ('\u{0370}', '\u{0373}'),
    ('\u{0376}', '\u{0377}'),
    ('\u{037B}', '\u{037D}'),
    ('\u{037F}', '\u{037F}'),
    ('\u{0386}', '\u{0386}'),
    ('\u{0388}', '\u{038A}'),
    ('\u{038C}', '\u{038C}'),
    ('\u{038E}', '\u{03A1}'),
    ('\u{03A3}', '\u{03F5}'),
    ('\u{03F7}', '\u{0481}'),
    ('\u{048A}', '\u{052F}'),
    ('\u{0531}', '\u{0556}'),
    ('\u{10A0}', '\u{10C5}'),
    ('\u{13A0}', '\u{13F5}'),
    ('\u{13F8}', '\u{13FD}'),
    ('\u{1C90}', '\u{1CBA}'),
    ('\u{1CBD}', '\u{1CBF}'),
    ('\u{1D00}', '\u{1D2B}'),
    ('\u{1D6B}', '\u{1D77}'),
    ('\u{1D79}', '\u{1D9A}'),
    ('\u{1E00}', '\u{1F15}'),
    ('\u{1F18}', '\u{1F1D}'),
    ('\u{1F20}', '\u{1F45}'),
    ('\u{1F48}', '\u{1F4D}'),
    ('\u{1F50}', '\u{1F57}'),
    ('\u{1F59}', '\u{1F59}'),
    ('\u{1F5B}', '\u{1F5B}'),
    ('\u{1F5D}', '\u{1F5D}'),
    ('\u{1F5F}', '\u{1F7D}'),
    ('\u{1F80}', '\u{1FB4}'),
    ('\u{1FB6}', '\u{1FBC}'),
    ('\u{1FBE}', '\u{1FBE}'),
    ('\u{1FC2}', '\u{1FC4}'),
    ('\u{1FC6}', '\u{1FCC}'),
    ('\u{1FD0}', '\u{1FD3}'),
    ('\u{1FD6}', '\u{1FDB}'),
    ('\u{1FE0}', '\u{1FEC}'),
    ('\u{1FF2}', '\u{1FF4}'),
    ('\u{1FF6}', '\u{1FFC}'),
    ('\u{2102}', '\u{2102}'),
    ('\u{2107}', '\u{2107}'),
    ('\u{210A}', '\u{2113}'),
    ('\u{2115}', '\u{2115}'),
    ('\u{2119}', '\u{211D}'),
    ('\u{2124}', '\u{2124}'),
    ('\u{2126}', '\u{2126}'),
    ('\u{2128}', '\u{2128}'),
    ('\u{212A}', '\u{212D}'),
    ('\u{212F}', '\u{2134}'),
    ('\u{2139}', '\u{2139}'),
    ('\u{213C}', '\u{213F}'),
    ('\u{2145}', '\u{2149}'),
    ('\u{214E}', '\u{214E}'),
    ('\u{2183}', '\u{2184}'),
    ('\u{2C00}', '\u{2C7B}'),
    ('\u{2C7E}', '\u{2CE4}'),
    ('\u{2CEB}', '\u{2CEE}'),
    ('\u{2CF2}', '\u{2CF3}'),
    ('\u{A640}', '\u{A66D}'),
    ('\u{A680}', '\u{A69B}'),
    ('\u{A722}', '\u{A76F}'),
    ('\u{A771}', '\u{A787}'),
    ('\u{A78B}', '\u{A78E}'),
    ('\u{AB70}', '\u{ABBF}'),
    ('\u{FB00}', '\u{FB06}'),
    ('\u{FB13}', '\u{FB17}'),
    ('\u{FF21}', '\u{FF3A}'),
    ('\u{FF41}', '\u{FF5A}'),
    ('\u{10400}', '\u{1044F}'),
    ('\u{104B0}', '\u{104D3}'),
    ('\u{104D8}', '\u{104FB}'),
    ('\u{10C80}', '\u{10CB2}'),
    ('\u{10CC0}', '\u{10CF2}'),
    ('\u{118A0}', '\u{118DF}'),
    ('\u{1E900}', '\u{1E943}'),
];

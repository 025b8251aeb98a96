//! What can be wrong with a vocabulary.

use thiserror::Error;

/// A vocabulary that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// `tokenizer.ggml.model` names a kind of tokenizer that is not built in.
    #[error(
        "unknown tokenizer model `{found}`: expected one of {known}; convert the model with one of these tokenizers"
    )]
    UnknownModel {
        /// The name in the file.
        found: String,
        /// The names that are understood.
        known: String,
    },
    /// `tokenizer.ggml.pre` names a pre-tokenizer that is not built in.
    #[error("unknown pre-tokenizer `{found}`: expected one of {known}; name the closest one with `--pre` to override")]
    UnknownPre {
        /// The name in the file.
        found: String,
        /// The names that are understood.
        known: String,
    },
    /// A list has not one entry per token.
    #[error(
        "`{list}` has {found} entries, but the vocabulary has {expected} tokens; the file is damaged or was converted wrongly"
    )]
    Length {
        /// GGUF key of the list.
        list: &'static str,
        /// Number of tokens.
        expected: usize,
        /// Number of entries in the list.
        found: usize,
    },
    /// There are no tokens, or more than an id can number.
    #[error("`tokenizer.ggml.tokens` has {0} entries; expected between 1 and 4294967295")]
    VocabularySize(usize),
    /// A special token's id is outside the vocabulary.
    #[error("`{key}` is {id}, but the vocabulary has {n_vocab} tokens; ids must be smaller than that")]
    IdOutOfRange {
        /// GGUF key of the id.
        key: &'static str,
        /// The id in the file.
        id: u32,
        /// Number of tokens.
        n_vocab: usize,
    },
    /// The model asks for a token at the start or end that it does not name.
    #[error("`{flag}` is true, but the file has no `{id_key}`; set the id, or the flag to false")]
    MissingId {
        /// GGUF key of the flag.
        flag: &'static str,
        /// GGUF key of the missing id.
        id_key: &'static str,
    },
    /// Two tokens have the same text.
    #[error("tokens {first} and {second} are both {text:?}; a vocabulary must not repeat a token")]
    Duplicate {
        /// The repeated text.
        text: String,
        /// The smaller id.
        first: u32,
        /// The larger id.
        second: u32,
    },
    /// A token type number that GGUF does not define.
    #[error(
        "token type {0} is unknown; expected 0 to 6 (undefined, normal, unknown, control, user-defined, unused, byte)"
    )]
    UnknownTokenType(i32),
    /// A byte token is not spelled `<0xHH>`.
    #[error("byte token {id} is spelled {text:?}; expected `<0x` two upper-case hexadecimal digits `>`")]
    ByteToken {
        /// Id of the token.
        id: u32,
        /// Its text.
        text: String,
    },
    /// A score is not a number.
    #[error("the score of token {id} is not a number; expected a finite score")]
    Score {
        /// Id of the token.
        id: u32,
    },
    /// The tokenizer needs a list that the file does not have.
    #[error(
        "the `{model}` tokenizer needs `{list}`, which is missing or empty; convert the model again with its tokenizer"
    )]
    MissingList {
        /// The tokenizer model.
        model: String,
        /// GGUF key of the list.
        list: &'static str,
    },
    /// A merge is not two tokens of the vocabulary that join to a third.
    #[error("merge {index} is {text:?}: {problem}")]
    Merge {
        /// Position in `tokenizer.ggml.merges`, from 0.
        index: usize,
        /// The merge as it stands in the file.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Some byte of ordinary text can be expressed by no token.
    #[error("no token stands for byte 0x{byte:02X}; text with that byte could not be encoded, the file is damaged")]
    NoByte {
        /// The byte.
        byte: u8,
    },
    /// The index of added tokens could not be built.
    #[error("cannot index the {n_tokens} added tokens of the vocabulary: {reason}; the file is damaged")]
    AddedTokens {
        /// Number of tokens to find in text.
        n_tokens: usize,
        /// Why not.
        reason: String,
    },
}

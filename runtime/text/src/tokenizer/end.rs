//! Which tokens end a generation.

use super::vocab::{TokenType, Vocab, VocabSource};

/// A token that is known by its spelling to end what a model generates.
struct EndToken {
    text: &'static str,
    /// It ends nothing in a vocabulary that has all tokens of one of these lists.
    unless: &'static [&'static [&'static str]],
}

const fn end(text: &'static str) -> EndToken {
    EndToken { text, unless: &[] }
}

/// Files name one or two end tokens, models use more. A token counts only if the vocabulary has it as an added one.
const END_TOKENS: &[EndToken] = &[
    // ChatML. HyperCLOVA X Think puts it between its reasoning and its answer and ends with one of the other two.
    EndToken { text: "<|im_end|>", unless: &[&["<|endofturn|>", "<|stop|>"]] },
    // Phi. With GPT-OSS and Solar Open it ends one message of several.
    EndToken { text: "<|end|>", unless: &[&["<|return|>", "<|call|>"], &["<|calls|>", "<|flush|>"]] },
    // HyperCLOVA X, EXAONE
    end("<|endofturn|>"),
    end("<|stop|>"),
    end("[|endofturn|]"),
    // GPT-OSS
    end("<|return|>"),
    end("<|call|>"),
    // Solar Open
    end("<|calls|>"),
    end("<|flush|>"),
    // Llama 3
    end("<|eot_id|>"),
    end("<|eom_id|>"),
    end("<|end_of_text|>"),
    // GPT-2, Qwen and many more
    end("<|endoftext|>"),
    // Qwen's code models: the next file begins
    end("<|file_sep|>"),
    end("<|repo_name|>"),
    // Gemma 1 to 3, and 4
    end("<end_of_turn>"),
    end("<turn|>"),
    // DeepSeek
    end("<｜end▁of▁sentence｜>"),
    end("<|EOT|>"),
];

/// The ids that end a generation, in rising order: what the file names, and what [`END_TOKENS`] finds.
pub(crate) fn end_tokens(source: &VocabSource, vocab: &Vocab) -> Vec<u32> {
    let added = |text: &str| {
        let id = vocab.id(text)?;
        matches!(vocab.token_type(id), TokenType::Control | TokenType::UserDefined).then_some(id)
    };
    let known = END_TOKENS
        .iter()
        .filter(|end| !end.unless.iter().any(|others| others.iter().all(|text| added(text).is_some())))
        .filter_map(|end| added(end.text));
    let mut ids: Vec<u32> = [source.eos, source.eot, source.eom].into_iter().flatten().chain(known).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

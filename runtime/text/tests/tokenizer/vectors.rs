//! The test vectors that llama.cpp keeps beside its vocabularies, fetched by `reference.py`.
//!
//! Of its fifteen sets, `bert-bge` is of a kind that no chat model has (WordPiece).

use silhak_text::Special;

use crate::support::{test_file, tokenizer_of_gguf};

const SETS: [&str; 14] = [
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gemma-4",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "mpt",
    "phi-3",
    "qwen2",
    "qwen35",
    "refact",
    "starcoder",
];

#[test]
fn llama_cpp_vectors() {
    for set in SETS {
        let file = |ending| test_file(&format!("ggml-vocab/ggml-vocab-{set}.gguf{ending}"));
        let (Some(vocab), Some(inputs), Some(outputs)) = (file(""), file(".inp"), file(".out")) else { return };
        let tokenizer = tokenizer_of_gguf(&vocab);
        let inputs = std::fs::read_to_string(inputs).unwrap();
        let outputs = std::fs::read_to_string(outputs).unwrap();
        let inputs: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
        // The files end with a separator or with the last text.
        let inputs = &inputs[..outputs.lines().count()];
        assert!(inputs.len() >= 46, "{set}: {} texts", inputs.len());
        for (text, ids) in inputs.iter().zip(outputs.lines()) {
            let expected: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(tokenizer.encode(text, Special::Ignore), expected, "{set}: {text:?}");
        }
    }
}

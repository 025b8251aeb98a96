//! `<|im_start|>assistant -> tool/function_call\n[{"name": "날씨", "arguments": {"도시": "서울"}}]<|im_end|>`
//!
//! A prompt ends in `<|im_start|>assistant`, so an answer that is nothing but a call begins in the middle of that.

use super::json::read_calls;
use super::syntax::{Quotes, Syntax, json_begins};

pub(super) const SYNTAX: Syntax = Syntax {
    open: "<|im_start|>assistant -> tool/function_call\n",
    leading: Some("-> tool/function_call\n"),
    close: "<|im_end|>",
    frames: &["<|im_end|>", "<|im_start|>assistant\n"],
    quotes: Quotes::JSON,
    begins: json_begins,
    read: read_calls,
    tells_its_end: true,
};

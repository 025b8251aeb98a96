//! `<|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>날씨<|tool_call:args|>{"도시": "서울"}<|tool_call:end|>`

use super::json::read_object;
use super::syntax::{Quotes, Syntax, word_begins};
use crate::ToolCall;

const NAME: &str = "<|tool_call:name|>";
const ARGUMENTS: &str = "<|tool_call:args|>";

pub(super) const SYNTAX: Syntax = Syntax {
    open: "<|tool_call:begin|>",
    leading: None,
    close: "<|tool_call:end|>",
    frames: &["<|begin|>assistant", "<|content|>", "<|tool_calls|>", "<|calls|>", "<|end|>"],
    quotes: Quotes::JSON,
    begins: |body| word_begins(body, &[NAME]),
    read,
    tells_its_end: true,
};

fn read(body: &str) -> Result<Vec<ToolCall>, String> {
    let (id, body) = body.split_once(NAME).ok_or_else(|| format!("expected {NAME}, found {body:?}"))?;
    let (name, arguments) =
        body.split_once(ARGUMENTS).ok_or_else(|| format!("expected {ARGUMENTS}, found {body:?}"))?;
    let (id, name) = (id.trim(), name.trim());
    if name.is_empty() {
        return Err("expected the name of a tool, found none".to_owned());
    }
    let id = (!id.is_empty()).then(|| id.to_owned());
    Ok(vec![ToolCall { id, ..ToolCall::new(name, read_object(arguments)?) }])
}

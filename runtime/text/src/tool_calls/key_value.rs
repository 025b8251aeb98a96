//! `<tool_call>날씨\n<arg_key>도시</arg_key>\n<arg_value>서울</arg_value>\n</tool_call>`

use serde_json::{Map, Value};

use super::syntax::{Quotes, Syntax, word_begins};
use crate::ToolCall;

pub(super) const SYNTAX: Syntax = Syntax {
    open: "<tool_call>",
    leading: None,
    close: "</tool_call>",
    frames: &[],
    quotes: Quotes { open: "<arg_value>", close: "</arg_value>", escapes: false },
    begins,
    read,
    tells_its_end: false,
};

fn begins(body: &str) -> Option<bool> {
    let is_nameless = body.trim_start().starts_with('<');
    if is_nameless { Some(false) } else { word_begins(body, &["<arg_key>", "</tool_call>"]) }
}

fn read(body: &str) -> Result<Vec<ToolCall>, String> {
    let (name, mut rest) = body.split_at(body.find("<arg_key>").unwrap_or(body.len()));
    let name = name.trim();
    if name.is_empty() {
        return Err("expected the name of a tool, found none".to_owned());
    }
    let mut arguments = Map::new();
    while !rest.trim_start().is_empty() {
        let (key, behind) = tagged(rest, "<arg_key>", "</arg_key>")?;
        let (value, behind) = tagged(behind, "<arg_value>", "</arg_value>")?;
        // Text is written as it is, anything else as JSON.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        arguments.insert(key.trim().to_owned(), value);
        rest = behind;
    }
    Ok(vec![ToolCall::new(name, arguments)])
}

/// What stands between two tags, and what stands behind them.
fn tagged<'a>(text: &'a str, open: &str, close: &str) -> Result<(&'a str, &'a str), String> {
    let text = text.trim_start();
    text.strip_prefix(open)
        .and_then(|text| text.split_once(close))
        .ok_or_else(|| format!("expected {open}..{close}, found {text:?}"))
}

//! `<tool_call>{"name": "날씨", "arguments": {"도시": "서울"}}</tool_call>`

use super::json::read_calls;
use super::syntax::{Quotes, Syntax, json_begins};

pub(super) const SYNTAX: Syntax = Syntax {
    open: "<tool_call>",
    leading: None,
    close: "</tool_call>",
    frames: &[],
    quotes: Quotes::JSON,
    begins: json_begins,
    read: read_calls,
    tells_its_end: true,
};

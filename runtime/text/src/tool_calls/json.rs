//! Reads calls that are written as JSON.

use serde_json::{Map, Value};

use crate::ToolCall;

/// The names under which models give arguments.
const ARGUMENTS: [&str; 3] = ["arguments", "parameters", "input"];

/// Reads one call, or a list of them.
pub(super) fn read_calls(text: &str) -> Result<Vec<ToolCall>, String> {
    match serde_json::from_str(text).map_err(|error| format!("expected JSON, found {error}"))? {
        Value::Array(calls) if !calls.is_empty() => calls.into_iter().map(read_call).collect(),
        call => Ok(vec![read_call(call)?]),
    }
}

fn read_call(call: Value) -> Result<ToolCall, String> {
    let Value::Object(mut call) = call else {
        return Err(format!("expected an object with a name and arguments, found {call}"));
    };
    let name = match call.remove("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        Some(other) => return Err(format!("expected the name of a tool, found {other}")),
        None => return Err("expected a field \"name\", found none".to_owned()),
    };
    let arguments = ARGUMENTS.iter().find_map(|&key| call.remove(key));
    let id = call.remove("id").and_then(|id| id.as_str().map(str::to_owned));
    Ok(ToolCall { id, ..ToolCall::new(name, object(arguments)?) })
}

/// Arguments are an object, or the text of one; a tool that needs none may get none.
fn object(arguments: Option<Value>) -> Result<Map<String, Value>, String> {
    match arguments {
        Some(Value::Object(arguments)) => Ok(arguments),
        Some(Value::String(text)) => read_object(&text),
        Some(Value::Null) | None => Ok(Map::new()),
        Some(other) => Err(format!("expected arguments as an object, found {other}")),
    }
}

/// Reads the text of an object.
pub(super) fn read_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("expected arguments as a JSON object, found {error}"))
}

//! The messages of a conversation, as chat templates see them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool`, or another role the template knows.
    pub role: String,
    /// What is said.
    #[serde(default)]
    pub content: String,
    /// The thinking that led to the answer, without its tags. Templates call it `reasoning_content`.
    #[serde(default, rename = "reasoning_content", skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The tools the assistant calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In an answer of a tool: the [`ToolCall::id`] it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The speaker's name; in an answer of a tool, the tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A message with this role and content and nothing else.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), ..Self::default() }
    }

    /// An instruction to the model.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// An answer of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// What a tool answered to the call `tool_call_id`.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(tool_call_id.into()), ..Self::new("tool", content) }
    }
}

/// A call of a tool (function) by the assistant.
///
/// Its JSON form is the one of chat APIs and templates:
/// `{"id": ..., "type": "function", "function": {"name": ..., "arguments": {...}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ToolCallJson", into = "ToolCallJson")]
pub struct ToolCall {
    /// Names the call, so that the answer can refer to it.
    pub id: Option<String>,
    /// The name of the function.
    pub name: String,
    /// Its arguments, usually an object. The order of its keys is kept.
    pub arguments: Value,
}

impl ToolCall {
    /// A call without an id.
    pub fn new(name: impl Into<String>, arguments: Map<String, Value>) -> Self {
        Self { id: None, name: name.into(), arguments: Value::Object(arguments) }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct ToolCallJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", default)]
    kind: CallKind,
    function: FunctionJson,
}

/// The one kind of call there is; anything else is refused when read.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CallKind {
    #[default]
    Function,
}

#[derive(Clone, Serialize, Deserialize)]
struct FunctionJson {
    name: String,
    arguments: Value,
}

impl From<ToolCallJson> for ToolCall {
    fn from(json: ToolCallJson) -> Self {
        let FunctionJson { name, arguments } = json.function;
        Self { id: json.id, name, arguments }
    }
}

impl From<ToolCall> for ToolCallJson {
    fn from(call: ToolCall) -> Self {
        let ToolCall { id, name, arguments } = call;
        Self { id, kind: CallKind::Function, function: FunctionJson { name, arguments } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_the_keys_templates_use_and_only_those_that_are_set() {
        let plain = serde_json::to_value(Message::user("안녕")).unwrap();
        assert_eq!(plain, json!({"role": "user", "content": "안녕"}));

        let mut full = Message::assistant("");
        full.reasoning = Some("생각".into());
        let arguments = json!({"city": "서울"}).as_object().unwrap().clone();
        full.tool_calls = vec![ToolCall::new("weather", arguments)];
        let json = serde_json::to_value(&full).unwrap();
        assert_eq!(
            json,
            json!({
                "role": "assistant", "content": "", "reasoning_content": "생각",
                "tool_calls": [{
                    "type": "function",
                    "function": {"name": "weather", "arguments": {"city": "서울"}},
                }],
            })
        );
        assert_eq!(serde_json::from_value::<Message>(json).unwrap(), full);
    }

    #[test]
    fn a_call_of_another_type_is_refused() {
        let call = json!({"type": "browser", "function": {"name": "f", "arguments": {}}});
        assert!(serde_json::from_value::<ToolCall>(call).is_err());
    }
}

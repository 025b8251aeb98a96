//! From messages to the tokens of a prompt.

use serde_json::{Map, Value};
use silhak_text::{ChatTemplate, DateTime, Message, RenderOptions, Special, Tokenizer, ToolCall};

use crate::Error;

/// How a conversation is rendered.
#[derive(Clone, Debug, Default)]
pub struct ChatOptions {
    /// Tools that the model may call, as JSON schemas in the form of chat APIs.
    pub tools: Vec<Value>,
    /// Further variables of the template, such as `enable_thinking`.
    pub variables: Map<String, Value>,
    /// The time that a template is told if it asks; `None` is now, in UTC.
    pub now: Option<DateTime>,
}

/// Stand around special tokens that somebody wrote in what a template is given, so that they can be told from the
/// template's own. Noncharacters: Unicode reserves them for use inside programs.
const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';

/// Renders a conversation and tokenizes it. Only what the template itself writes is parsed as special tokens.
pub(crate) fn chat(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &[Message],
    options: &ChatOptions,
) -> Result<Vec<u32>, Error> {
    let text_of = |id: Option<u32>| id.map(|id| tokenizer.token_text(id).to_owned());
    let marker = Marker { tokenizer };
    let messages: Vec<Message> = messages.iter().map(|message| marker.message(message)).collect();
    let rendered = template.render(
        &messages,
        &RenderOptions {
            tools: options.tools.iter().map(|tool| marker.json(tool)).collect(),
            options: options.variables.iter().map(|(name, value)| (name.clone(), marker.json(value))).collect(),
            bos_token: text_of(tokenizer.bos()),
            eos_token: text_of(tokenizer.eos()),
            now: options.now,
            ..RenderOptions::default()
        },
    )?;
    Ok(tokenizer.with_bos(marker.encode(&rendered)))
}

/// Marks what callers wrote, and heeds the marks in what a template made of it.
#[derive(Clone, Copy)]
struct Marker<'a> {
    tokenizer: &'a Tokenizer,
}

impl Marker<'_> {
    /// Names every field, so that a new one cannot be forgotten.
    fn message(self, message: &Message) -> Message {
        let Message { role, content, reasoning, tool_calls, tool_call_id, name } = message;
        let optional = |text: &Option<String>| text.as_ref().map(|text| self.text(text));
        Message {
            role: self.text(role),
            content: self.text(content),
            reasoning: optional(reasoning),
            tool_calls: tool_calls.iter().map(|call| self.tool_call(call)).collect(),
            tool_call_id: optional(tool_call_id),
            name: optional(name),
        }
    }

    fn tool_call(self, call: &ToolCall) -> ToolCall {
        let ToolCall { id, name, arguments } = call;
        ToolCall { id: id.as_ref().map(|id| self.text(id)), name: self.text(name), arguments: self.json(arguments) }
    }

    /// Every string in a value, the names of its fields included.
    fn json(self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(values) => values.iter().map(|value| self.json(value)).collect(),
            Value::Object(fields) => fields.iter().map(|(name, value)| (self.text(name), self.json(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Puts marks around every special token spelled in `text`. Marks in the text itself are dropped first.
    fn text(self, text: &str) -> String {
        let text = text.replace([OPEN, CLOSE], "");
        let mut marked = String::with_capacity(text.len());
        let mut done = 0;
        for range in self.tokenizer.special_tokens_in(&text) {
            marked.push_str(&text[done..range.start]);
            marked.push(OPEN);
            marked.push_str(&text[range.clone()]);
            marked.push(CLOSE);
            done = range.end;
        }
        marked.push_str(&text[done..]);
        marked
    }

    /// Encodes rendered text: special tokens count, but for those in marks. Marks around anything else are what is left
    /// of a text that the template cut, and mean nothing.
    fn encode(self, rendered: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut own = String::new();
        for (i, part) in rendered.split(OPEN).enumerate() {
            let marked = part.split_once(CLOSE).filter(|(marked, _)| i > 0 && self.is_special(marked));
            let (marked, rest) = marked.unwrap_or(("", part));
            if !marked.is_empty() {
                tokens.extend(self.tokenizer.encode(&own, Special::Parse));
                tokens.extend(self.tokenizer.encode(marked, Special::Ignore));
                own.clear();
            }
            own.extend(rest.split(CLOSE));
        }
        tokens.extend(self.tokenizer.encode(&own, Special::Parse));
        tokens
    }

    /// Whether `text` is one special token and nothing else.
    fn is_special(self, text: &str) -> bool {
        self.tokenizer.special_tokens_in(text).next() == Some(0..text.len())
    }
}

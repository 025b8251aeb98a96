//! A chat template of any text is refused, or renders any conversation within its bounds or fails.
//!
//! The input is the template; what follows a line `-----`, if there is one, is a [`Conversation`] in JSON.

use serde::Deserialize;
use silhak_text::{ChatTemplate, DateTime, Message, RenderOptions, ToolCall};

use crate::vocab::variant;

/// What a template is rendered with.
#[derive(Deserialize)]
#[serde(default)]
struct Conversation {
    messages: Vec<Message>,
    tools: Vec<serde_json::Value>,
    options: serde_json::Map<String, serde_json::Value>,
    add_generation_prompt: bool,
}

impl Default for Conversation {
    fn default() -> Conversation {
        let mut call = Message::assistant("");
        call.reasoning = Some("날씨를 보자".to_owned());
        call.tool_calls =
            vec![ToolCall::new("weather", serde_json::Map::from_iter([("city".to_owned(), "서울".into())]))];
        Conversation {
            messages: vec![
                Message::system("You are helpful."),
                Message::user("서울 날씨는 어때?"),
                call,
                Message::tool("1", "{\"sky\": \"맑음\"}"),
            ],
            tools: Vec::new(),
            options: serde_json::Map::new(),
            add_generation_prompt: true,
        }
    }
}

/// Reads `bytes` as a template and renders it; panics on anything that must not be. Where it is refused or fails,
/// gives the name of the error's variant, or `"Input"` where the input is not of the form above.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "Input")?;
    let (source, conversation) = match text.split_once("\n-----\n") {
        Some((source, json)) => (source, serde_json::from_str(json).map_err(|_| "Input")?),
        None => (text, Conversation::default()),
    };
    let options = RenderOptions {
        add_generation_prompt: conversation.add_generation_prompt,
        tools: conversation.tools,
        bos_token: Some("<s>".to_owned()),
        eos_token: Some("</s>".to_owned()),
        options: conversation.options,
        // The same at every replay.
        now: Some(DateTime::from_unix(1_790_000_000, 9 * 3600)),
    };
    let render = || ChatTemplate::parse(source)?.render(&conversation.messages, &options);
    match render() {
        Ok(prompt) => {
            // A template is bounded by its conversation, a small multiple and a constant.
            assert!(prompt.len() <= (4 << 20) + 64 * bytes.len(), "{} bytes", prompt.len());
            Ok(())
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < (1 << 16) + 8 * bytes.len(), "a message of {} bytes", message.len());
            Err(variant(&error))
        }
    }
}

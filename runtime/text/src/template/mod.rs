//! Chat templates: from messages to the prompt a model was trained on.

mod builtin;
mod clock;
mod error;
mod jinja;

use serde_json::{Map, Value};

pub use clock::DateTime;
pub use error::TemplateError;

use crate::Message;

/// The longest source of a template, in bytes.
const MAX_SOURCE: usize = 256 * 1024;
/// The work any template may do, in units of about one nanosecond.
const BASE_FUEL: u64 = 48 << 20;
/// Further work for each byte of the conversation, as templates copy and search it several times.
const FUEL_PER_BYTE: u64 = 128;
/// Further work for each message, as templates walk over all messages more than once.
const FUEL_PER_MESSAGE: u64 = 64 << 10;
/// What any template may write, in bytes.
const BASE_OUTPUT: usize = 1 << 20;
/// What it may write for each byte of the conversation.
const OUTPUT_PER_BYTE: usize = 8;

/// The options that can be passed on to a template, beside the conversation and the tools.
///
/// These are the variables that published templates read. Anything else would be a mistake, or an
/// attempt to replace what the template is given.
pub const TEMPLATE_OPTIONS: &[&str] = &[
    "available_tools",
    "builtin_tools",
    "clear_thinking",
    "controls",
    "current_date",
    "custom_tools",
    "date_string",
    "documents",
    "drop_thinking",
    "enable_citations",
    "enable_thinking",
    "force_reasoning",
    "grounding",
    "include_thinking",
    "keep_past_thinking",
    "keep_reasoning",
    "knowledge_cutoff",
    "model_identity",
    "preserve_thinking",
    "reasoning",
    "reasoning_effort",
    "reasoning_mode",
    "reasoning_strength",
    "response_format",
    "skip_reasoning",
    "skip_thinking",
    "system_prompt",
    "think_render_option",
    "thinking",
    "thinking_budget",
    "thinking_effort",
    "thinking_mode",
    "thinking_option",
    "tool_choice",
    "tools_in_user_message",
    "truncate_history_thinking",
];

/// A chat template: the Jinja source that a model's file carries in `tokenizer.chat_template`.
///
/// It renders as Hugging Face's `apply_chat_template` does. A template comes from whoever made the
/// file, so it is given nothing but the values below and is bounded in size, nesting, work, memory
/// and output: a hostile one gets an error.
///
/// ```
/// use silhak_text::{ChatTemplate, Message, RenderOptions};
///
/// let template = ChatTemplate::parse(
///     "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}\
///      {% if add_generation_prompt %}<assistant>{% endif %}",
/// )?;
/// let prompt = template.render(&[Message::user("안녕")], &RenderOptions::default())?;
/// assert_eq!(prompt, "<user>안녕</><assistant>");
/// # Ok::<(), silhak_text::TemplateError>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    body: Vec<jinja::Stmt>,
}

/// What a template is given beside the messages.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// Whether the prompt ends in what makes the model answer. On by default.
    pub add_generation_prompt: bool,
    /// The tools the model may call, as JSON schemas of functions.
    pub tools: Vec<Value>,
    /// The text of the beginning-of-sequence token, if the model has one.
    pub bos_token: Option<String>,
    /// The text of the end-of-sequence token, if the model has one.
    pub eos_token: Option<String>,
    /// Further options of the template, such as `enable_thinking`: [`TEMPLATE_OPTIONS`].
    pub options: Map<String, Value>,
    /// The time that `strftime_now` tells. By default the present, in UTC.
    pub now: Option<DateTime>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            tools: Vec::new(),
            bos_token: None,
            eos_token: None,
            options: Map::new(),
            now: None,
        }
    }
}

impl ChatTemplate {
    /// The source of a template for a file that has none, if one is known for its `general.architecture`. Models of one
    /// architecture may speak differently: `has_token` tells whether the vocabulary has a special token, and there is no
    /// template for a model that lacks those it would need.
    ///
    /// ```
    /// use silhak_text::ChatTemplate;
    ///
    /// let source = ChatTemplate::builtin("exaone4", |token| token == "[|endofturn|]").unwrap();
    /// assert!(ChatTemplate::parse(source).is_ok());
    /// assert!(ChatTemplate::builtin("exaone4", |_| false).is_none());
    /// ```
    pub fn builtin(architecture: &str, has_token: impl Fn(&str) -> bool) -> Option<&'static str> {
        builtin::find(architecture, has_token)
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError::TooLarge`], [`TemplateError::TooDeep`] or [`TemplateError::Syntax`].
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::TooLarge { found: source.len(), limit: MAX_SOURCE });
        }
        Ok(Self { body: jinja::parse(source)? })
    }

    /// Renders a conversation into a prompt.
    ///
    /// The prompt holds the model's special tokens as text, so it is to be tokenized with special
    /// tokens recognised, and without a further beginning-of-sequence token where it begins with
    /// one already.
    ///
    /// # Errors
    /// [`TemplateError::Refused`] if the template does not accept this conversation,
    /// [`TemplateError::UnknownOption`] for an option that templates do not have, and others if the
    /// template fails or takes too much.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TemplateError> {
        for key in options.options.keys() {
            if !TEMPLATE_OPTIONS.contains(&key.as_str()) {
                let known = TEMPLATE_OPTIONS.join(", ");
                return Err(TemplateError::UnknownOption { key: key.clone(), known });
            }
        }
        let count = messages.len();
        let messages = json(messages)?;
        let tools = match options.tools.as_slice() {
            [] => Value::Null,
            tools => Value::Array(tools.to_vec()),
        };
        let size = text_size(&messages) + text_size(&tools) + options.options.values().map(text_size).sum::<usize>();

        let mut variables = vec![
            ("messages", messages),
            ("tools", tools),
            ("add_generation_prompt", Value::Bool(options.add_generation_prompt)),
        ];
        // A model without one leaves the variable undefined, as Hugging Face's renderer does.
        for (name, token) in [("bos_token", &options.bos_token), ("eos_token", &options.eos_token)] {
            if let Some(token) = token {
                variables.push((name, Value::String(token.clone())));
            }
        }
        // There is no retrieval here, but templates may ask whether there was any.
        if !options.options.contains_key("documents") {
            variables.push(("documents", Value::Null));
        }
        let inputs = jinja::Inputs {
            variables,
            options: options.options.clone().into_iter().collect(),
            now: options.now.unwrap_or_else(|| DateTime::now(0)),
            fuel: BASE_FUEL + FUEL_PER_BYTE * size as u64 + FUEL_PER_MESSAGE * count as u64,
            output_limit: BASE_OUTPUT + OUTPUT_PER_BYTE * size,
        };
        jinja::render(&self.body, &inputs)
    }
}

fn json(messages: &[Message]) -> Result<Value, TemplateError> {
    serde_json::to_value(messages).map_err(|error| TemplateError::Render { line: 1, detail: error.to_string() })
}

/// About the bytes of text in a value.
fn text_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + text_size(value)).sum(),
        _ => 8,
    }
}

//! Tells the calls of tools from the rest of an answer.

mod end;
mod hermes;
mod json;
mod key_value;
mod marks;
mod role_switch;
mod solar;
mod splitter;
mod syntax;
#[cfg(test)]
mod tests;

pub use splitter::{AnswerPiece, ToolCallError, ToolCallSplitter};

use syntax::Syntax;

/// How a model writes that it calls a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolCallFormat {
    /// EXAONE 4.0 and 4.5, K-EXAONE, A.X 4.0, Qwen 2.5 and most others: `<tool_call>{"name": .., "arguments": ..}</tool_call>`.
    Hermes,
    /// HyperCLOVA X Think 14B: the assistant speaks as `assistant -> tool/function_call`, in JSON.
    RoleSwitch,
    /// HyperCLOVA X Think 32B, GLM: a name, then an `<arg_key>` and an `<arg_value>` for each argument.
    KeyValue,
    /// Solar Open: `<|tool_call:begin|>`, an id, the name, and the arguments as JSON.
    Solar,
}

impl ToolCallFormat {
    /// The format that a chat template writes; `None` for a model that calls no tools, or in a way that is not known here.
    ///
    /// ```
    /// use silhak_text::ToolCallFormat;
    ///
    /// let template = "{{ '<tool_call>' }}{{ call.function | tojson }}{{ '</tool_call>' }}";
    /// assert_eq!(ToolCallFormat::of_template(template), Some(ToolCallFormat::Hermes));
    /// ```
    pub fn of_template(source: &str) -> Option<Self> {
        let has = |mark| source.contains(mark);
        if has("tool/function_call") {
            Some(Self::RoleSwitch)
        } else if has("<|tool_call:begin|>") {
            Some(Self::Solar)
        } else if !has("<tool_call>") || has("<function=") || has("<invoke") {
            // Between the same tags some write XML, which is no format of a model that is supported.
            None
        } else if has("<arg_key>") {
            Some(Self::KeyValue)
        } else {
            Some(Self::Hermes)
        }
    }

    fn syntax(self) -> &'static Syntax {
        match self {
            Self::Hermes => &hermes::SYNTAX,
            Self::RoleSwitch => &role_switch::SYNTAX,
            Self::KeyValue => &key_value::SYNTAX,
            Self::Solar => &solar::SYNTAX,
        }
    }
}

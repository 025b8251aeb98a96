//! Tokenizers, chat templates and streaming detokenization for GGUF vocabularies.

#![forbid(unsafe_code)]

mod detokenize;
mod message;
mod reasoning;
mod stop;
mod template;
mod tokenizer;
mod tool_calls;

pub use detokenize::Detokenizer;
pub use message::{Message, ToolCall};
pub use reasoning::{Parted, ReasoningSplitter, ReasoningTags};
pub use stop::{EmptyStopString, StopMatcher, StopStep};
pub use template::{ChatTemplate, DateTime, RenderOptions, TEMPLATE_OPTIONS, TemplateError};
pub use tokenizer::{Special, TokenType, Tokenizer, TokenizerError, VocabSource};
pub use tool_calls::{AnswerPiece, ToolCallError, ToolCallFormat, ToolCallSplitter};

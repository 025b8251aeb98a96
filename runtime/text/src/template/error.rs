//! What can go wrong with a chat template.

/// A chat template could not be read or rendered.
///
/// Lines are counted from 1 in the template's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The source is too long.
    #[error(
        "the chat template is {found} bytes long; at most {limit} are accepted: \
         the file is damaged or not a chat model"
    )]
    TooLarge {
        /// Its length in bytes.
        found: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// Brackets, blocks or chains of operators are nested too deeply.
    #[error(
        "line {line} of the chat template nests {what} more than {limit} deep: \
         no real template does, the file is damaged or hostile"
    )]
    TooDeep {
        /// What is nested.
        what: &'static str,
        /// Where the limit is passed.
        line: usize,
        /// The greatest depth that is accepted.
        limit: usize,
    },
    /// The source is not the Jinja that chat templates are written in.
    #[error("line {line} of the chat template cannot be parsed: {detail}")]
    Syntax {
        /// Where.
        line: usize,
        /// What was expected and found.
        detail: String,
    },
    /// The template itself refused the conversation, by `raise_exception`.
    #[error("the chat template refuses this conversation: {message}")]
    Refused {
        /// The template's own words.
        message: String,
    },
    /// Rendering failed.
    #[error("line {line} of the chat template failed: {detail}")]
    Render {
        /// Where.
        line: usize,
        /// What was expected and found.
        detail: String,
    },
    /// Rendering took more work than a template may do.
    #[error(
        "line {line} of the chat template used up the work a template may do: \
         the file is damaged or hostile, or the conversation far too long"
    )]
    OutOfFuel {
        /// Where the limit was passed.
        line: usize,
    },
    /// The rendered prompt grew too long.
    #[error("the chat template wrote more than {limit} bytes: the file is damaged or hostile")]
    OutputTooLong {
        /// The most that is accepted for this conversation.
        limit: usize,
    },
    /// An option is not one that templates may be given.
    #[error("`{key}` is not a chat template option; known are: {known}")]
    UnknownOption {
        /// The name that was given.
        key: String,
        /// The names that can be given, separated by commas.
        known: String,
    },
}

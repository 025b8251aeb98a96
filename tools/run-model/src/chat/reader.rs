//! What the user types: a line, or several between `"""`.

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::messages::Lang;
use crate::output;

const PROMPT: &str = ">>> ";
const MORE: &str = "... ";
const QUOTES: &str = "\"\"\"";

/// The line editor.
pub(super) struct Reader {
    editor: DefaultEditor,
}

impl Reader {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { editor: DefaultEditor::new()? })
    }

    /// The next thing the user says; none when they leave with Ctrl-D. Ctrl-C drops what was being typed.
    pub(super) fn read(&mut self, lang: Lang) -> anyhow::Result<Option<String>> {
        loop {
            match self.read_text() {
                Ok(text) => {
                    self.editor.add_history_entry(&text)?;
                    return Ok(Some(text));
                }
                Err(ReadlineError::Interrupted) => output::note(lang.how_to_leave()),
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_text(&mut self) -> Result<String, ReadlineError> {
        let line = self.editor.readline(PROMPT)?;
        let Some(mut quoted) = Quoted::begin(&line) else { return Ok(line) };
        while !quoted.is_closed() {
            quoted.push(&self.editor.readline(MORE)?);
        }
        Ok(quoted.text)
    }
}

/// A text of several lines, so far.
struct Quoted {
    text: String,
    closed: bool,
}

impl Quoted {
    /// Begins with a line that starts with quotes.
    fn begin(line: &str) -> Option<Self> {
        let rest = line.trim_start().strip_prefix(QUOTES)?;
        let mut quoted = Self { text: String::new(), closed: false };
        quoted.push(rest);
        Some(quoted)
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a line; one that ends with quotes is the last.
    fn push(&mut self, line: &str) {
        let last = line.trim_end().strip_suffix(QUOTES);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(last.unwrap_or(line));
        self.closed = last.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_several_lines() {
        let mut quoted = Quoted::begin("\"\"\"첫째").unwrap();
        quoted.push("");
        quoted.push("/bye");
        assert!(!quoted.is_closed());
        quoted.push("끝\"\"\" ");
        assert!(quoted.is_closed());
        assert_eq!(quoted.text, "첫째\n\n/bye\n끝");
    }

    #[test]
    fn one_line_may_open_and_close() {
        let quoted = Quoted::begin("\"\"\"하나\"\"\"").unwrap();
        assert!(quoted.is_closed() && quoted.text == "하나");
        assert!(Quoted::begin("그는 \"\"\"라고 썼다").is_none());
        assert!(!Quoted::begin("\"\"\"").unwrap().is_closed());
    }
}

//! Finds calls in an answer that arrives in pieces.

use super::ToolCallFormat;
use super::end::EndFinder;
use super::marks::{Found, first_mark, leading_mark};
use crate::ToolCall;

/// A piece of an answer, with the calls that ended in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerPiece {
    /// What is said to the user.
    pub text: String,
    /// The tools called, in order; an error for what begins like a call and is none.
    pub calls: Vec<Result<ToolCall, ToolCallError>>,
}

/// What begins like a call of a tool cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolCallError {
    /// The answer ends within the call.
    #[error("expected the end of a tool call, found that of the answer behind {text:?}: allow a longer answer")]
    CutOff {
        /// All that the model wrote of it, with its marks.
        text: String,
    },
    /// It is not what the format says.
    #[error("{detail} in the tool call {text:?}: tell the model what is wrong, or ask again")]
    Malformed {
        /// What the model wrote, with its marks.
        text: String,
        /// What was expected, and what was found.
        detail: String,
    },
}

/// Parts the calls of tools from an answer that arrives in pieces: the answer alone, as [`crate::ReasoningSplitter`] gives
/// it, and with its special tokens spelled out, as many formats mark calls by these.
///
/// What may be the beginning of a call is held back until that is known, and so is white space, which counts between texts
/// but not beside a call alone.
///
/// ```
/// use silhak_text::{ToolCallFormat, ToolCallSplitter};
///
/// let mut splitter = ToolCallSplitter::new(ToolCallFormat::Hermes);
/// let mut pieces = ["찾아볼게요.\n<tool", "_call>{\"name\": \"날씨\", \"argum", "ents\": {\"도시\": \"서울\"}}</tool_call>"]
///     .map(|text| splitter.push(text));
/// assert_eq!(pieces[0].text, "찾아볼게요.");
/// let call = pieces[2].calls.remove(0)?;
/// assert_eq!((call.name.as_str(), &call.arguments["도시"]), ("날씨", &"서울".into()));
/// # Ok::<(), silhak_text::ToolCallError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ToolCallSplitter {
    format: ToolCallFormat,
    state: State,
    /// What may be the beginning of a mark, between calls.
    held: String,
    /// White space whose meaning depends on what follows.
    space: String,
    /// Whether a call stands in that white space.
    beside_call: bool,
    has_text: bool,
    /// Off where a closing mark counts wherever it stands.
    heeds_quotes: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing but white space so far.
    Start,
    Text,
    Call(Call),
}

/// A call that has not ended.
#[derive(Clone, Debug)]
struct Call {
    /// Its opening mark.
    open: &'static str,
    /// What stands behind that so far.
    body: String,
    end: EndFinder,
}

impl ToolCallSplitter {
    /// A splitter at the beginning of an answer.
    pub fn new(format: ToolCallFormat) -> Self {
        Self {
            format,
            state: State::Start,
            held: String::new(),
            space: String::new(),
            beside_call: false,
            has_text: false,
            heeds_quotes: true,
        }
    }

    /// Takes the next piece of the answer and returns what can be told of it.
    pub fn push(&mut self, text: &str) -> AnswerPiece {
        let mut piece = AnswerPiece::default();
        let text = std::mem::take(&mut self.held) + text;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            rest = match std::mem::replace(&mut self.state, State::Text) {
                State::Start => self.start(rest),
                State::Text => self.text(rest, &mut piece),
                State::Call(call) => self.call(call, rest, &mut piece),
            };
        }
        piece
    }

    /// Ends the answer: what was held back is what it looks like, and a call that has not ended is an error.
    pub fn finish(&mut self) -> AnswerPiece {
        let mut piece = AnswerPiece::default();
        if let State::Call(call) = &mut self.state
            && call.end.is_quoted()
        {
            // A quotation mark too many would hide the end of this call and all that comes behind it.
            self.heeds_quotes = false;
            call.end = EndFinder::new(false);
            let body = std::mem::take(&mut call.body);
            piece = self.push(&body);
        }
        if let State::Call(call) = std::mem::replace(&mut self.state, State::Text) {
            self.cut_off(&call, &mut piece);
        }
        let held = std::mem::take(&mut self.held);
        self.say(&held, &mut piece);
        let space = std::mem::take(&mut self.space);
        if !self.beside_call {
            piece.text += &space;
        }
        piece
    }

    /// Looks for a call that begins as the answer does. Returns what is left of `text`, as the next two do.
    fn start<'a>(&mut self, text: &'a str) -> &'a str {
        let begun = text.trim_start();
        self.space += &text[..text.len() - begun.len()];
        match leading_mark(self.format.syntax(), begun) {
            Some(Found::Call(open)) => self.begin(open, begun),
            Some(Found::Perhaps) => {
                self.state = State::Start;
                self.hold(begun)
            }
            Some(Found::Frame(_)) | None => begun,
        }
    }

    fn text<'a>(&mut self, text: &'a str, piece: &mut AnswerPiece) -> &'a str {
        let Some((at, found)) = first_mark(self.format.syntax(), text) else {
            self.say(text, piece);
            return "";
        };
        let (said, rest) = text.split_at(at);
        self.say(said, piece);
        match found {
            Found::Call(open) => self.begin(open, rest),
            Found::Frame(len) => &rest[len..],
            Found::Perhaps => self.hold(rest),
        }
    }

    fn call<'a>(&mut self, mut call: Call, text: &'a str, piece: &mut AnswerPiece) -> &'a str {
        // Closing marks end in this character, so none has anything behind it here.
        let (now, rest) = text.split_at(text.find('>').map_or(text.len(), |at| at + 1));
        call.body += now;
        match call.end.find(&call.body, self.format.syntax()) {
            Some(at) => self.end(&call, at, piece),
            None => self.state = State::Call(call),
        }
        rest
    }

    fn hold<'a>(&mut self, text: &str) -> &'a str {
        self.held = text.to_owned();
        ""
    }

    fn begin<'a>(&mut self, open: &'static str, text: &'a str) -> &'a str {
        self.beside_call = true;
        self.state = State::Call(Call { open, body: String::new(), end: EndFinder::new(self.heeds_quotes) });
        &text[open.len()..]
    }

    /// Ends a call whose closing mark is at `close`, the last thing in its body.
    fn end(&self, call: &Call, close: usize, piece: &mut AnswerPiece) {
        match (self.format.syntax().read)(&call.body[..close]) {
            Ok(calls) => piece.calls.extend(calls.into_iter().map(Ok)),
            Err(detail) => piece.calls.push(Err(ToolCallError::Malformed { text: call.text(), detail })),
        }
    }

    /// Ends a call that has no closing mark.
    fn cut_off(&self, call: &Call, piece: &mut AnswerPiece) {
        let syntax = self.format.syntax();
        match (syntax.read)(&call.body) {
            Ok(calls) if syntax.tells_its_end => piece.calls.extend(calls.into_iter().map(Ok)),
            _ => piece.calls.push(Err(ToolCallError::CutOff { text: call.text() })),
        }
    }

    fn say(&mut self, text: &str, piece: &mut AnswerPiece) {
        let text_and_tail = text.trim_start();
        self.space += &text[..text.len() - text_and_tail.len()];
        let said = text_and_tail.trim_end();
        if said.is_empty() {
            return;
        }
        let tail = text_and_tail[said.len()..].to_owned();
        let space = std::mem::replace(&mut self.space, tail);
        if self.has_text || !self.beside_call {
            piece.text += &space;
        }
        piece.text += said;
        self.has_text = true;
        self.beside_call = false;
    }
}

impl Call {
    fn text(&self) -> String {
        format!("{}{}", self.open, self.body)
    }
}

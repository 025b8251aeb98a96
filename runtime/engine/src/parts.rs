//! The parts of what a model writes: thinking, answer, calls of tools.

use silhak_text::{
    AnswerPiece, Parted, ReasoningSplitter, ReasoningTags, Tokenizer, ToolCall, ToolCallError, ToolCallSplitter,
};

use crate::GenerateOptions;

/// A piece of text, parted.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Result<ToolCall, ToolCallError>>,
}

/// Parts text as it comes. Calls are looked for in the answer alone.
#[derive(Debug)]
pub(crate) struct Parter {
    reasoning: Option<ReasoningSplitter>,
    calls: Option<ToolCallSplitter>,
}

impl Parter {
    /// For what comes behind a prompt, whose end may have opened the thinking.
    pub(crate) fn new(options: &GenerateOptions, tokenizer: &Tokenizer, prompt: &[u32]) -> Self {
        Parter {
            reasoning: options.reasoning.map(|tags| reasoning_splitter(tags, tokenizer, prompt)),
            calls: options.tool_calls.map(ToolCallSplitter::new),
        }
    }

    /// Whether control tokens must be spelled out: a tag or a mark may be one. In an answer without calls they say nothing.
    pub(crate) fn wants_special(&self) -> bool {
        self.calls.is_some() || self.reasoning.as_ref().is_some_and(|splitter| !splitter.is_answering())
    }

    /// Whether the text so far ends within the thinking.
    pub(crate) fn is_thinking(&self) -> bool {
        self.reasoning.as_ref().is_some_and(ReasoningSplitter::is_thinking)
    }

    pub(crate) fn push(&mut self, text: &str) -> Parts {
        let Parted { reasoning, answer } = match &mut self.reasoning {
            Some(splitter) => splitter.push(text),
            None => Parted { answer: text.to_owned(), ..Parted::default() },
        };
        let AnswerPiece { text, calls } = self.answer(&answer);
        Parts { reasoning, text, calls }
    }

    /// Ends the text: what was held back comes out.
    pub(crate) fn finish(&mut self) -> Parts {
        let Parted { reasoning, answer } = self.reasoning.as_mut().map(ReasoningSplitter::finish).unwrap_or_default();
        let AnswerPiece { mut text, mut calls } = self.answer(&answer);
        let held = self.calls.as_mut().map(ToolCallSplitter::finish).unwrap_or_default();
        text += &held.text;
        calls.extend(held.calls);
        Parts { reasoning, text, calls }
    }

    fn answer(&mut self, text: &str) -> AnswerPiece {
        match &mut self.calls {
            Some(splitter) => splitter.push(text),
            None => AnswerPiece { text: text.to_owned(), ..AnswerPiece::default() },
        }
    }
}

/// A splitter that has seen the prompt's end.
fn reasoning_splitter(tags: ReasoningTags, tokenizer: &Tokenizer, prompt: &[u32]) -> ReasoningSplitter {
    // Tags are shorter than this, whatever tokens spell them.
    let end = &prompt[prompt.len().saturating_sub(64)..];
    let bytes: Vec<u8> = end.iter().flat_map(|&token| tokenizer.token_bytes_with_special(token)).copied().collect();
    ReasoningSplitter::new(tags, &String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use silhak_text::ToolCallFormat;

    use super::*;

    const CALL: &str = r#"<tool_call>{"name": "날씨", "arguments": {"도시": "서울"}}</tool_call>"#;

    /// All parts of a text that arrives in pieces of `len` characters.
    fn parted(parter: &mut Parter, text: &str, len: usize) -> Parts {
        let characters: Vec<char> = text.chars().collect();
        let pieces = characters.chunks(len).map(|piece| parter.push(&piece.iter().collect::<String>()));
        let mut parts: Vec<Parts> = pieces.collect();
        parts.push(parter.finish());
        parts.into_iter().fold(Parts::default(), |mut all, part| {
            all.reasoning += &part.reasoning;
            all.text += &part.text;
            all.calls.extend(part.calls);
            all
        })
    }

    #[test]
    fn what_is_thought_is_no_call() {
        for len in 1..9 {
            let mut parter = Parter {
                reasoning: Some(ReasoningSplitter::new(ReasoningTags::THINK, "<think>\n")),
                calls: Some(ToolCallSplitter::new(ToolCallFormat::Hermes)),
            };
            let parts = parted(&mut parter, &format!("{CALL} 할까?</think>\n\n찾아볼게요.\n{CALL}"), len);
            assert_eq!(parts.reasoning, format!("{CALL} 할까?"));
            assert_eq!(parts.text, "찾아볼게요.");
            let calls: Vec<_> = parts.calls.into_iter().map(|call| call.unwrap().name).collect();
            assert_eq!(calls, ["날씨"], "by {len}");
        }
    }

    #[test]
    fn control_tokens_are_spelled_while_one_may_be_a_mark() {
        let thinking = || Some(ReasoningSplitter::new(ReasoningTags::THINK, "<think>\n"));
        let mut parter = Parter { reasoning: thinking(), calls: None };
        assert!(parter.wants_special() && parter.is_thinking());
        parter.push("</think>답");
        assert!(!parter.wants_special() && !parter.is_thinking());
        let calls = Some(ToolCallSplitter::new(ToolCallFormat::Solar));
        assert!(Parter { reasoning: None, calls }.wants_special());
        assert!(!Parter { reasoning: None, calls: None }.wants_special());
    }
}

//! Tells a model's thinking from its answer.

/// How a model marks its thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasoningTags {
    /// What thinking begins with.
    pub open: &'static str,
    /// What it ends with; the answer comes behind it.
    pub close: &'static str,
    /// What the answer begins with, and is no part of it; empty where answers are not marked.
    pub answer: &'static str,
}

impl ReasoningTags {
    /// EXAONE 4.0 and 4.5, HyperCLOVA X Think 32B, and most others.
    pub const THINK: ReasoningTags = ReasoningTags { open: "<think>", close: "</think>", answer: "" };

    /// EXAONE Deep.
    pub const THOUGHT: ReasoningTags = ReasoningTags { open: "<thought>", close: "</thought>", answer: "" };

    /// HyperCLOVA X Think 14B: the assistant speaks twice, first as `assistant/think`. Behind the second `assistant` comes a
    /// line break and the answer, or ` -> tool/function_call`.
    pub const ROLE_SWITCH: ReasoningTags =
        ReasoningTags { open: "/think\n", close: "<|im_end|>\n<|im_start|>assistant", answer: "" };

    /// Solar Open: messages of their own, the one marked as thinking, the other as content. Calls of tools come instead of
    /// content.
    pub const MESSAGES: ReasoningTags =
        ReasoningTags { open: "<|think|>", close: "<|end|><|begin|>assistant", answer: "<|content|>" };

    /// The tags that a chat template writes or looks for; `None` for a model that does not think.
    ///
    /// ```
    /// use silhak_text::ReasoningTags;
    ///
    /// let template = "{% if '</thought>' in content %}...{% endif %}[|assistant|]<thought>\n";
    /// assert_eq!(ReasoningTags::of_template(template), Some(ReasoningTags::THOUGHT));
    /// ```
    pub fn of_template(source: &str) -> Option<ReasoningTags> {
        // What Naver's template says beside a role is not a tag that others have by chance.
        let marks = [
            ("assistant/think", Self::ROLE_SWITCH),
            ("<|think|>", Self::MESSAGES),
            ("<thought>", Self::THOUGHT),
            ("<think>", Self::THINK),
        ];
        marks.into_iter().find(|(mark, _)| source.contains(mark)).map(|(_, tags)| tags)
    }
}

/// A piece of text, parted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parted {
    /// What belongs to the thinking, without its tags.
    pub reasoning: String,
    /// What belongs to the answer.
    pub answer: String,
}

/// Parts text that arrives in pieces. Thinking comes before the answer or not at all: a tag in the middle of an answer is
/// text. What may be the beginning of a tag is held back until that is known.
///
/// ```
/// use silhak_text::{ReasoningSplitter, ReasoningTags};
///
/// let mut splitter = ReasoningSplitter::new(ReasoningTags::THINK, "[|assistant|]\n");
/// let pieces = ["<thi", "nk>\n1+1", "은 2</thi", "nk>\n\n", "2입니다."].map(|text| splitter.push(text));
/// let join = |part: fn(&silhak_text::Parted) -> &str| pieces.iter().map(part).collect::<String>();
/// assert_eq!(join(|piece| &piece.reasoning), "1+1은 2");
/// assert_eq!(join(|piece| &piece.answer), "2입니다.");
/// ```
#[derive(Clone, Debug)]
pub struct ReasoningSplitter {
    tags: ReasoningTags,
    state: State,
    held: String,
    /// Line breaks behind a tag belong to neither part.
    skips_breaks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far: thinking may still begin.
    Open,
    Thinking,
    /// The thinking is over or was ruled out, and the mark of an answer may follow.
    Closed,
    Answering,
}

impl State {
    /// Behind the thinking, or where there is none.
    fn closed(tags: ReasoningTags) -> State {
        if tags.answer.is_empty() { State::Answering } else { State::Closed }
    }
}

impl ReasoningSplitter {
    /// A splitter for what comes behind `prompt`, whose end may have opened the thinking, or closed it so that there is none.
    pub fn new(tags: ReasoningTags, prompt: &str) -> Self {
        let end = prompt.trim_end();
        let state = if end.ends_with(tags.open.trim_end()) {
            State::Thinking
        } else if end.ends_with(tags.close.trim_end()) {
            State::closed(tags)
        } else {
            State::Open
        };
        ReasoningSplitter { tags, state, held: String::new(), skips_breaks: state == State::Thinking }
    }

    /// Takes the next piece of text and returns what can be told apart of it.
    pub fn push(&mut self, text: &str) -> Parted {
        self.held.push_str(text);
        let mut parted = Parted::default();
        if self.state == State::Open {
            self.look_for_thinking();
        }
        if self.state == State::Thinking {
            self.think(&mut parted.reasoning);
        }
        if self.state == State::Closed {
            self.look_for_answer();
        }
        if self.state == State::Answering {
            self.release(self.held.len(), &mut parted.answer);
        }
        parted
    }

    /// Ends the text: what was held back is what it looks like.
    pub fn finish(&mut self) -> Parted {
        let mut parted = Parted::default();
        let part = if self.is_thinking() { &mut parted.reasoning } else { &mut parted.answer };
        part.push_str(&std::mem::take(&mut self.held));
        parted
    }

    /// Whether the text so far ends within the thinking.
    pub fn is_thinking(&self) -> bool {
        self.state == State::Thinking
    }

    /// Whether the answer has begun, in which tags mean nothing.
    pub fn is_answering(&self) -> bool {
        self.state == State::Answering
    }

    fn look_for_thinking(&mut self) {
        let begun = self.held.trim_start();
        if let Some(rest) = begun.strip_prefix(self.tags.open) {
            self.held = rest.to_owned();
            self.state = State::Thinking;
            self.skips_breaks = true;
        } else if !self.tags.open.starts_with(begun) {
            self.state = State::closed(self.tags);
        }
    }

    fn look_for_answer(&mut self) {
        let begun = self.held.trim_start();
        if let Some(rest) = begun.strip_prefix(self.tags.answer) {
            self.held = rest.to_owned();
            self.state = State::Answering;
        } else if !self.tags.answer.starts_with(begun) {
            self.state = State::Answering;
        }
    }

    fn think(&mut self, reasoning: &mut String) {
        if let Some(at) = self.held.find(self.tags.close) {
            self.release(at, reasoning);
            self.held.drain(..self.tags.close.len());
            self.state = State::closed(self.tags);
            self.skips_breaks = true;
        } else {
            self.release(self.held.len() - tail_in_common(&self.held, self.tags.close), reasoning);
        }
    }

    /// Hands out the first `len` bytes of what is held.
    fn release(&mut self, len: usize, part: &mut String) {
        let text = &self.held[..len];
        let text = if self.skips_breaks { text.trim_start_matches('\n') } else { text };
        self.skips_breaks &= text.is_empty();
        part.push_str(text);
        self.held.drain(..len);
    }
}

/// Bytes of the longest end of `text` with which `tag` begins.
fn tail_in_common(text: &str, tag: &str) -> usize {
    let most = tag.len().min(text.len());
    (1..=most).rev().find(|&len| text.as_bytes().ends_with(&tag.as_bytes()[..len])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both parts of a text that arrives in pieces of `len` characters.
    fn parted(tags: ReasoningTags, prompt: &str, text: &str, len: usize) -> (String, String, bool) {
        let mut splitter = ReasoningSplitter::new(tags, prompt);
        let characters: Vec<char> = text.chars().collect();
        let mut pieces: Vec<Parted> =
            characters.chunks(len).map(|piece| splitter.push(&piece.iter().collect::<String>())).collect();
        let thinking = splitter.is_thinking();
        pieces.push(splitter.finish());
        let join = |part: fn(&Parted) -> &str| pieces.iter().map(part).collect();
        (join(|piece| &piece.reasoning), join(|piece| &piece.answer), thinking)
    }

    #[test]
    fn wherever_pieces_end_the_parts_are_the_same() {
        const TAGS: [ReasoningTags; 4] =
            [ReasoningTags::THINK, ReasoningTags::THOUGHT, ReasoningTags::ROLE_SWITCH, ReasoningTags::MESSAGES];
        for tags in TAGS {
            let ReasoningTags { open, close, answer: mark } = tags;
            for (prompt, text, reasoning, answer, thinking) in [
                ("[|assistant|]\n", format!("{open}\n생각 < 1{close}\n\n답"), "생각 < 1", "답", false),
                ("x", "답만 있다".to_owned(), "", "답만 있다", false),
                ("x", format!("답에 {open}는 글"), "", &*format!("답에 {open}는 글"), false),
                ("x", format!("  \n{open}생각{close}답"), "생각", "답", false),
                ("x", format!("{open}끝나지 않은 생각"), "끝나지 않은 생각", "", true),
                ("x", format!("{open}생각{close}"), "생각", "", false),
                ("x", format!("{open}{close}답"), "", "답", false),
                ("x", "\n들여 쓴 답".to_owned(), "", "\n들여 쓴 답", false),
                (&*format!("x{open}"), format!("생각{close}답"), "생각", "답", false),
                (&*format!("x{open}\n"), format!("\n생각{close}\n답"), "생각", "답", false),
                (&*format!("x{open}\n\n{close}\n\n"), "답".to_owned(), "", "답", false),
                ("x", format!("{mark}답만 있다"), "", "답만 있다", false),
                ("x", format!("{open}생각{close}{mark}\n답"), "생각", "답", false),
                (&*format!("x{open}{close}"), format!("{mark}답"), "", "답", false),
            ] {
                for len in 1..8 {
                    let expected = (reasoning.to_owned(), answer.to_owned(), thinking);
                    assert_eq!(parted(tags, prompt, &text, len), expected, "{tags:?} {prompt:?} {text:?} by {len}");
                }
            }
        }
    }

    /// What is no beginning of a tag comes out at once.
    #[test]
    fn nothing_is_held_back_without_need() {
        let mut splitter = ReasoningSplitter::new(ReasoningTags::THINK, "");
        assert_eq!(splitter.push("<think>").reasoning, "");
        assert_eq!(splitter.push("가나 <").reasoning, "가나 ");
        assert_eq!(splitter.push("b").reasoning, "<b");
        assert_eq!(splitter.push("</th").reasoning, "");
        assert_eq!(splitter.push("ought>").reasoning, "</thought>");
        assert_eq!(splitter.push("</think>답").answer, "답");
        assert_eq!(splitter.push("<think").answer, "<think");
    }

    #[test]
    fn templates_tell_the_tags() {
        assert_eq!(
            ReasoningTags::of_template("{{ '<|im_start|>assistant/think\n' }}"),
            Some(ReasoningTags::ROLE_SWITCH)
        );
        assert_eq!(ReasoningTags::of_template("{{ '<think>\n' }}"), Some(ReasoningTags::THINK));
        assert_eq!(ReasoningTags::of_template("{{ '<|begin|>assistant<|think|>' }}"), Some(ReasoningTags::MESSAGES));
        assert_eq!(ReasoningTags::of_template("{{ '<|im_start|>' }}"), None);
    }
}

//! Splits the source of a template into text and the tokens of its tags.
//!
//! Whitespace is controlled as Jinja does with `trim_blocks` and `lstrip_blocks` on, which is how
//! chat templates are rendered: the newline after a block or comment is dropped, and so is the
//! indentation before one that begins its line.

use std::sync::Arc;

use super::super::TemplateError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(Arc<str>),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(Arc<str>),
    Str(Arc<str>),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

impl Token {
    /// How an error message names the token.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Text(_) => "text".into(),
            Token::PrintBegin => "`{{`".into(),
            Token::PrintEnd => "`}}`".into(),
            Token::BlockBegin => "`{%`".into(),
            Token::BlockEnd => "`%}`".into(),
            Token::Name(name) => format!("`{name}`"),
            Token::Str(_) => "a string".into(),
            Token::Int(_) | Token::Float(_) => "a number".into(),
            Token::Op(op) => format!("`{op}`"),
            Token::End => "the end of the template".into(),
        }
    }
}

/// Longest first, so that `//` is not read as `/` twice.
const OPERATORS: [&str; 27] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";", "!",
];

/// The tokens of `source`, each with its line, closed by [`Token::End`].
pub(super) fn tokenize(source: &str) -> Result<Vec<(Token, u32)>, TemplateError> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { rest: source, line: 1, at_line_start: true, tokens: Vec::new() };
    lexer.run()?;
    let line = lexer.line;
    lexer.tokens.push((Token::End, line));
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    /// Whether what was read last ended a line (or nothing was read yet).
    at_line_start: bool,
    tokens: Vec<(Token, u32)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Print,
    Block,
    Comment,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), TemplateError> {
        while !self.rest.is_empty() {
            let Some((at, tag)) = find_tag(self.rest) else {
                let rest = self.rest;
                self.push_text(rest);
                self.advance(rest.len());
                return Ok(());
            };
            let text = &self.rest[..at];
            let sign = self.rest.as_bytes().get(at + 2).copied();
            let text = self.strip_before(text, tag, sign);
            self.push_text(text);
            self.advance(at);
            match tag {
                Tag::Comment => self.comment()?,
                Tag::Print => self.tag(tag)?,
                Tag::Block => {
                    if !self.raw()? {
                        self.tag(tag)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The text before a tag, less what the tag strips.
    fn strip_before(&self, text: &'a str, tag: Tag, sign: Option<u8>) -> &'a str {
        match sign {
            Some(b'-') => return text.trim_end_matches(is_space),
            Some(b'+') => return text,
            _ if tag == Tag::Print => return text,
            _ => {}
        }
        let line_start = text.rfind('\n').map_or(0, |at| at + 1);
        let indented = text[line_start..].chars().all(is_space);
        if indented && (line_start > 0 || self.at_line_start) { &text[..line_start] } else { text }
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let Some(end) = self.rest[2..].find("#}").map(|at| at + 2) else {
            return self.fail("a comment `{#` is never closed by `#}`");
        };
        let sign = self.rest[2..end].bytes().last();
        self.advance(end + 2);
        self.strip_after(sign);
        Ok(())
    }

    /// Reads a whole `{% raw %} ... {% endraw %}`, if one begins here.
    fn raw(&mut self) -> Result<bool, TemplateError> {
        let Some((opening, strip)) = raw_tag(self.rest, "raw") else { return Ok(false) };
        self.advance(opening);
        if strip == Some(b'-') {
            self.skip_space();
        }
        let mut from = 0;
        while let Some(at) = self.rest[from..].find("{%").map(|at| from + at) {
            if let Some((closing, strip)) = raw_tag(&self.rest[at..], "endraw") {
                let sign = self.rest.as_bytes().get(at + 2).copied();
                let text = self.strip_before(&self.rest[..at], Tag::Block, sign);
                self.push_text(text);
                self.advance(at + closing);
                self.strip_after(strip);
                return Ok(true);
            }
            from = at + 2;
        }
        self.fail("`{% raw %}` is never closed by `{% endraw %}`")
    }

    /// Drops what the end of a block or comment drops.
    fn strip_after(&mut self, sign: Option<u8>) {
        match sign {
            Some(b'-') => self.skip_space(),
            Some(b'+') => {}
            _ if self.rest.starts_with('\n') => self.advance(1),
            _ => {}
        }
    }

    /// Reads one `{{ ... }}` or `{% ... %}`.
    fn tag(&mut self, tag: Tag) -> Result<(), TemplateError> {
        let (begin, end, close) = match tag {
            Tag::Print => (Token::PrintBegin, Token::PrintEnd, "}}"),
            _ => (Token::BlockBegin, Token::BlockEnd, "%}"),
        };
        self.push(begin);
        self.advance(2);
        if self.rest.starts_with(['-', '+']) {
            self.advance(1);
        }
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            self.skip_space();
            if open.is_empty() {
                let sign = self.rest.bytes().next().filter(|b| b"-+".contains(b));
                let signed = sign.is_some() && self.rest[1..].starts_with(close);
                if signed && (sign == Some(b'-') || tag == Tag::Block) {
                    self.push(end);
                    self.advance(1 + close.len());
                    self.strip_after(sign);
                    return Ok(());
                }
                if self.rest.starts_with(close) {
                    self.push(end);
                    self.advance(close.len());
                    if tag == Tag::Block {
                        self.strip_after(None);
                    }
                    return Ok(());
                }
            }
            self.token(&mut open, close)?;
        }
    }

    fn token(&mut self, open: &mut Vec<&'static str>, close: &'static str) -> Result<(), TemplateError> {
        let Some(first) = self.rest.chars().next() else {
            return self.fail(&format!("a tag is never closed by `{close}`"));
        };
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '_' || first.is_alphabetic() {
            let length = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(self.rest.len());
            self.push(Token::Name(self.rest[..length].into()));
            self.advance(length);
            return Ok(());
        }
        let Some(op) = OPERATORS.into_iter().find(|op| self.rest.starts_with(op)) else {
            return self.fail(&format!("unexpected character `{}`", first.escape_default()));
        };
        match op {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(op) => {
                return self.fail(&format!("unexpected `{op}`"));
            }
            _ => {}
        }
        self.push(Token::Op(op));
        self.advance(op.len());
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), TemplateError> {
        let mut value = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.push(Token::Str(value.into()));
                self.advance(1 + at + 1);
                return Ok(());
            }
            if c != '\\' {
                value.push(c);
                continue;
            }
            let Some((_, escaped)) = chars.next() else { break };
            match escaped {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'a' => value.push('\x07'),
                'b' => value.push('\x08'),
                'f' => value.push('\x0c'),
                'v' => value.push('\x0b'),
                '\\' | '\'' | '"' => value.push(escaped),
                '\n' => {}
                'x' | 'u' | 'U' => {
                    let digits = match escaped {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let text: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok());
                    let Some(c) = code.flatten().and_then(char::from_u32) else {
                        return self.fail(&format!("`\\{escaped}{text}` is not a character"));
                    };
                    value.push(c);
                }
                '0'..='7' => {
                    let mut code = escaped.to_digit(8).unwrap_or_default();
                    for _ in 0..2 {
                        let Some(digit) = chars.clone().next().and_then(|(_, c)| c.to_digit(8)) else {
                            break;
                        };
                        chars.next();
                        code = code * 8 + digit;
                    }
                    value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                // As in Python, a backslash that begins no escape stands for itself.
                other => {
                    value.push('\\');
                    value.push(other);
                }
            }
        }
        self.fail("a string is never closed")
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        let text = self.rest;
        let digits = |from: usize| {
            let tail = &text[from..];
            from + tail.find(|c: char| c != '_' && !c.is_ascii_digit()).unwrap_or(tail.len())
        };
        let radix = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => Some(16),
            Some("0o") => Some(8),
            Some("0b") => Some(2),
            _ => None,
        };
        if let Some(radix) = radix {
            let tail = &text[2..];
            let length = tail.find(|c: char| c != '_' && !c.is_digit(radix)).unwrap_or(tail.len());
            let Ok(value) = i128::from_str_radix(&tail[..length].replace('_', ""), radix) else {
                return self.fail("a number is out of range");
            };
            self.push(Token::Int(value));
            self.advance(2 + length);
            return Ok(());
        }

        let digit_at = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let mut end = digits(0);
        let mut float = false;
        if text[end..].starts_with('.') && digit_at(end + 1) {
            end = digits(end + 1);
            float = true;
        }
        if text[end..].starts_with(['e', 'E']) {
            let signed = text[end + 1..].starts_with(['+', '-']);
            let exponent = end + 1 + usize::from(signed);
            if digit_at(exponent) {
                end = digits(exponent);
                float = true;
            }
        }
        let clean = text[..end].replace('_', "");
        let token = if float { clean.parse().ok().map(Token::Float) } else { clean.parse().ok().map(Token::Int) };
        let Some(token) = token else { return self.fail("a number is out of range") };
        self.push(token);
        self.advance(end);
        Ok(())
    }

    fn skip_space(&mut self) {
        let length = self.rest.len() - self.rest.trim_start_matches(is_space).len();
        self.advance(length);
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Token::Text(text.into()));
        }
    }

    fn advance(&mut self, length: usize) {
        let (read, rest) = self.rest.split_at(length);
        self.line += read.bytes().filter(|&b| b == b'\n').count() as u32;
        if let Some(last) = read.bytes().last() {
            self.at_line_start = last == b'\n';
        }
        self.rest = rest;
    }

    fn fail<T>(&self, detail: &str) -> Result<T, TemplateError> {
        Err(TemplateError::Syntax { line: self.line as usize, detail: detail.to_owned() })
    }
}

fn find_tag(text: &str) -> Option<(usize, Tag)> {
    text.as_bytes().windows(2).enumerate().find_map(|(at, pair)| match pair {
        b"{{" => Some((at, Tag::Print)),
        b"{%" => Some((at, Tag::Block)),
        b"{#" => Some((at, Tag::Comment)),
        _ => None,
    })
}

/// The length of the tag `{% name %}` at the start of `text` and the sign before its `%}`.
fn raw_tag(text: &str, name: &str) -> Option<(usize, Option<u8>)> {
    let inner = text.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.trim_start_matches(is_space).strip_prefix(name)?;
    let inner = inner.trim_start_matches(is_space);
    let sign = inner.bytes().next().filter(|b| b"-+".contains(b));
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let rest = inner.strip_prefix("%}")?;
    Some((text.len() - rest.len(), sign))
}

/// Whitespace as Python's `str.isspace` and `\s` have it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

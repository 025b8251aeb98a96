//! Reads the tokens of a template into statements.
//!
//! The grammar is Jinja 3.1's, less what a chat template has no use for: inheritance, includes and
//! imports would reach for other files, so their tags are refused by name.

mod expressions;

use std::sync::Arc;

use super::super::TemplateError;
use super::ast::*;
use super::lexer::{Token, tokenize};

/// The greatest depth of blocks within blocks and of brackets within brackets.
pub(super) const MAX_NESTING: usize = 64;

/// Parses a whole template.
pub(crate) fn parse(source: &str) -> Result<Vec<Stmt>, TemplateError> {
    let mut parser = Parser { tokens: tokenize(source)?, at: 0, nesting: 0, loops: 0 };
    parser.body(&[])
}

type Parsed<T> = Result<T, TemplateError>;

struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    /// Blocks and brackets around the current token.
    nesting: usize,
    /// Loops around it, within the current macro.
    loops: usize,
}

// Statements.
impl Parser {
    /// Statements up to a block tag whose name is one of `ends`, which is left unread after its
    /// `{%`; with no `ends`, up to the end of the template.
    fn body(&mut self, ends: &[&str]) -> Parsed<Vec<Stmt>> {
        self.enter("blocks")?;
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let kind = match self.next() {
                Token::Text(text) => StmtKind::Text(text),
                Token::PrintBegin => {
                    let value = self.tuple()?;
                    self.expect(&Token::PrintEnd)?;
                    StmtKind::Print(value)
                }
                Token::BlockBegin => {
                    if let Token::Name(name) = self.peek()
                        && ends.contains(&&**name)
                    {
                        self.nesting -= 1;
                        return Ok(body);
                    }
                    self.statement()?
                }
                Token::End if ends.is_empty() => {
                    self.nesting -= 1;
                    return Ok(body);
                }
                other => {
                    let wanted = match ends.last() {
                        Some(end) => format!("`{{% {end} %}}`"),
                        None => "text or a tag".to_owned(),
                    };
                    return self.fail_at(line, &other, &wanted);
                }
            };
            body.push(Stmt { line, kind });
        }
    }

    /// One block tag and, for a block with a body, all up to its end tag.
    fn statement(&mut self) -> Parsed<StmtKind> {
        let line = self.line();
        let name = self.name()?;
        match &*name {
            "if" => self.if_block(),
            "for" => self.for_block(),
            "set" => self.set(),
            "macro" => self.macro_block(),
            "call" => self.call_block(),
            "filter" => {
                let first = self.filter()?;
                let filters = self.filters(vec![first])?;
                let body = self.block("endfilter")?;
                Ok(StmtKind::FilterBlock { filters, body })
            }
            "with" => {
                let mut bindings = Vec::new();
                while *self.peek() != Token::BlockEnd {
                    if !bindings.is_empty() {
                        self.expect_op(",")?;
                    }
                    let target = self.target()?;
                    self.expect_op("=")?;
                    bindings.push((target, self.expression()?));
                }
                Ok(StmtKind::With { bindings, body: self.block("endwith")? })
            }
            // Marks what the assistant wrote, for training; it renders as its body does.
            "generation" => Ok(StmtKind::With { bindings: Vec::new(), body: self.block("endgeneration")? }),
            "break" | "continue" if self.loops == 0 => self.syntax(line, format!("`{name}` stands outside of a loop")),
            "break" => self.tag_end(StmtKind::Break),
            "continue" => self.tag_end(StmtKind::Continue),
            "include" | "import" | "from" | "extends" | "block" => {
                self.syntax(line, format!("`{name}` is not accepted: a chat template stands alone in its file"))
            }
            _ => self.syntax(line, format!("unknown tag `{name}`")),
        }
    }

    fn if_block(&mut self) -> Parsed<StmtKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple()?;
            self.expect(&Token::BlockEnd)?;
            branches.push((condition, self.body(&["elif", "else", "endif"])?));
            let end = self.name()?;
            match &*end {
                "elif" => {}
                "else" => {
                    self.expect(&Token::BlockEnd)?;
                    let otherwise = self.body(&["endif"])?;
                    self.name()?;
                    return self.tag_end(StmtKind::If(branches, otherwise));
                }
                _ => return self.tag_end(StmtKind::If(branches, Vec::new())),
            }
        }
    }

    fn for_block(&mut self) -> Parsed<StmtKind> {
        let target = self.target()?;
        self.expect_name("in")?;
        let items = self.tuple_without_condition()?;
        let condition = if self.skip_name("if") { Some(self.expression()?) } else { None };
        if let Token::Name(name) = self.peek()
            && **name == *"recursive"
        {
            let line = self.line();
            return self.syntax(line, "recursive loops are not supported: use a macro".to_owned());
        }
        self.expect(&Token::BlockEnd)?;
        self.loops += 1;
        let body = self.body(&["else", "endfor"])?;
        self.loops -= 1;
        let end = self.name()?;
        let mut otherwise = Vec::new();
        if *end == *"else" {
            otherwise = self.block_body("endfor")?;
        }
        self.tag_end(StmtKind::For(Box::new(For { target, items, condition, body, otherwise })))
    }

    fn set(&mut self) -> Parsed<StmtKind> {
        let target = self.target()?;
        if self.skip_op("=") {
            let value = self.tuple()?;
            return self.tag_end(StmtKind::Set(target, value));
        }
        let filters = self.filters(Vec::new())?;
        let body = self.block("endset")?;
        Ok(StmtKind::SetBlock { target, filters, body })
    }

    fn macro_block(&mut self) -> Parsed<StmtKind> {
        let name = self.name()?;
        self.expect_op("(")?;
        let parameters = self.parameters()?;
        let body = self.macro_body("endmacro")?;
        Ok(StmtKind::Macro(Arc::new(Macro { name, parameters, body })))
    }

    fn call_block(&mut self) -> Parsed<StmtKind> {
        let parameters = if self.skip_op("(") { self.parameters()? } else { Vec::new() };
        let line = self.line();
        let call = self.expression()?;
        if !matches!(*call.kind, ExprKind::Call(..)) {
            return self.syntax(line, "`call` needs a call of a macro".to_owned());
        }
        let body = self.macro_body("endcall")?;
        let caller = Arc::new(Macro { name: "caller".into(), parameters, body });
        Ok(StmtKind::CallBlock { call, caller })
    }

    fn parameters(&mut self) -> Parsed<Vec<(Arc<str>, Option<Expr>)>> {
        let mut parameters = Vec::new();
        while !self.skip_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
            }
            let name = self.name()?;
            let default = if self.skip_op("=") { Some(self.expression()?) } else { None };
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    /// A loop around a macro is not a loop around its body.
    fn macro_body(&mut self, end: &str) -> Parsed<Vec<Stmt>> {
        let loops = std::mem::take(&mut self.loops);
        let body = self.block(end)?;
        self.loops = loops;
        Ok(body)
    }

    /// The rest of an opening tag, its body and its end tag.
    fn block(&mut self, end: &str) -> Parsed<Vec<Stmt>> {
        let body = self.block_body(end)?;
        self.expect(&Token::BlockEnd)?;
        Ok(body)
    }

    /// The same up to the name of the end tag.
    fn block_body(&mut self, end: &str) -> Parsed<Vec<Stmt>> {
        self.expect(&Token::BlockEnd)?;
        let body = self.body(&[end])?;
        self.name()?;
        // `{% endmacro name %}` may repeat the name.
        if end == "endmacro" && matches!(self.peek(), Token::Name(_)) {
            self.name()?;
        }
        Ok(body)
    }

    fn tag_end(&mut self, kind: StmtKind) -> Parsed<StmtKind> {
        self.expect(&Token::BlockEnd)?;
        Ok(kind)
    }

    fn target(&mut self) -> Parsed<Target> {
        let mut targets = vec![self.single_target()?];
        let mut tuple = false;
        while self.skip_op(",") {
            tuple = true;
            if !matches!(self.peek(), Token::Name(name) if **name != *"in") && *self.peek() != Token::Op("(") {
                break;
            }
            targets.push(self.single_target()?);
        }
        match targets.pop() {
            Some(target) if !tuple => Ok(target),
            Some(target) => {
                targets.push(target);
                Ok(Target::Tuple(targets))
            }
            None => Ok(Target::Tuple(targets)),
        }
    }

    fn single_target(&mut self) -> Parsed<Target> {
        if self.skip_op("(") {
            self.enter("brackets")?;
            let target = self.target()?;
            self.expect_op(")")?;
            self.nesting -= 1;
            return Ok(target);
        }
        let line = self.line();
        let name = self.name()?;
        if ["true", "false", "none", "True", "False", "None"].contains(&&*name) {
            return self.syntax(line, format!("cannot assign to `{name}`"));
        }
        if self.skip_op(".") {
            return Ok(Target::Attribute(name, self.name()?));
        }
        Ok(Target::Name(name))
    }
}

// The token stream.
impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// The line of the next token.
    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |&(_, line)| line)
    }

    fn skip_op(&mut self, op: &'static str) -> bool {
        let found = *self.peek() == Token::Op(op);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(found) if **found == *name);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Parsed<()> {
        let line = self.line();
        let found = self.next();
        if found == *token { Ok(()) } else { self.fail_at(line, &found, &token.describe()) }
    }

    fn expect_op(&mut self, op: &'static str) -> Parsed<()> {
        self.expect(&Token::Op(op))
    }

    fn expect_name(&mut self, name: &str) -> Parsed<()> {
        self.expect(&Token::Name(name.into()))
    }

    fn name(&mut self) -> Parsed<Arc<str>> {
        let line = self.line();
        match self.next() {
            Token::Name(name) => Ok(name),
            other => self.fail_at(line, &other, "a name"),
        }
    }

    /// Guards the recursion of the parser. Errors end parsing, so they need not leave again.
    fn enter(&mut self, what: &'static str) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let line = self.line() as usize;
            return Err(TemplateError::TooDeep { what, line, limit: MAX_NESTING });
        }
        Ok(())
    }

    fn fail_at<T>(&self, line: u32, found: &Token, wanted: &str) -> Parsed<T> {
        self.syntax(line, format!("expected {wanted}, found {}", found.describe()))
    }

    fn syntax<T>(&self, line: u32, detail: String) -> Parsed<T> {
        Err(TemplateError::Syntax { line: line as usize, detail })
    }
}

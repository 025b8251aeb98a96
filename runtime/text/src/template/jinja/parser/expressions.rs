//! Expressions.

use super::super::super::TemplateError;
use super::super::ast::*;
use super::super::lexer::Token;
use super::{Parsed, Parser};

/// The greatest height of one expression: chains such as `a.b.c` or `a + b + c` count as well.
const MAX_HEIGHT: u32 = 200;

/// From the loosest binding to the tightest.
impl Parser {
    /// An expression, or several with commas between them: a tuple.
    pub(super) fn tuple(&mut self) -> Parsed<Expr> {
        self.tuple_of(Self::expression)
    }

    /// The same where `if` ends the expression: `for x in y if z`.
    pub(super) fn tuple_without_condition(&mut self) -> Parsed<Expr> {
        self.tuple_of(Self::or)
    }

    fn tuple_of(&mut self, item: fn(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        let line = self.line();
        let first = item(self)?;
        if *self.peek() != Token::Op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op(",") {
            if matches!(self.peek(), Token::PrintEnd | Token::BlockEnd | Token::Op(")")) {
                break;
            }
            items.push(item(self)?);
        }
        let height = tallest(&items);
        self.node(line, height, ExprKind::Tuple(items))
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.enter("brackets")?;
        let line = self.line();
        let mut then = self.or()?;
        while self.skip_name("if") {
            let condition = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.expression()?) } else { None };
            let height =
                then.height.max(condition.height).max(otherwise.as_ref().map_or(0, |otherwise| otherwise.height));
            then = self.node(line, height, ExprKind::Conditional { condition, then, otherwise })?;
        }
        self.nesting -= 1;
        Ok(then)
    }

    fn or(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            let height = left.height.max(right.height);
            left = self.node(line, height, ExprKind::Or(left, right))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            let height = left.height.max(right.height);
            left = self.node(line, height, ExprKind::And(left, right))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.compare();
        }
        self.enter("operators")?;
        let of = self.not()?;
        self.nesting -= 1;
        self.node(line, of.height, ExprKind::Not(of))
    }

    fn compare(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        let mut height = first.height;
        while let Some(comparison) = self.comparison()? {
            let right = self.sum()?;
            height = height.max(right.height);
            rest.push((comparison, right));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        self.node(line, height, ExprKind::Compare(first, rest))
    }

    fn comparison(&mut self) -> Parsed<Option<Comparison>> {
        let comparison = match self.peek() {
            Token::Op("==") => Comparison::Eq,
            Token::Op("!=") => Comparison::Ne,
            Token::Op("<") => Comparison::Lt,
            Token::Op("<=") => Comparison::Le,
            Token::Op(">") => Comparison::Gt,
            Token::Op(">=") => Comparison::Ge,
            Token::Name(name) if **name == *"in" => Comparison::In,
            Token::Name(name) if **name == *"not" => {
                self.next();
                self.expect_name("in")?;
                return Ok(Some(Comparison::NotIn));
            }
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(comparison))
    }

    fn sum(&mut self) -> Parsed<Expr> {
        const OPS: [(&str, Arithmetic); 2] = [("+", Arithmetic::Add), ("-", Arithmetic::Sub)];
        self.left_to_right(&OPS, Self::concat)
    }

    fn concat(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let first = self.product()?;
        if *self.peek() != Token::Op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        let height = tallest(&parts);
        self.node(line, height, ExprKind::Concat(parts))
    }

    fn product(&mut self) -> Parsed<Expr> {
        const OPS: [(&str, Arithmetic); 4] =
            [("*", Arithmetic::Mul), ("/", Arithmetic::Div), ("//", Arithmetic::FloorDiv), ("%", Arithmetic::Rem)];
        self.left_to_right(&OPS, Self::power)
    }

    fn power(&mut self) -> Parsed<Expr> {
        const OPS: [(&str, Arithmetic); 1] = [("**", Arithmetic::Pow)];
        self.left_to_right(&OPS, Self::filtered)
    }

    fn left_to_right(
        &mut self,
        ops: &[(&'static str, Arithmetic)],
        operand: fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let line = self.line();
        let mut left = operand(self)?;
        while let Some(&(_, op)) = ops.iter().find(|(op, _)| *self.peek() == Token::Op(op)) {
            self.next();
            let right = operand(self)?;
            let height = left.height.max(right.height);
            left = self.node(line, height, ExprKind::Arithmetic(op, left, right))?;
        }
        Ok(left)
    }

    /// An operand with the filters and tests after it.
    fn filtered(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let mut value = self.signed()?;
        loop {
            if self.skip_op("|") {
                let filter = self.filter()?;
                let height = value.height.max(args_height(&filter.args));
                value = self.node(line, height, ExprKind::Filtered(value, filter))?;
            } else if self.skip_name("is") {
                value = self.test(line, value)?;
            } else if *self.peek() == Token::Op("(") {
                value = self.call(line, value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let negative = *self.peek() == Token::Op("-");
        if !negative && *self.peek() != Token::Op("+") {
            return self.operand();
        }
        self.next();
        self.enter("operators")?;
        let of = self.signed()?;
        self.nesting -= 1;
        let height = of.height;
        self.node(line, height, if negative { ExprKind::Negate(of) } else { ExprKind::Plus(of) })
    }

    /// A primary with the attributes, items and calls after it.
    fn operand(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let mut value = self.primary()?;
        loop {
            if self.skip_op(".") {
                let height = value.height;
                value = match self.next() {
                    Token::Name(name) => self.node(line, height, ExprKind::Attribute(value, name))?,
                    Token::Int(index) => {
                        let index = self.node(line, 0, ExprKind::Int(index))?;
                        self.node(line, height, ExprKind::Item(value, index))?
                    }
                    other => return self.fail_at(line, &other, "a name after `.`"),
                };
            } else if self.skip_op("[") {
                value = self.subscript(line, value)?;
            } else if *self.peek() == Token::Op("(") {
                value = self.call(line, value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, line: u32, of: Expr) -> Parsed<Expr> {
        let bound = |parser: &mut Self| match parser.peek() {
            Token::Op(":" | "]") => Ok(None),
            _ => parser.expression().map(Some),
        };
        let start = bound(self)?;
        let kind = if self.skip_op(":") {
            let stop = bound(self)?;
            let step = if self.skip_op(":") { bound(self)? } else { None };
            ExprKind::Slice { of, start, stop, step }
        } else {
            match start {
                Some(index) => ExprKind::Item(of, index),
                None => {
                    let found = self.peek().clone();
                    return self.fail_at(line, &found, "an index after `[`");
                }
            }
        };
        self.expect_op("]")?;
        let height = match &kind {
            ExprKind::Item(of, index) => of.height.max(index.height),
            ExprKind::Slice { of, start, stop, step } => {
                let bounds = [start, stop, step].into_iter().flatten();
                bounds.fold(of.height, |height, bound| height.max(bound.height))
            }
            _ => 0,
        };
        self.node(line, height, kind)
    }

    fn call(&mut self, line: u32, callee: Expr) -> Parsed<Expr> {
        let args = self.args()?;
        let height = callee.height.max(args_height(&args));
        self.node(line, height, ExprKind::Call(callee, args))
    }

    fn test(&mut self, line: u32, of: Expr) -> Parsed<Expr> {
        let negated = self.skip_name("not");
        let name = self.name()?;
        let mut args = Args::default();
        match self.peek() {
            Token::Op("(") => args = self.args()?,
            Token::Name(word) if ["else", "or", "and", "is", "if", "not", "in"].contains(&&**word) => {}
            Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => {
                args.positional.push(self.operand()?)
            }
            _ => {}
        }
        let height = of.height.max(args_height(&args));
        self.node(line, height, ExprKind::Test { of, negated, name, args })
    }

    pub(super) fn filters(&mut self, mut filters: Vec<Filter>) -> Parsed<Vec<Filter>> {
        while self.skip_op("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    pub(super) fn filter(&mut self) -> Parsed<Filter> {
        let name = self.name()?;
        let args = if *self.peek() == Token::Op("(") { self.args()? } else { Args::default() };
        Ok(Filter { name, args })
    }

    fn args(&mut self) -> Parsed<Args> {
        self.expect_op("(")?;
        let mut args = Args::default();
        let mut first = true;
        while !self.skip_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            first = false;
            let line = self.line();
            if self.skip_op("**") {
                args.spread_named = Some(self.expression()?);
                continue;
            }
            if self.skip_op("*") {
                args.spread = Some(self.expression()?);
                continue;
            }
            let named = matches!(self.peek(), Token::Name(_))
                && self.tokens.get(self.at + 1).is_some_and(|(next, _)| *next == Token::Op("="));
            if named {
                let name = self.name()?;
                self.expect_op("=")?;
                args.named.push((name, self.expression()?));
            } else if args.named.is_empty() && args.spread_named.is_none() {
                args.positional.push(self.expression()?);
            } else {
                return self.syntax(line, "an argument without a name after a named one".into());
            }
        }
        Ok(args)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let kind = match self.next() {
            Token::Name(name) => match &*name {
                "true" | "True" => ExprKind::Bool(true),
                "false" | "False" => ExprKind::Bool(false),
                "none" | "None" => ExprKind::None,
                _ => ExprKind::Name(name),
            },
            Token::Int(value) => ExprKind::Int(value),
            Token::Float(value) => ExprKind::Float(value),
            Token::Str(first) => {
                if !matches!(self.peek(), Token::Str(_)) {
                    ExprKind::Str(first)
                } else {
                    let mut joined = String::from(&*first);
                    while let Token::Str(next) = self.peek().clone() {
                        joined.push_str(&next);
                        self.next();
                    }
                    ExprKind::Str(joined.into())
                }
            }
            Token::Op("(") => {
                if self.skip_op(")") {
                    ExprKind::Tuple(Vec::new())
                } else {
                    let inner = self.tuple()?;
                    self.expect_op(")")?;
                    return Ok(inner);
                }
            }
            Token::Op("[") => {
                let items = self.items("]")?;
                let height = tallest(&items);
                return self.node(line, height, ExprKind::List(items));
            }
            Token::Op("{") => return self.dict(line),
            other => return self.fail_at(line, &other, "an expression"),
        };
        self.node(line, 0, kind)
    }

    fn items(&mut self, close: &'static str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.skip_op(close) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.skip_op(close) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn dict(&mut self, line: u32) -> Parsed<Expr> {
        let mut entries = Vec::new();
        while !self.skip_op("}") {
            if !entries.is_empty() {
                self.expect_op(",")?;
                if self.skip_op("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            entries.push((key, self.expression()?));
        }
        let height = entries.iter().map(|(k, v)| k.height.max(v.height)).max().unwrap_or(0);
        self.node(line, height, ExprKind::Dict(entries))
    }

    /// A node above others of at most this height.
    fn node(&self, line: u32, height: u32, kind: ExprKind) -> Parsed<Expr> {
        if height >= MAX_HEIGHT {
            return Err(TemplateError::TooDeep { what: "operators", line: line as usize, limit: MAX_HEIGHT as usize });
        }
        Ok(Expr { line, height: height + 1, kind: Box::new(kind) })
    }
}

fn tallest(exprs: &[Expr]) -> u32 {
    exprs.iter().map(|expr| expr.height).max().unwrap_or(0)
}

fn args_height(args: &Args) -> u32 {
    let named = args.named.iter().map(|(_, value)| value.height).max().unwrap_or(0);
    let spread = [&args.spread, &args.spread_named].into_iter().flatten();
    spread.fold(tallest(&args.positional).max(named), |height, expr| height.max(expr.height))
}

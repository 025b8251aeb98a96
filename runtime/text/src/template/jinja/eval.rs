//! Runs the statements of a template and evaluates its expressions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::{DateTime, TemplateError};
use super::args::Arguments;
use super::ast::*;
use super::budget::{Budget, Fault, Result, fail};
use super::value::{Callable, Dict, Function, Loop, Scope, SeqKind, Value};
use super::{access, filters, methods, ops, predicates};

/// The greatest depth of statements, expressions and calls within each other: the stack is finite.
const MAX_DEPTH: usize = 500;
/// The longest list that `range` makes, as in Jinja's sandbox.
const MAX_RANGE: i128 = 100_000;

/// What one rendering is given.
pub(crate) struct Inputs {
    /// The variables the template can read.
    pub(crate) variables: Vec<(&'static str, serde_json::Value)>,
    /// Further variables, which come first.
    pub(crate) options: Vec<(String, serde_json::Value)>,
    pub(crate) now: DateTime,
    /// The work it may do.
    pub(crate) fuel: u64,
    /// The most bytes it may write.
    pub(crate) output_limit: usize,
}

/// Renders a parsed template.
pub(crate) fn render(template: &[Stmt], inputs: &Inputs) -> std::result::Result<String, TemplateError> {
    let mut interpreter = Interpreter {
        budget: Budget::new(inputs.fuel),
        scopes: Vec::new(),
        depth: 0,
        line: 1,
        now: inputs.now,
        output_limit: inputs.output_limit,
    };
    let mut out = String::new();
    match interpreter.run(template, inputs, &mut out) {
        Ok(()) => Ok(out),
        Err(fault) => Err(interpreter.error(fault)),
    }
}

pub(super) struct Interpreter {
    pub(super) budget: Budget,
    scopes: Vec<Scope>,
    depth: usize,
    /// The line last worked on.
    line: u32,
    now: DateTime,
    output_limit: usize,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

// Statements.
impl Interpreter {
    fn run(&mut self, template: &[Stmt], inputs: &Inputs, out: &mut String) -> Result<()> {
        let mut context = Scope::new();
        for (name, function) in [
            ("range", Function::Range),
            ("namespace", Function::Namespace),
            ("dict", Function::Dict),
            ("raise_exception", Function::RaiseException),
            ("strftime_now", Function::StrftimeNow),
        ] {
            context.push((name.into(), Value::Callable(Callable::Function(function))));
        }
        for (name, json) in &inputs.options {
            context.push((name.as_str().into(), Value::from_json(json)?));
        }
        for (name, json) in &inputs.variables {
            context.push(((*name).into(), Value::from_json(json)?));
        }
        self.scopes = vec![context, Scope::new()];
        self.body(template, out).map(|_| ())
    }

    fn error(&self, fault: Fault) -> TemplateError {
        let line = self.line as usize;
        match fault {
            Fault::Message(detail) => TemplateError::Render { line, detail },
            Fault::Refused(message) => TemplateError::Refused { message },
            Fault::OutOfFuel => TemplateError::OutOfFuel { line },
            Fault::OutputTooLong => TemplateError::OutputTooLong { limit: self.output_limit },
        }
    }

    fn body(&mut self, body: &[Stmt], out: &mut String) -> Result<Flow> {
        self.descend()?;
        for stmt in body {
            self.line = stmt.line;
            self.budget.steps(1)?;
            let flow = self.statement(&stmt.kind, out)?;
            if flow != Flow::Next {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::Next)
    }

    fn statement(&mut self, stmt: &StmtKind, out: &mut String) -> Result<Flow> {
        match stmt {
            StmtKind::Text(text) => self.write(out, text)?,
            StmtKind::Print(expr) => {
                let text = self.eval(expr)?.to_text(&self.budget)?;
                self.write(out, &text)?;
            }
            StmtKind::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.eval(condition)?.is_true() {
                        return self.body(body, out);
                    }
                }
                return self.body(otherwise, out);
            }
            StmtKind::For(block) => return self.for_loop(block, out),
            StmtKind::Set(target, expr) => {
                let value = self.eval(expr)?;
                self.assign(target, value)?;
            }
            StmtKind::SetBlock { target, filters, body } => {
                let text = self.capture(body)?;
                let value = self.apply_all(filters, text)?;
                self.assign(target, value)?;
            }
            StmtKind::Macro(definition) => {
                let visible = self.scopes.len();
                let value = Value::Callable(Callable::Macro(definition.clone(), visible));
                self.bind(&definition.name, value);
            }
            StmtKind::CallBlock { call, caller } => {
                let ExprKind::Call(callee, args) = &*call.kind else {
                    return fail("`call` needs a call of a macro");
                };
                let callee = self.eval(callee)?;
                let mut args = self.arguments(args)?;
                let scopes = self.scopes.iter().map(Vec::len).sum::<usize>();
                self.budget.steps(scopes)?;
                let caller = Callable::Caller(caller.clone(), Rc::new(self.scopes.clone()));
                args.named.push(("caller".into(), Value::Callable(caller)));
                let text = self.call(callee, args)?.to_text(&self.budget)?;
                self.write(out, &text)?;
            }
            StmtKind::FilterBlock { filters, body } => {
                let text = self.capture(body)?;
                let text = self.apply_all(filters, text)?.to_text(&self.budget)?;
                self.write(out, &text)?;
            }
            StmtKind::With { bindings, body } => {
                let mut values = Vec::with_capacity(bindings.len());
                for (_, expr) in bindings {
                    values.push(self.eval(expr)?);
                }
                self.scopes.push(Scope::new());
                for ((target, _), value) in bindings.iter().zip(values) {
                    self.assign(target, value)?;
                }
                let flow = self.body(body, out)?;
                self.scopes.pop();
                return Ok(flow);
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn for_loop(&mut self, block: &For, out: &mut String) -> Result<Flow> {
        let mut items = self.eval(&block.items)?.iterate(&self.budget)?;
        self.scopes.push(Scope::new());
        if let Some(condition) = &block.condition {
            let mut kept = Vec::new();
            for item in items {
                self.clear_scope();
                self.assign(&block.target, item.clone())?;
                if self.eval(condition)?.is_true() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        let mut flow = Flow::Next;
        for (index0, item) in items.iter().enumerate() {
            self.budget.steps(1)?;
            self.clear_scope();
            self.bind(
                "loop",
                Value::Loop(Rc::new(Loop {
                    index0,
                    length: items.len(),
                    previous: index0.checked_sub(1).map(|previous| items[previous].clone()),
                    next: items.get(index0 + 1).cloned(),
                })),
            );
            self.assign(&block.target, item.clone())?;
            flow = self.body(&block.body, out)?;
            if flow == Flow::Break {
                break;
            }
        }
        self.scopes.pop();
        if items.is_empty() && flow == Flow::Next {
            return self.body(&block.otherwise, out);
        }
        Ok(Flow::Next)
    }

    fn capture(&mut self, body: &[Stmt]) -> Result<Value> {
        let mut text = String::new();
        self.scopes.push(Scope::new());
        self.body(body, &mut text)?;
        self.scopes.pop();
        Ok(Value::str(text))
    }

    fn write(&self, out: &mut String, text: &str) -> Result<()> {
        self.budget.spend(text.len())?;
        if out.len() + text.len() > self.output_limit {
            return Err(Fault::OutputTooLong);
        }
        out.push_str(text);
        Ok(())
    }

    fn assign(&mut self, target: &Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) => self.bind(name, value),
            Target::Attribute(name, attribute) => {
                let Value::Namespace(namespace) = self.lookup(name) else {
                    return fail(format!("`{name}` is not a namespace: only those can be set"));
                };
                let key = Value::Str(attribute.clone());
                namespace.borrow_mut().insert(key, value, &self.budget)?;
            }
            Target::Tuple(targets) => {
                let values = value.iterate(&self.budget)?;
                if values.len() != targets.len() {
                    return fail(format!("expected {} values to unpack, found {}", targets.len(), values.len()));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value)?;
                }
            }
        }
        Ok(())
    }

    fn bind(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            match scope.iter_mut().find(|(bound, _)| **bound == *name) {
                Some((_, old)) => *old = value,
                None => scope.push((name.into(), value)),
            }
        }
    }

    fn clear_scope(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.clear();
        }
    }

    fn lookup(&self, name: &str) -> Value {
        self.scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.iter().rev())
            .find(|(bound, _)| **bound == *name)
            .map_or_else(|| Value::Undefined(Some(name.into())), |(_, value)| value.clone())
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail(format!("calls and blocks are nested more than {MAX_DEPTH} deep"));
        }
        Ok(())
    }
}

// Expressions.
impl Interpreter {
    fn eval(&mut self, expr: &Expr) -> Result<Value> {
        self.line = expr.line;
        self.budget.steps(1)?;
        self.descend()?;
        let value = self.eval_kind(&expr.kind)?;
        self.depth -= 1;
        Ok(value)
    }

    fn eval_kind(&mut self, kind: &ExprKind) -> Result<Value> {
        match kind {
            ExprKind::None => Ok(Value::None),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Int(value) => Ok(Value::Int(*value)),
            ExprKind::Float(value) => Ok(Value::Float(*value)),
            ExprKind::Str(text) => Ok(Value::Str(text.clone())),
            ExprKind::Name(name) => Ok(self.lookup(name)),
            ExprKind::List(items) => Value::list(self.eval_all(items)?),
            ExprKind::Tuple(items) => Value::seq(SeqKind::Tuple, self.eval_all(items)?),
            ExprKind::Dict(entries) => {
                let mut dict = Dict::default();
                for (key, value) in entries {
                    let key = self.eval(key)?;
                    let value = self.eval(value)?;
                    dict.insert(key, value, &self.budget)?;
                }
                Ok(Value::Dict(Rc::new(dict)))
            }
            ExprKind::Attribute(of, name) => {
                let of = self.eval(of)?;
                access::attribute(&of, name)
            }
            ExprKind::Item(of, key) => {
                let of = self.eval(of)?;
                let key = self.eval(key)?;
                access::item(&of, &key, &self.budget)
            }
            ExprKind::Slice { of, start, stop, step } => {
                let of = self.eval(of)?;
                let start = self.eval_bound(start)?;
                let stop = self.eval_bound(stop)?;
                let step = self.eval_bound(step)?;
                access::slice(&of, start, stop, step, &self.budget)
            }
            ExprKind::Call(callee, args) => {
                let callee = self.eval(callee)?;
                let args = self.arguments(args)?;
                self.call(callee, args)
            }
            ExprKind::Filtered(of, filter) => {
                let of = self.eval(of)?;
                self.apply(filter, of)
            }
            ExprKind::Test { of, negated, name, args } => {
                let of = self.eval(of)?;
                let args = self.arguments(args)?;
                Ok(Value::Bool(predicates::test(name, &of, args, &self.budget)? != *negated))
            }
            ExprKind::Not(of) => Ok(Value::Bool(!self.eval(of)?.is_true())),
            ExprKind::Negate(of) => ops::negate(&self.eval(of)?),
            ExprKind::Plus(of) => ops::plus(&self.eval(of)?),
            ExprKind::And(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { self.eval(right) } else { Ok(left) }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { Ok(left) } else { self.eval(right) }
            }
            ExprKind::Concat(parts) => {
                let mut joined = String::new();
                for part in parts {
                    let text = self.eval(part)?.to_text(&self.budget)?;
                    self.budget.spend(text.len())?;
                    joined.push_str(&text);
                }
                Ok(Value::str(joined))
            }
            ExprKind::Arithmetic(op, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                ops::arithmetic(*op, &left, &right, &self.budget)
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.eval(first)?;
                for (comparison, right) in rest {
                    let right = self.eval(right)?;
                    if !ops::compare(*comparison, &left, &right, &self.budget)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            ExprKind::Conditional { condition, then, otherwise } => {
                if self.eval(condition)?.is_true() {
                    return self.eval(then);
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise),
                    None => Ok(Value::Undefined(None)),
                }
            }
        }
    }

    fn eval_all(&mut self, exprs: &[Expr]) -> Result<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr)).collect()
    }

    fn eval_bound(&mut self, bound: &Option<Expr>) -> Result<Option<i128>> {
        let Some(expr) = bound else { return Ok(None) };
        match self.eval(expr)? {
            Value::None => Ok(None),
            value => value.as_int().map(Some).ok_or_else(|| value.unfit("an integer")),
        }
    }

    fn arguments(&mut self, args: &Args) -> Result<Arguments> {
        let mut positional = self.eval_all(&args.positional)?;
        if let Some(spread) = &args.spread {
            positional.extend(self.eval(spread)?.iterate(&self.budget)?);
        }
        let mut named = Vec::with_capacity(args.named.len());
        for (name, expr) in &args.named {
            named.push((name.clone(), self.eval(expr)?));
        }
        if let Some(spread) = &args.spread_named {
            let value = self.eval(spread)?;
            let Value::Dict(dict) = &value else { return Err(value.unfit("a dict after `**`")) };
            self.budget.steps(dict.entries().len())?;
            for (key, value) in dict.entries() {
                let Value::Str(name) = key else { return Err(key.unfit("a name")) };
                named.push((name.clone(), value.clone()));
            }
        }
        Ok(Arguments::new(positional, named))
    }

    fn apply_all(&mut self, filters: &[Filter], mut value: Value) -> Result<Value> {
        for filter in filters {
            value = self.apply(filter, value)?;
        }
        Ok(value)
    }

    fn apply(&mut self, filter: &Filter, value: Value) -> Result<Value> {
        let args = self.arguments(&filter.args)?;
        filters::apply(&filter.name, &value, args, &self.budget)
    }
}

// Calls.
impl Interpreter {
    fn call(&mut self, callee: Value, args: Arguments) -> Result<Value> {
        match callee {
            Value::Callable(Callable::Function(function)) => self.function(function, args),
            Value::Callable(Callable::Method(of, name)) => methods::call(&of, &name, args, &self.budget),
            Value::Callable(Callable::Macro(definition, visible)) => {
                let hidden = self.scopes.split_off(visible.min(self.scopes.len()));
                let text = self.call_macro(&definition, args)?;
                self.scopes.extend(hidden);
                Ok(text)
            }
            Value::Callable(Callable::Caller(definition, scopes)) => {
                self.budget.steps(scopes.iter().map(Vec::len).sum())?;
                let around = std::mem::replace(&mut self.scopes, Vec::clone(&scopes));
                let text = self.call_macro(&definition, args)?;
                self.scopes = around;
                Ok(text)
            }
            other => Err(other.unfit("something that can be called")),
        }
    }

    fn call_macro(&mut self, definition: &Macro, mut args: Arguments) -> Result<Value> {
        let caller = args.take_named("caller");
        self.scopes.push(Scope::new());
        if let Some(caller) = caller {
            self.bind("caller", caller);
        }
        for (at, (name, default)) in definition.parameters.iter().enumerate() {
            let value = match (args.take(at, name)?, default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default)?,
                (None, None) => Value::Undefined(Some(name.clone())),
            };
            self.bind(name, value);
        }
        args.finish(&definition.name)?;
        let mut text = String::new();
        self.body(&definition.body, &mut text)?;
        self.scopes.pop();
        Ok(Value::str(text))
    }

    fn function(&mut self, function: Function, mut args: Arguments) -> Result<Value> {
        match function {
            Function::Range => {
                let first = args.require_int(0, "start")?;
                let second = args.int(1, "stop")?;
                let step = args.int(2, "step")?.unwrap_or(1);
                args.finish("range")?;
                let (start, stop) = match second {
                    Some(stop) => (first, stop),
                    None => (0, first),
                };
                self.range(start, stop, step)
            }
            Function::Namespace | Function::Dict => {
                let mut dict = match args.take(0, "")? {
                    None => Dict::default(),
                    Some(Value::Dict(dict)) => {
                        self.budget.steps(dict.entries().len())?;
                        Dict::clone(&dict)
                    }
                    Some(other) => return Err(other.unfit("a dict")),
                };
                for (name, value) in std::mem::take(&mut args.named) {
                    dict.insert(Value::Str(name), value, &self.budget)?;
                }
                args.finish("dict")?;
                Ok(if function == Function::Dict {
                    Value::Dict(Rc::new(dict))
                } else {
                    Value::Namespace(Rc::new(RefCell::new(dict)))
                })
            }
            Function::RaiseException => {
                let message = args.require(0, "message")?.to_text(&self.budget)?;
                Err(Fault::Refused(message.to_string()))
            }
            Function::StrftimeNow => {
                let format: Arc<str> = args.require_str(0, "format")?;
                args.finish("strftime_now")?;
                self.budget.spend(format.len().saturating_mul(8))?;
                Ok(Value::str(self.now.strftime(&format)?))
            }
        }
    }

    fn range(&self, start: i128, stop: i128, step: i128) -> Result<Value> {
        let span = if step > 0 { stop.checked_sub(start) } else { start.checked_sub(stop) };
        let (Some(span), Some(stride)) = (span, step.checked_abs().filter(|&stride| stride > 0)) else {
            return fail("`range` needs a step other than 0 and bounds that are not so large");
        };
        let length = if span <= 0 { 0 } else { (span - 1) / stride + 1 };
        if length > MAX_RANGE {
            return fail(format!("`range` makes at most {MAX_RANGE} numbers, not {length}"));
        }
        self.budget.steps(length as usize)?;
        Value::list((0..length).map(|at| Value::Int(start + at * step)).collect())
    }
}

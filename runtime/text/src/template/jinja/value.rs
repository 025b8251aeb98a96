//! The values of a template, with the behaviour Python gives them.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::Macro;
use super::budget::{Budget, Fault, Result, STEP, fail};
use super::parser::MAX_NESTING;

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// With what was not there, for the message when it is used after all.
    Undefined(Option<Arc<str>>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    Seq(Rc<Seq>),
    Dict(Rc<Dict>),
    Namespace(Rc<RefCell<Dict>>),
    Loop(Rc<Loop>),
    Callable(Callable),
}

/// A list or something that can be walked like one.
#[derive(Debug)]
pub(super) struct Seq {
    pub(super) kind: SeqKind,
    pub(super) items: Vec<Value>,
    /// 1 above the deepest item.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeqKind {
    List,
    Tuple,
    /// `dict.items()` and its like: has a length but no items by index.
    View,
    /// What filters such as `map` return: always true, without length or items by index.
    Iterator,
}

/// A map that keeps the order its keys came in.
#[derive(Clone, Debug, Default)]
pub(super) struct Dict {
    entries: Vec<(Value, Value)>,
    depth: usize,
}

/// The variable `loop`.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) index0: usize,
    pub(super) length: usize,
    pub(super) previous: Option<Value>,
    pub(super) next: Option<Value>,
}

/// The variables of one block, the newest last.
pub(super) type Scope = Vec<(Arc<str>, Value)>;

#[derive(Clone, Debug)]
pub(super) enum Callable {
    Function(Function),
    /// With the number of scopes it can see.
    Macro(Arc<Macro>, usize),
    /// The body of a call block, with the scopes around it.
    Caller(Arc<Macro>, Rc<Vec<Scope>>),
    Method(Box<Value>, Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Namespace,
    Dict,
    RaiseException,
    StrftimeNow,
}

impl Seq {
    /// Fails if an item does not belong into a list or is nested too deeply.
    pub(super) fn new(kind: SeqKind, items: Vec<Value>) -> Result<Self> {
        let depth = 1 + deepest(&items)?;
        Ok(Self { kind, items, depth })
    }
}

impl Dict {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| matches!(k, Value::Str(k) if **k == *key)).map(|(_, value)| value)
    }

    pub(super) fn get_value(&self, key: &Value, budget: &Budget) -> Result<Option<&Value>> {
        budget.spend(self.entries.len())?;
        for (found, value) in &self.entries {
            if found.equals(key, budget)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Replaces the value of the key or adds the key at the end.
    pub(super) fn insert(&mut self, key: Value, value: Value, budget: &Budget) -> Result<()> {
        budget.spend(self.entries.len())?;
        if let Value::Dict(_) | Value::Namespace(_) = key {
            return fail("a dict cannot be a key");
        }
        if matches!(&key, Value::Seq(seq) if seq.kind == SeqKind::List) {
            return fail("a list cannot be a key");
        }
        self.depth = self.depth.max(1 + deepest([&key, &value])?);
        for (found, old) in &mut self.entries {
            if found.equals(&key, budget)? {
                *old = value;
                return Ok(());
            }
        }
        self.entries.push((key, value));
        Ok(())
    }

    pub(super) fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }
}

/// The depth of the deepest of these values, if all may be put into a container.
///
/// A namespace may not: it is the one thing that can change, so it could come to hold itself.
fn deepest<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<usize> {
    let mut deepest = 0;
    for value in values {
        deepest = deepest.max(match value {
            Value::Seq(seq) => seq.depth,
            Value::Dict(dict) => dict.depth,
            Value::Namespace(_) | Value::Loop(_) | Value::Callable(_) => {
                return fail(format!("{} cannot be put into a container", value.type_name()));
            }
            _ => 0,
        });
    }
    if deepest >= MAX_NESTING {
        return fail(format!("lists and dicts are nested more than {MAX_NESTING} deep"));
    }
    Ok(deepest)
}

impl Value {
    pub(super) fn str(text: impl Into<Arc<str>>) -> Self {
        Value::Str(text.into())
    }

    pub(super) fn list(items: Vec<Value>) -> Result<Self> {
        Ok(Value::Seq(Rc::new(Seq::new(SeqKind::List, items)?)))
    }

    pub(super) fn seq(kind: SeqKind, items: Vec<Value>) -> Result<Self> {
        Ok(Value::Seq(Rc::new(Seq::new(kind, items)?)))
    }

    /// Converts JSON, keeping the order of keys.
    pub(super) fn from_json(json: &serde_json::Value) -> Result<Self> {
        Ok(match json {
            serde_json::Value::Null => Value::None,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i128() {
                Some(int) => Value::Int(int),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::str(text.as_str()),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from_json).collect::<Result<_>>()?)?,
            serde_json::Value::Object(map) => {
                let mut entries = Vec::with_capacity(map.len());
                for (key, value) in map {
                    entries.push((Value::str(key.as_str()), Value::from_json(value)?));
                }
                let depth = 1 + deepest(entries.iter().map(|(_, value)| value))?;
                Value::Dict(Rc::new(Dict { entries, depth }))
            }
        })
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "undefined",
            Value::None => "none",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Str(_) => "a string",
            Value::Seq(seq) => match seq.kind {
                SeqKind::List => "a list",
                SeqKind::Tuple => "a tuple",
                SeqKind::View => "a view of a dict",
                SeqKind::Iterator => "an iterator",
            },
            Value::Dict(_) => "a dict",
            Value::Namespace(_) => "a namespace",
            Value::Loop(_) => "the loop variable",
            Value::Callable(_) => "a function",
        }
    }

    /// The error of using a value that is not there; for others, of using them as `wanted`.
    pub(super) fn unfit(&self, wanted: &str) -> Fault {
        match self {
            Value::Undefined(Some(name)) => Fault::Message(format!("`{name}` is undefined")),
            _ => Fault::Message(format!("expected {wanted}, found {}", self.type_name())),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Seq(seq) => seq.kind == SeqKind::Iterator || !seq.items.is_empty(),
            Value::Dict(dict) => !dict.entries.is_empty(),
            Value::Namespace(_) | Value::Loop(_) | Value::Callable(_) => true,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    /// Booleans are integers in Python.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            _ => self.as_int().map(|value| value as f64),
        }
    }

    /// What copying or walking the value costs.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::Str(text) => text.len(),
            Value::Seq(seq) => seq.items.len(),
            Value::Dict(dict) => dict.entries.len(),
            _ => 1,
        }
    }

    /// `len(value)`.
    pub(super) fn length(&self) -> Result<usize> {
        match self {
            Value::Undefined(_) => Ok(0),
            Value::Str(text) => Ok(text.chars().count()),
            Value::Seq(seq) if seq.kind != SeqKind::Iterator => Ok(seq.items.len()),
            Value::Dict(dict) => Ok(dict.entries.len()),
            Value::Loop(info) => Ok(info.length),
            _ => Err(self.unfit("something with a length")),
        }
    }

    /// The items that a loop over the value visits.
    pub(super) fn iterate(&self, budget: &Budget) -> Result<Vec<Value>> {
        budget.steps(self.size())?;
        match self {
            Value::Undefined(_) => Ok(Vec::new()),
            Value::Seq(seq) => Ok(seq.items.clone()),
            Value::Dict(dict) => Ok(dict.entries.iter().map(|(key, _)| key.clone()).collect()),
            Value::Str(text) => Ok(text.chars().map(|c| Value::str(c.encode_utf8(&mut [0; 4]) as &str)).collect()),
            _ => Err(self.unfit("something to loop over")),
        }
    }

    /// `a == b`.
    pub(super) fn equals(&self, other: &Value, budget: &Budget) -> Result<bool> {
        budget.spend(STEP / 2 + self.size().min(other.size()))?;
        Ok(match (self, other) {
            (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Seq(a), Value::Seq(b)) => {
                if a.kind != b.kind || a.items.len() != b.items.len() {
                    return Ok(false);
                }
                for (a, b) in a.items.iter().zip(&b.items) {
                    if !a.equals(b, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(a), Value::Dict(b)) => {
                if a.entries.len() != b.entries.len() {
                    return Ok(false);
                }
                for (key, value) in &a.entries {
                    let Some(other) = b.get_value(key, budget)? else { return Ok(false) };
                    if !value.equals(other, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Namespace(a), Value::Namespace(b)) => Rc::ptr_eq(a, b),
            _ => match (self.as_int(), other.as_int()) {
                (Some(a), Some(b)) => a == b,
                _ => match (self.as_float(), other.as_float()) {
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                },
            },
        })
    }

    /// Which of two comes first; an error if Python cannot tell.
    pub(super) fn compare(&self, other: &Value, budget: &Budget) -> Result<Option<Ordering>> {
        budget.spend(self.size().min(other.size()))?;
        if let (Value::Str(a), Value::Str(b)) = (self, other) {
            return Ok(Some(a.cmp(b)));
        }
        if let (Value::Seq(a), Value::Seq(b)) = (self, other)
            && a.kind == b.kind
            && matches!(a.kind, SeqKind::List | SeqKind::Tuple)
        {
            for (x, y) in a.items.iter().zip(&b.items) {
                if !x.equals(y, budget)? {
                    return x.compare(y, budget);
                }
            }
            return Ok(Some(a.items.len().cmp(&b.items.len())));
        }
        if let (Some(a), Some(b)) = (self.as_int(), other.as_int()) {
            return Ok(Some(a.cmp(&b)));
        }
        match (self.as_float(), other.as_float()) {
            (Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
            _ if self.is_undefined() => Err(self.unfit("a number or string")),
            _ if other.is_undefined() => Err(other.unfit("a number or string")),
            _ => fail(format!("cannot order {} and {}", self.type_name(), other.type_name())),
        }
    }

    /// `str(value)`.
    pub(super) fn to_text(&self, budget: &Budget) -> Result<Arc<str>> {
        match self {
            Value::Str(text) => Ok(text.clone()),
            Value::Undefined(_) => Ok("".into()),
            _ => {
                let mut out = String::new();
                self.write_repr(&mut out, budget)?;
                Ok(out.into())
            }
        }
    }

    /// `repr(value)`: what printing shows of values inside of lists and dicts.
    pub(super) fn write_repr(&self, out: &mut String, budget: &Budget) -> Result<()> {
        budget.steps(1)?;
        match self {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Int(value) => write_to(out, format_args!("{value}")),
            Value::Float(value) => out.push_str(&float_repr(*value)),
            Value::Str(text) => {
                budget.spend(text.len())?;
                write_str_repr(out, text);
            }
            Value::Seq(seq) => {
                let (open, close) = match seq.kind {
                    SeqKind::List => ("[", "]"),
                    SeqKind::Tuple if seq.items.len() == 1 => ("(", ",)"),
                    SeqKind::Tuple => ("(", ")"),
                    SeqKind::View => ("dict_view([", "])"),
                    SeqKind::Iterator => {
                        return fail("an iterator cannot be printed: add the filter `list`");
                    }
                };
                out.push_str(open);
                for (at, item) in seq.items.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    item.write_repr(out, budget)?;
                }
                out.push_str(close);
            }
            Value::Dict(dict) => {
                out.push('{');
                for (at, (key, value)) in dict.entries.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    key.write_repr(out, budget)?;
                    out.push_str(": ");
                    value.write_repr(out, budget)?;
                }
                out.push('}');
            }
            Value::Namespace(_) | Value::Loop(_) | Value::Callable(_) => {
                return fail(format!("{} cannot be printed", self.type_name()));
            }
        }
        Ok(())
    }
}

/// Python's `repr` of a float: the shortest digits that read back the same.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = format!("{value}");
    if text.contains('.') { text } else { text + ".0" }
}

fn write_str_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                write_to(out, format_args!("\\x{:02x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// Appends formatted text: writing to a string cannot fail.
pub(super) fn write_to(out: &mut String, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

//! Attributes, items and slices.

use std::rc::Rc;
use std::sync::Arc;

use super::budget::{Budget, Result, STEP, fail};
use super::value::{Callable, Loop, SeqKind, Value};

const DICT_METHODS: [&str; 5] = ["copy", "get", "items", "keys", "values"];
const LIST_METHODS: [&str; 3] = ["copy", "count", "index"];
const STR_METHODS: [&str; 33] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rjust",
    "rpartition",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
];
const MORE_STR_METHODS: [&str; 5] = ["rsplit", "swapcase", "title", "upper", "zfill"];

/// `of.name`: a method or attribute if there is one, else the item of that name.
pub(super) fn attribute(of: &Value, name: &Arc<str>) -> Result<Value> {
    if let Some(method) = method(of, name) {
        return Ok(method);
    }
    let found = match of {
        Value::Undefined(Some(_)) => return Err(of.unfit("a value")),
        Value::Undefined(None) => return fail(format!("nothing has an attribute `{name}`")),
        Value::Dict(dict) => dict.get(name).cloned(),
        Value::Namespace(namespace) => namespace.borrow().get(name).cloned(),
        Value::Loop(info) => loop_attribute(info, name),
        _ => None,
    };
    Ok(found.unwrap_or_else(|| Value::Undefined(Some(name.clone()))))
}

/// `of[key]`: an item if there is one, else the method or attribute of that name.
pub(super) fn item(of: &Value, key: &Value, budget: &Budget) -> Result<Value> {
    budget.spend(key.size())?;
    let found = match (of, key) {
        (Value::Undefined(_), _) => return Err(of.unfit("a value")),
        (Value::Dict(dict), _) => dict.get_value(key, budget)?.cloned(),
        (Value::Namespace(_) | Value::Loop(_), Value::Str(name)) => return attribute(of, name),
        (Value::Seq(seq), _) if matches!(seq.kind, SeqKind::List | SeqKind::Tuple) => {
            let at = key.as_int().and_then(|index| position(index, seq.items.len()));
            at.and_then(|at| seq.items.get(at).cloned())
        }
        (Value::Str(text), _) => {
            budget.spend(text.len())?;
            let length = text.chars().count();
            let at = key.as_int().and_then(|index| position(index, length));
            let c = at.and_then(|at| text.chars().nth(at));
            c.map(|c| Value::str(c.to_string()))
        }
        _ => None,
    };
    if let Some(value) = found {
        return Ok(value);
    }
    let Value::Str(name) = key else { return Ok(Value::Undefined(None)) };
    Ok(method(of, name).unwrap_or_else(|| Value::Undefined(Some(name.clone()))))
}

/// `of[start:stop:step]`.
pub(super) fn slice(
    of: &Value,
    start: Option<i128>,
    stop: Option<i128>,
    step: Option<i128>,
    budget: &Budget,
) -> Result<Value> {
    budget.spend(of.size())?;
    let step = step.unwrap_or(1);
    match of {
        Value::Str(text) => {
            budget.spend(text.len().saturating_mul(STEP / 2))?;
            let chars: Vec<char> = text.chars().collect();
            let picked = indices(chars.len(), start, stop, step)?;
            Ok(Value::str(picked.into_iter().map(|at| chars[at]).collect::<String>()))
        }
        Value::Seq(seq) if matches!(seq.kind, SeqKind::List | SeqKind::Tuple) => {
            let picked = indices(seq.items.len(), start, stop, step)?;
            budget.steps(picked.len())?;
            Value::seq(seq.kind, picked.into_iter().map(|at| seq.items[at].clone()).collect())
        }
        other => Err(other.unfit("a list or string to slice")),
    }
}

/// The places that a slice picks, by the rules of Python's `slice.indices`.
fn indices(length: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> Result<Vec<usize>> {
    if step == 0 {
        return fail("the step of a slice cannot be 0");
    }
    let length = length as i128;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i128| {
        let from_start = if bound < 0 { bound.saturating_add(length) } else { bound };
        from_start.clamp(lowest, highest)
    };
    let mut at = start.map_or(if step > 0 { lowest } else { highest }, clamp);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, clamp);
    let mut picked = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        picked.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(picked)
}

/// The place of an index that may count from the end.
fn position(index: i128, length: usize) -> Option<usize> {
    let from_start = if index < 0 { index.checked_add(length as i128)? } else { index };
    usize::try_from(from_start).ok()
}

/// The bound method of this name, of those that Jinja's sandbox lets a template see.
fn method(of: &Value, name: &Arc<str>) -> Option<Value> {
    let known = match of {
        Value::Str(_) => STR_METHODS.contains(&&**name) || MORE_STR_METHODS.contains(&&**name),
        Value::Dict(_) => DICT_METHODS.contains(&&**name),
        Value::Seq(seq) => matches!(seq.kind, SeqKind::List | SeqKind::Tuple) && LIST_METHODS.contains(&&**name),
        Value::Loop(_) => **name == *"cycle",
        _ => false,
    };
    known.then(|| Value::Callable(Callable::Method(Box::new(of.clone()), name.clone())))
}

fn loop_attribute(info: &Rc<Loop>, name: &str) -> Option<Value> {
    let int = |value: usize| Some(Value::Int(value as i128));
    match name {
        "index" => int(info.index0 + 1),
        "index0" => int(info.index0),
        "revindex" => int(info.length - info.index0),
        "revindex0" => int(info.length - info.index0 - 1),
        "first" => Some(Value::Bool(info.index0 == 0)),
        "last" => Some(Value::Bool(info.index0 + 1 == info.length)),
        "length" => int(info.length),
        // Only recursive loops, which there are none of here, would be deeper.
        "depth" => int(1),
        "depth0" => int(0),
        "previtem" => info.previous.clone(),
        "nextitem" => info.next.clone(),
        _ => None,
    }
}

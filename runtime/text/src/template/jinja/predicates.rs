//! Tests: `value is name`.

use super::args::Arguments;
use super::ast::Comparison;
use super::budget::{Budget, Result, fail};
use super::value::{SeqKind, Value};
use super::{filters, ops};

pub(super) fn test(name: &str, value: &Value, mut args: Arguments, budget: &Budget) -> Result<bool> {
    budget.spend(value.size() + args.size())?;
    let mut compare = |comparison| {
        let other = args.require(0, "other")?;
        ops::compare(comparison, value, &other, budget)
    };
    let result = match name {
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)),
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => is_sequence(value),
        "iterable" => {
            matches!(value, Value::Seq(_) | Value::Dict(_) | Value::Str(_) | Value::Undefined(_))
        }
        "callable" => matches!(value, Value::Callable(_)),
        "eq" | "equalto" | "==" => compare(Comparison::Eq)?,
        "ne" | "!=" => compare(Comparison::Ne)?,
        "lt" | "lessthan" | "<" => compare(Comparison::Lt)?,
        "le" | "<=" => compare(Comparison::Le)?,
        "gt" | "greaterthan" | ">" => compare(Comparison::Gt)?,
        "ge" | ">=" => compare(Comparison::Ge)?,
        "in" => compare(Comparison::In)?,
        "sameas" => is_same(value, &args.require(0, "other")?),
        "odd" | "even" => {
            let int = value.as_int().ok_or_else(|| value.unfit("an integer"))?;
            (int % 2 != 0) == (name == "odd")
        }
        "divisibleby" => {
            let divisor = args.require_int(0, "num")?;
            let int = value.as_int().ok_or_else(|| value.unfit("an integer"))?;
            match int.checked_rem(divisor) {
                Some(rest) => rest == 0,
                None => return fail("division by zero"),
            }
        }
        "lower" => is_cased(&value.to_text(budget)?, char::is_lowercase, char::is_uppercase),
        "upper" => is_cased(&value.to_text(budget)?, char::is_uppercase, char::is_lowercase),
        "filter" => matches!(value, Value::Str(name) if filters::is_known(name)),
        "test" => matches!(value, Value::Str(name) if is_known(name)),
        _ => return fail(format!("unknown test `{name}`")),
    };
    args.finish(name)?;
    Ok(result)
}

const KNOWN: [&str; 37] = [
    "defined",
    "undefined",
    "none",
    "boolean",
    "true",
    "false",
    "integer",
    "float",
    "number",
    "string",
    "mapping",
    "sequence",
    "iterable",
    "callable",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
    "in",
    "sameas",
    "odd",
    "even",
    "divisibleby",
    "lower",
    "upper",
    "filter",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || name == "test"
}

/// Whether it has a length and items by index or key, as Jinja tests it.
fn is_sequence(value: &Value) -> bool {
    match value {
        Value::Str(_) | Value::Dict(_) | Value::Undefined(_) => true,
        Value::Seq(seq) => matches!(seq.kind, SeqKind::List | SeqKind::Tuple),
        _ => false,
    }
}

/// Python's `is`, for the values of which it makes sense to ask.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) | (Value::Undefined(_), Value::Undefined(_)) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Seq(a), Value::Seq(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Namespace(a), Value::Namespace(b)) => std::rc::Rc::ptr_eq(a, b),
        _ => false,
    }
}

/// Python's `str.islower` and `str.isupper`.
pub(super) fn is_cased(text: &str, is: fn(char) -> bool, is_other: fn(char) -> bool) -> bool {
    text.chars().any(is) && !text.chars().any(is_other)
}

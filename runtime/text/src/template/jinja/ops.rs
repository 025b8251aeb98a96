//! Operators.

use std::cmp::Ordering;

use super::ast::{Arithmetic, Comparison};
use super::budget::{Budget, Result, fail};
use super::format;
use super::value::{SeqKind, Value};

pub(super) fn negate(value: &Value) -> Result<Value> {
    match (value.as_int(), value) {
        (Some(int), _) => int.checked_neg().map_or_else(out_of_range, |int| Ok(Value::Int(int))),
        (None, Value::Float(float)) => Ok(Value::Float(-float)),
        _ => Err(value.unfit("a number")),
    }
}

pub(super) fn plus(value: &Value) -> Result<Value> {
    match (value.as_int(), value) {
        (Some(int), _) => Ok(Value::Int(int)),
        (None, Value::Float(float)) => Ok(Value::Float(*float)),
        _ => Err(value.unfit("a number")),
    }
}

pub(super) fn arithmetic(op: Arithmetic, left: &Value, right: &Value, budget: &Budget) -> Result<Value> {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return integers(op, a, b);
    }
    if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
        return floats(op, a, b);
    }
    match (op, left, right) {
        (Arithmetic::Add, Value::Str(a), Value::Str(b)) => {
            budget.spend(a.len() + b.len())?;
            Ok(Value::str([&**a, &**b].concat()))
        }
        (Arithmetic::Add, Value::Seq(a), Value::Seq(b))
            if a.kind == b.kind && matches!(a.kind, SeqKind::List | SeqKind::Tuple) =>
        {
            budget.steps(a.items.len() + b.items.len())?;
            Value::seq(a.kind, [a.items.as_slice(), b.items.as_slice()].concat())
        }
        (Arithmetic::Mul, _, _) => match (left.as_int(), right.as_int()) {
            (None, Some(times)) => repeat(left, times, budget),
            (Some(times), None) => repeat(right, times, budget),
            _ => unfit(op, left, right),
        },
        (Arithmetic::Rem, Value::Str(text), Value::Seq(args)) if args.kind == SeqKind::Tuple => {
            Ok(Value::str(format::printf(text, args.items.clone(), budget)?))
        }
        (Arithmetic::Rem, Value::Str(text), arg) if !arg.is_undefined() => {
            Ok(Value::str(format::printf(text, vec![arg.clone()], budget)?))
        }
        _ => unfit(op, left, right),
    }
}

fn unfit(op: Arithmetic, left: &Value, right: &Value) -> Result<Value> {
    for side in [left, right] {
        if side.is_undefined() {
            return Err(side.unfit("a value"));
        }
    }
    let symbol = match op {
        Arithmetic::Add => "+",
        Arithmetic::Sub => "-",
        Arithmetic::Mul => "*",
        Arithmetic::Div => "/",
        Arithmetic::FloorDiv => "//",
        Arithmetic::Rem => "%",
        Arithmetic::Pow => "**",
    };
    fail(format!("`{symbol}` does not work on {} and {}", left.type_name(), right.type_name()))
}

fn repeat(value: &Value, times: i128, budget: &Budget) -> Result<Value> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match value {
        Value::Str(text) => {
            budget.spend(text.len().saturating_mul(times))?;
            Ok(Value::str(text.repeat(times)))
        }
        Value::Seq(seq) if matches!(seq.kind, SeqKind::List | SeqKind::Tuple) => {
            budget.steps(seq.items.len().saturating_mul(times))?;
            let copies = std::iter::repeat_n(&seq.items, times);
            Value::seq(seq.kind, copies.flatten().cloned().collect())
        }
        other => Err(other.unfit("a number, string or list")),
    }
}

fn integers(op: Arithmetic, a: i128, b: i128) -> Result<Value> {
    let result = match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div => return floats(op, a as f64, b as f64),
        Arithmetic::FloorDiv | Arithmetic::Rem if b == 0 => return fail("division by zero"),
        // Python rounds towards negative infinity, Rust towards zero.
        Arithmetic::FloorDiv => {
            a.checked_div_euclid(b).map(|quotient| if b < 0 && a.rem_euclid(b) != 0 { quotient - 1 } else { quotient })
        }
        Arithmetic::Rem => {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Arithmetic::Pow if b < 0 => return floats(op, a as f64, b as f64),
        Arithmetic::Pow => u32::try_from(b).ok().and_then(|exponent| a.checked_pow(exponent)),
    };
    result.map_or_else(out_of_range, |int| Ok(Value::Int(int)))
}

fn out_of_range() -> Result<Value> {
    fail("a number is out of range")
}

fn floats(op: Arithmetic, a: f64, b: f64) -> Result<Value> {
    if b == 0.0 && matches!(op, Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Rem) {
        return fail("division by zero");
    }
    Ok(Value::Float(match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::FloorDiv => (a / b).floor(),
        Arithmetic::Rem => a - b * (a / b).floor(),
        Arithmetic::Pow => a.powf(b),
    }))
}

pub(super) fn compare(comparison: Comparison, left: &Value, right: &Value, budget: &Budget) -> Result<bool> {
    let order = |wanted: fn(Ordering) -> bool| -> Result<bool> { Ok(left.compare(right, budget)?.is_some_and(wanted)) };
    match comparison {
        Comparison::Eq => left.equals(right, budget),
        Comparison::Ne => Ok(!left.equals(right, budget)?),
        Comparison::Lt => order(Ordering::is_lt),
        Comparison::Le => order(Ordering::is_le),
        Comparison::Gt => order(Ordering::is_gt),
        Comparison::Ge => order(Ordering::is_ge),
        Comparison::In => contains(right, left, budget),
        Comparison::NotIn => Ok(!contains(right, left, budget)?),
    }
}

/// `needle in haystack`.
pub(super) fn contains(haystack: &Value, needle: &Value, budget: &Budget) -> Result<bool> {
    budget.spend(haystack.size() + needle.size())?;
    match haystack {
        Value::Undefined(_) => Ok(false),
        Value::Str(text) => match needle {
            Value::Str(part) => Ok(text.contains(&**part)),
            other => Err(other.unfit("a string to look for in a string")),
        },
        Value::Dict(dict) => Ok(dict.get_value(needle, budget)?.is_some()),
        Value::Seq(seq) => {
            budget.steps(seq.items.len())?;
            for item in &seq.items {
                if item.equals(needle, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Err(other.unfit("a list, dict or string to look in")),
    }
}

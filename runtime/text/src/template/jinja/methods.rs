//! Methods of strings, dicts and lists, as Python has them.

use std::sync::Arc;

use super::args::Arguments;
use super::budget::{Budget, Result, fail};
use super::filters::pairs;
use super::text::{self, Side};
use super::value::{SeqKind, Value};
use super::{format, predicates};

pub(super) fn call(of: &Value, name: &str, args: Arguments, budget: &Budget) -> Result<Value> {
    budget.spend(of.size() + args.size())?;
    match of {
        Value::Str(text) => str_method(text, name, args, budget),
        Value::Dict(_) => dict_method(of, name, args, budget),
        Value::Seq(_) => list_method(of, name, args, budget),
        Value::Loop(info) => {
            let choices = { args }.take_rest();
            match choices.len() {
                0 => fail("`cycle` needs something to choose from"),
                n => Ok(choices[info.index0 % n].clone()),
            }
        }
        other => Err(other.unfit("something with methods")),
    }
}

fn dict_method(of: &Value, name: &str, mut args: Arguments, budget: &Budget) -> Result<Value> {
    let Value::Dict(dict) = of else { return Err(of.unfit("a dict")) };
    let result = match name {
        "get" => {
            let key = args.require(0, "key")?;
            let default = args.take(1, "default")?;
            let found = dict.get_value(&key, budget)?.cloned();
            found.or(default).unwrap_or(Value::None)
        }
        "items" => Value::seq(SeqKind::View, pairs(of, budget)?)?,
        "keys" => Value::seq(SeqKind::View, of.iterate(budget)?)?,
        "values" => {
            budget.steps(dict.entries().len())?;
            let values = dict.entries().iter().map(|(_, value)| value.clone()).collect();
            Value::seq(SeqKind::View, values)?
        }
        "copy" => of.clone(),
        _ => return fail(format!("a dict has no method `{name}`")),
    };
    args.finish(name)?;
    Ok(result)
}

fn list_method(of: &Value, name: &str, mut args: Arguments, budget: &Budget) -> Result<Value> {
    let items = of.iterate(budget)?;
    let result = match name {
        "copy" => of.clone(),
        "count" => {
            let wanted = args.require(0, "value")?;
            let mut count = 0;
            for item in &items {
                count += i128::from(item.equals(&wanted, budget)?);
            }
            Value::Int(count)
        }
        "index" => {
            let wanted = args.require(0, "value")?;
            let mut found = None;
            for (at, item) in items.iter().enumerate() {
                if item.equals(&wanted, budget)? {
                    found = Some(at);
                    break;
                }
            }
            match found {
                Some(at) => Value::Int(at as i128),
                None => return fail("`index` did not find the value in the list"),
            }
        }
        _ => return fail(format!("a list has no method `{name}`")),
    };
    args.finish(name)?;
    Ok(result)
}

fn str_method(text: &Arc<str>, name: &str, mut args: Arguments, budget: &Budget) -> Result<Value> {
    let all = |is: fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(is));
    let result = match name {
        "upper" => Value::str(text.to_uppercase()),
        "lower" | "casefold" => Value::str(text.to_lowercase()),
        "capitalize" => Value::str(text::capitalize(text)),
        "title" => Value::str(title(text)),
        "swapcase" => Value::str(swap_case(text)),
        "strip" => Value::str(text::strip(text, args.str(0, "chars")?.as_deref())),
        "lstrip" => Value::str(text::strip_start(text, args.str(0, "chars")?.as_deref())),
        "rstrip" => Value::str(text::strip_end(text, args.str(0, "chars")?.as_deref())),
        "removeprefix" => {
            let prefix = args.require_str(0, "prefix")?;
            Value::str(text.strip_prefix(&*prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let suffix = args.require_str(0, "suffix")?;
            Value::str(text.strip_suffix(&*suffix).unwrap_or(text))
        }
        "startswith" | "endswith" => {
            let fixes = match args.require(0, "prefix")? {
                Value::Seq(seq) if seq.kind == SeqKind::Tuple => seq.items.clone(),
                other => vec![other],
            };
            let mut found = false;
            for fix in &fixes {
                let Value::Str(fix) = fix else { return Err(fix.unfit("a string")) };
                found |= if name == "startswith" { text.starts_with(&**fix) } else { text.ends_with(&**fix) };
            }
            Value::Bool(found)
        }
        "find" | "rfind" | "index" | "count" => {
            budget.spend(text.len().saturating_mul(4))?;
            search(text, name, &mut args)?
        }
        "replace" => {
            let old = args.require_str(0, "old")?;
            let new = args.require_str(1, "new")?;
            Value::str(text::replace(text, &old, &new, args.int(2, "count")?, budget)?)
        }
        "split" | "rsplit" => {
            let separator = args.str(0, "sep")?;
            let limit = args.int(1, "maxsplit")?;
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            if separator.as_deref() == Some("") {
                return fail("the separator of a split cannot be empty");
            }
            let parts = split(text, separator.as_deref(), limit, name == "rsplit");
            budget.steps(parts.len())?;
            Value::list(parts.into_iter().map(Value::str).collect())?
        }
        "splitlines" => {
            let lines = text::split_lines(text, args.flag(0, "keepends")?);
            budget.steps(lines.len())?;
            Value::list(lines.into_iter().map(Value::str).collect())?
        }
        "partition" | "rpartition" => {
            let separator = args.require_str(0, "sep")?;
            let last = name == "rpartition";
            let found = if last { text.rfind(&*separator) } else { text.find(&*separator) };
            let parts = match found {
                Some(at) => [&text[..at], &*separator, &text[at + separator.len()..]],
                None if last => ["", "", text],
                None => [text, "", ""],
            };
            Value::seq(SeqKind::Tuple, parts.map(Value::str).to_vec())?
        }
        "join" => {
            let items = args.require(0, "iterable")?.iterate(budget)?;
            if let Some(other) = items.iter().find(|item| !matches!(item, Value::Str(_))) {
                return Err(other.unfit("strings to join"));
            }
            Value::str(text::join(&items, text, budget)?)
        }
        "format" => {
            let args = std::mem::take(&mut args);
            return Ok(Value::str(format::str_format(text, args, budget)?));
        }
        "center" | "ljust" | "rjust" => {
            let width = args.require_int(0, "width")?;
            let fill = args.str(1, "fillchar")?.unwrap_or_else(|| " ".into());
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return fail("a fill must be one character");
            };
            let side = match name {
                "center" => Side::Both,
                "ljust" => Side::Right,
                _ => Side::Left,
            };
            Value::str(text::pad(text, width, fill, side, budget)?)
        }
        "zfill" => {
            let width = args.require_int(0, "width")?;
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let sign = &text[..text.len() - digits.len()];
            let padded = text::pad(digits, width.saturating_sub(sign.len() as i128), '0', Side::Left, budget)?;
            Value::str([sign, &padded].concat())
        }
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdigit" | "isnumeric" | "isdecimal" => all(char::is_numeric),
        "isspace" => all(super::lexer::is_space),
        "isascii" => Value::Bool(text.is_ascii()),
        "islower" => Value::Bool(predicates::is_cased(text, char::is_lowercase, char::is_uppercase)),
        "isupper" => Value::Bool(predicates::is_cased(text, char::is_uppercase, char::is_lowercase)),
        _ => return fail(format!("a string has no method `{name}`")),
    };
    args.finish(name)?;
    Ok(result)
}

/// `find`, `rfind`, `index` and `count`; places are counted in characters.
fn search(text: &str, name: &str, args: &mut Arguments) -> Result<Value> {
    let part = args.require_str(0, "sub")?;
    let chars = text.chars().count();
    let byte_of = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let bound = |bound: i128| {
        let from_start = if bound < 0 { bound.saturating_add(chars as i128) } else { bound };
        from_start.clamp(0, chars as i128) as usize
    };
    let start = args.int(1, "start")?.map_or(0, bound);
    let stop = args.int(2, "end")?.map_or(chars, bound);
    let within = text.get(byte_of(start)..byte_of(stop)).unwrap_or("");
    let at = match name {
        "count" if part.is_empty() => return Ok(Value::Int((stop + 1).saturating_sub(start) as i128)),
        "count" => return Ok(Value::Int(within.matches(&*part).count() as i128)),
        "rfind" => within.rfind(&*part),
        _ => within.find(&*part),
    };
    match at {
        Some(at) => Ok(Value::Int((start + within[..at].chars().count()) as i128)),
        None if name == "index" => fail("`index` did not find the text"),
        None => Ok(Value::Int(-1)),
    }
}

/// Splits at most `limit` times, from the end if `from_end`; at white space without a separator.
fn split<'a>(text: &'a str, separator: Option<&str>, limit: Option<usize>, from_end: bool) -> Vec<&'a str> {
    let parts = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    match (separator, from_end) {
        (Some(separator), false) => text.splitn(parts, separator).collect(),
        (Some(separator), true) => {
            let mut found: Vec<&str> = text.rsplitn(parts, separator).collect();
            found.reverse();
            found
        }
        (None, false) => {
            let mut found = Vec::new();
            let mut rest = text::strip_start(text, None);
            while !rest.is_empty() {
                let space = rest.find(super::lexer::is_space);
                let Some(at) = space.filter(|_| found.len() + 1 < parts) else {
                    // The last part of a limited split keeps its trailing white space.
                    found.push(rest);
                    return found;
                };
                found.push(&rest[..at]);
                rest = text::strip_start(&rest[at..], None);
            }
            found
        }
        (None, true) => {
            let mut found = Vec::new();
            let mut rest = text::strip_end(text, None);
            while !rest.is_empty() {
                let space = rest.rfind(super::lexer::is_space);
                let Some(at) = space.filter(|_| found.len() + 1 < parts) else {
                    found.push(rest);
                    break;
                };
                let after = at + rest[at..].chars().next().map_or(1, char::len_utf8);
                found.push(&rest[after..]);
                rest = text::strip_end(&rest[..at], None);
            }
            found.reverse();
            found
        }
    }
}

/// Python's title case: a word begins at a letter that no letter precedes.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    out
}

fn swap_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
    }
    out
}

//! Filters: `value | name(...)`, with the behaviour of Jinja's.

use std::cmp::Ordering;
use std::sync::Arc;

use super::args::Arguments;
use super::budget::{Budget, Result, fail};
use super::json::{Style, to_json};
use super::value::{SeqKind, Value};
use super::{access, format, predicates, text};

const KNOWN: [&str; 44] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "wordcount",
    "forceescape",
    "truncate",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

pub(super) fn apply(name: &str, value: &Value, mut args: Arguments, budget: &Budget) -> Result<Value> {
    budget.spend(value.size() + args.size())?;
    let text = || value.to_text(budget);
    let result = match name {
        // Text.
        "string" | "safe" => Value::Str(text()?),
        "lower" => Value::str(text()?.to_lowercase()),
        "upper" => Value::str(text()?.to_uppercase()),
        "capitalize" => Value::str(text::capitalize(&text()?)),
        "title" => Value::str(title(&text()?)),
        "trim" => Value::str(text::strip(&text()?, args.str(0, "chars")?.as_deref()).to_owned()),
        "replace" => {
            let old = args.require(0, "old")?.to_text(budget)?;
            let new = args.require(1, "new")?.to_text(budget)?;
            let count = args.int(2, "count")?;
            Value::str(text::replace(&text()?, &old, &new, count, budget)?)
        }
        "center" => {
            let width = args.int(0, "width")?.unwrap_or(80);
            Value::str(text::pad(&text()?, width, ' ', text::Side::Both, budget)?)
        }
        "indent" => indent(&text()?, &mut args, budget)?,
        "escape" | "e" | "forceescape" => Value::str(escape(&text()?, budget)?),
        "format" => Value::str(format::printf(&text()?, args.take_rest(), budget)?),
        "truncate" => truncate(&text()?, &mut args)?,
        "wordcount" => Value::Int(words(&text()?) as i128),
        "tojson" => tojson(value, &mut args, budget)?,

        // Numbers.
        "int" => int(value, &mut args)?,
        "float" => {
            let default = args.take(0, "default")?.unwrap_or(Value::Float(0.0));
            match value {
                Value::Str(text) => text.trim().parse().map_or(default, Value::Float),
                Value::Undefined(_) => return Err(value.unfit("a number")),
                _ => value.as_float().map_or(default, Value::Float),
            }
        }
        "abs" => match (value.as_int(), value) {
            (Some(int), _) => match int.checked_abs() {
                Some(int) => Value::Int(int),
                None => return fail("a number is out of range"),
            },
            (None, Value::Float(float)) => Value::Float(float.abs()),
            _ => return Err(value.unfit("a number")),
        },
        "round" => round(value, &mut args)?,

        // Anything.
        "default" | "d" => {
            let default = args.take(0, "default_value")?.unwrap_or_else(|| Value::str(""));
            let falsy_too = args.flag(1, "boolean")?;
            if value.is_undefined() || (falsy_too && !value.is_true()) { default } else { value.clone() }
        }
        "attr" => {
            let name = args.require_str(0, "name")?;
            match value {
                Value::Dict(_) => Value::Undefined(Some(name)),
                _ => access::attribute(value, &name)?,
            }
        }
        "length" | "count" => Value::Int(value.length()? as i128),

        // Lists and dicts.
        "list" => Value::list(value.iterate(budget)?)?,
        "first" => value.iterate(budget)?.into_iter().next().unwrap_or(Value::Undefined(None)),
        "last" => {
            if matches!(value, Value::Seq(seq) if seq.kind == SeqKind::Iterator) {
                return Err(value.unfit("a list"));
            }
            value.iterate(budget)?.pop().unwrap_or(Value::Undefined(None))
        }
        "reverse" => match value {
            Value::Str(text) => Value::str(text.chars().rev().collect::<String>()),
            _ => {
                let mut items = value.iterate(budget)?;
                items.reverse();
                Value::seq(SeqKind::Iterator, items)?
            }
        },
        "join" => {
            let separator = match args.take(0, "d")? {
                Some(separator) => separator.to_text(budget)?,
                None => "".into(),
            };
            let mut items = value.iterate(budget)?;
            if let Some(path) = args.optional(1, "attribute")? {
                items = attributes(items, &path, None, budget)?;
            }
            Value::str(text::join(&items, &separator, budget)?)
        }
        "items" => match value {
            Value::Undefined(_) => Value::seq(SeqKind::Iterator, Vec::new())?,
            Value::Dict(_) => Value::seq(SeqKind::Iterator, pairs(value, budget)?)?,
            other => return Err(other.unfit("a dict")),
        },
        "dictsort" => dictsort(value, &mut args, budget)?,
        "sort" => {
            let reverse = args.flag(0, "reverse")?;
            let exact_case = args.flag(1, "case_sensitive")?;
            let path = args.optional(2, "attribute")?;
            let keyed = keyed(value.iterate(budget)?, path.as_ref(), exact_case, budget)?;
            Value::list(sorted(keyed, reverse, budget)?)?
        }
        "unique" => {
            let exact_case = args.flag(0, "case_sensitive")?;
            let path = args.optional(1, "attribute")?;
            let mut kept: Vec<(Value, Value)> = Vec::new();
            for (key, item) in keyed(value.iterate(budget)?, path.as_ref(), exact_case, budget)? {
                let mut seen = false;
                for (known, _) in &kept {
                    budget.steps(1)?;
                    seen |= known.equals(&key, budget)?;
                }
                if !seen {
                    kept.push((key, item));
                }
            }
            let items = kept.into_iter().map(|(_, item)| item).collect();
            Value::seq(SeqKind::Iterator, items)?
        }
        "min" | "max" => {
            let exact_case = args.flag(0, "case_sensitive")?;
            let path = args.optional(1, "attribute")?;
            let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
            let mut best: Option<(Value, Value)> = None;
            for (key, item) in keyed(value.iterate(budget)?, path.as_ref(), exact_case, budget)? {
                let better = match &best {
                    Some((known, _)) => key.compare(known, budget)? == Some(wanted),
                    None => true,
                };
                if better {
                    best = Some((key, item));
                }
            }
            best.map_or(Value::Undefined(None), |(_, item)| item)
        }
        "sum" => {
            let path = args.optional(0, "attribute")?;
            let mut total = args.take(1, "start")?.unwrap_or(Value::Int(0));
            let mut items = value.iterate(budget)?;
            if let Some(path) = path {
                items = attributes(items, &path, None, budget)?;
            }
            for item in items {
                total = super::ops::arithmetic(super::ast::Arithmetic::Add, &total, &item, budget)?;
            }
            total
        }
        "batch" => batch(value, &mut args, budget)?,
        "map" => map(value, &mut args, budget)?,
        "select" | "reject" => {
            let wanted = name == "select";
            let kept = select(value, &mut args, None, wanted, budget)?;
            Value::seq(SeqKind::Iterator, kept)?
        }
        "selectattr" | "rejectattr" => {
            let path = args.require(0, "attribute")?;
            let rest = args.take_rest();
            args = Arguments::new(rest, std::mem::take(&mut args.named));
            let kept = select(value, &mut args, Some(&path), name == "selectattr", budget)?;
            Value::seq(SeqKind::Iterator, kept)?
        }
        _ => return fail(format!("unknown filter `{name}`")),
    };
    args.finish(name)?;
    Ok(result)
}

/// Jinja's own title case: a word begins after white space, `-` or an opening bracket.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if super::lexer::is_space(c) || "-({[<".contains(c) {
            out.push(c);
            begins = true;
        } else if begins {
            out.extend(c.to_uppercase());
            begins = false;
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn indent(text: &str, args: &mut Arguments, budget: &Budget) -> Result<Value> {
    let indention: Arc<str> = match args.optional(0, "width")? {
        None => "    ".into(),
        Some(Value::Str(indention)) => indention,
        Some(width) => {
            let Some(width) = width.as_int() else { return Err(width.unfit("an integer")) };
            let width = usize::try_from(width).unwrap_or(0);
            budget.spend(width)?;
            " ".repeat(width).into()
        }
    };
    let first = args.flag(1, "first")?;
    let blank = args.flag(2, "blank")?;
    let with_end = [text, "\n"].concat();
    let lines = text::split_lines(&with_end, false);
    budget.spend(indention.len().saturating_mul(lines.len()))?;
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if (at == 0 && first) || (at > 0 && (blank || !line.is_empty())) {
            out.push_str(&indention);
        }
        out.push_str(line);
    }
    Ok(Value::str(out))
}

fn escape(text: &str, budget: &Budget) -> Result<String> {
    budget.spend(text.len().saturating_mul(5))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn truncate(text: &str, args: &mut Arguments) -> Result<Value> {
    let length = args.int(0, "length")?.unwrap_or(255);
    let cut_words = args.flag(1, "killwords")?;
    let end = args.str(2, "end")?.unwrap_or_else(|| "...".into());
    let leeway = args.int(3, "leeway")?.unwrap_or(5);
    let total = text.chars().count() as i128;
    if total <= length.saturating_add(leeway) {
        return Ok(Value::str(text));
    }
    let Ok(keep) = usize::try_from(length.saturating_sub(end.chars().count() as i128)) else {
        return fail("`truncate` needs a length that its `end` fits into");
    };
    let mut kept: String = text.chars().take(keep).collect();
    if !cut_words && let Some(space) = kept.rfind(' ') {
        kept.truncate(space);
    }
    Ok(Value::str(kept + &end))
}

fn words(text: &str) -> usize {
    text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty()).count()
}

fn tojson(value: &Value, args: &mut Arguments, budget: &Budget) -> Result<Value> {
    let ensure_ascii = args.flag(0, "ensure_ascii")?;
    let indent = match args.optional(1, "indent")? {
        None => None,
        Some(Value::Str(indent)) => Some(indent.to_string()),
        Some(width) => {
            let Some(width) = width.as_int() else { return Err(width.unfit("an integer")) };
            let width = usize::try_from(width).unwrap_or(0);
            budget.spend(width)?;
            Some(" ".repeat(width))
        }
    };
    let separators = args.optional(2, "separators")?;
    let sort_keys = args.flag(3, "sort_keys")?;
    let item_separator = if indent.is_some() { "," } else { ", " };
    let mut style = Style {
        ensure_ascii,
        sort_keys,
        indent,
        item_separator: item_separator.to_owned(),
        key_separator: ": ".to_owned(),
    };
    if let Some(separators) = separators {
        let pair = separators.iterate(budget)?;
        let [Value::Str(item), Value::Str(key)] = pair.as_slice() else {
            return fail("`separators` must be a pair of strings");
        };
        style.item_separator = item.to_string();
        style.key_separator = key.to_string();
    }
    Ok(Value::str(to_json(value, &style, budget)?))
}

fn int(value: &Value, args: &mut Arguments) -> Result<Value> {
    let default = args.take(0, "default")?.unwrap_or(Value::Int(0));
    let base = args.int(1, "base")?.unwrap_or(10);
    Ok(match value {
        Value::Undefined(_) => return Err(value.unfit("a number")),
        Value::Float(float) if float.is_finite() => Value::Int(float.trunc() as i128),
        Value::Str(text) => {
            let clean = text.trim().replace('_', "");
            let radix = u32::try_from(base).ok().filter(|radix| (2..=36).contains(radix));
            let digits = match (base, clean.get(..2).map(str::to_ascii_lowercase).as_deref()) {
                (16, Some("0x")) | (8, Some("0o")) | (2, Some("0b")) => &clean[2..],
                _ => &clean,
            };
            match radix.and_then(|radix| i128::from_str_radix(digits, radix).ok()) {
                Some(int) => Value::Int(int),
                None => match clean.parse::<f64>() {
                    Ok(float) if float.is_finite() => Value::Int(float.trunc() as i128),
                    _ => default,
                },
            }
        }
        _ => value.as_int().map_or(default, Value::Int),
    })
}

fn round(value: &Value, args: &mut Arguments) -> Result<Value> {
    let precision = args.int(0, "precision")?.unwrap_or(0).clamp(-300, 300) as i32;
    let method = args.str(1, "method")?.unwrap_or_else(|| "common".into());
    let Some(float) = value.as_float() else { return Err(value.unfit("a number")) };
    let scale = 10f64.powi(precision);
    let scaled = float * scale;
    if let (Some(int), "common") = (value.as_int(), &*method) {
        // An integer stays one.
        let exact = precision >= 0 || !scaled.is_finite();
        return Ok(Value::Int(if exact { int } else { (scaled.round_ties_even() / scale) as i128 }));
    }
    let rounded = match &*method {
        // Formatting rounds the exact value, halves to even, as Python's `round` does.
        "common" if precision >= 0 => {
            let digits = precision as usize;
            return Ok(Value::Float(format!("{float:.digits$}").parse().unwrap_or(float)));
        }
        "common" => scaled.round_ties_even(),
        "ceil" => scaled.ceil(),
        "floor" => scaled.floor(),
        other => return fail(format!("unknown rounding `{other}`: common, ceil or floor")),
    };
    Ok(Value::Float(if scaled.is_finite() { rounded / scale } else { float }))
}

/// The entries of a dict as tuples.
pub(super) fn pairs(dict: &Value, budget: &Budget) -> Result<Vec<Value>> {
    let Value::Dict(dict) = dict else { return Err(dict.unfit("a dict")) };
    budget.steps(dict.entries().len().saturating_mul(2))?;
    dict.entries().iter().map(|(key, value)| Value::seq(SeqKind::Tuple, vec![key.clone(), value.clone()])).collect()
}

fn dictsort(value: &Value, args: &mut Arguments, budget: &Budget) -> Result<Value> {
    let exact_case = args.flag(0, "case_sensitive")?;
    let by = args.str(1, "by")?.unwrap_or_else(|| "key".into());
    let reverse = args.flag(2, "reverse")?;
    let at = match &*by {
        "key" => 0,
        "value" => 1,
        other => return fail(format!("cannot sort a dict by `{other}`: key or value")),
    };
    let path = Value::Int(at);
    let keyed = keyed(pairs(value, budget)?, Some(&path), exact_case, budget)?;
    Value::list(sorted(keyed, reverse, budget)?)
}

/// Items with what they are sorted or compared by; letter case counts only if `exact_case`.
fn keyed(items: Vec<Value>, path: Option<&Value>, exact_case: bool, budget: &Budget) -> Result<Vec<(Value, Value)>> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = match path {
            Some(path) => follow(&item, path, budget)?,
            None => item.clone(),
        };
        let key = match key {
            Value::Str(text) if !exact_case => {
                budget.spend(text.len())?;
                Value::str(text.to_lowercase())
            }
            key => key,
        };
        keyed.push((key, item));
    }
    Ok(keyed)
}

fn sorted(mut keyed: Vec<(Value, Value)>, reverse: bool, budget: &Budget) -> Result<Vec<Value>> {
    let mut failure = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let order = budget.steps(1).and_then(|()| a.compare(b, budget));
        let order = order.unwrap_or_else(|fault| {
            failure.get_or_insert(fault);
            None
        });
        let order = order.unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    match failure {
        Some(fault) => Err(fault),
        None => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

/// The attribute `path` of a value: a name, several names joined by dots, or an index.
fn follow(value: &Value, path: &Value, budget: &Budget) -> Result<Value> {
    let Value::Str(path) = path else { return access::item(value, path, budget) };
    let mut current = value.clone();
    for part in path.split('.') {
        let key = match part.parse() {
            Ok(index) => Value::Int(index),
            Err(_) => Value::str(part),
        };
        current = access::item(&current, &key, budget)?;
    }
    Ok(current)
}

fn attributes(items: Vec<Value>, path: &Value, default: Option<&Value>, budget: &Budget) -> Result<Vec<Value>> {
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let value = follow(&item, path, budget)?;
        found.push(match default {
            Some(default) if value.is_undefined() => default.clone(),
            _ => value,
        });
    }
    Ok(found)
}

fn batch(value: &Value, args: &mut Arguments, budget: &Budget) -> Result<Value> {
    let size = args.require_int(0, "linecount")?;
    let fill = args.optional(1, "fill_with")?;
    let Some(size) = usize::try_from(size).ok().filter(|&size| size > 0) else {
        return fail("`batch` needs a size above 0");
    };
    let mut batches = Vec::new();
    for chunk in value.iterate(budget)?.chunks(size) {
        let mut chunk = chunk.to_vec();
        if let Some(fill) = &fill {
            budget.steps(size - chunk.len())?;
            chunk.resize(size, fill.clone());
        }
        batches.push(Value::list(chunk)?);
    }
    Value::seq(SeqKind::Iterator, batches)
}

fn map(value: &Value, args: &mut Arguments, budget: &Budget) -> Result<Value> {
    let items = items_or_none(value, budget)?;
    if let Some(path) = args.take_named("attribute") {
        let default = args.take_named("default");
        return Value::seq(SeqKind::Iterator, attributes(items, &path, default.as_ref(), budget)?);
    }
    let mut rest = args.take_rest();
    let named = std::mem::take(&mut args.named);
    if rest.is_empty() {
        return fail("`map` needs a filter or an attribute");
    }
    let name = match rest.remove(0) {
        Value::Str(name) => name,
        other => return Err(other.unfit("the name of a filter")),
    };
    let mut mapped = Vec::with_capacity(items.len());
    for item in &items {
        budget.steps(1 + rest.len() + named.len())?;
        // A filter that maps could name itself without end.
        if matches!(&*name, "map" | "select" | "reject" | "selectattr" | "rejectattr") {
            return fail(format!("`map` cannot apply `{name}`"));
        }
        let args = Arguments::new(rest.clone(), named.clone());
        mapped.push(apply(&name, item, args, budget)?);
    }
    Value::seq(SeqKind::Iterator, mapped)
}

/// The items of a value; none of anything false, which Jinja does not even try to walk here.
fn items_or_none(value: &Value, budget: &Budget) -> Result<Vec<Value>> {
    if value.is_true() { value.iterate(budget) } else { Ok(Vec::new()) }
}

/// The items, or those whose attribute, that pass a test: or fail it, if not `wanted`.
fn select(
    value: &Value,
    args: &mut Arguments,
    path: Option<&Value>,
    wanted: bool,
    budget: &Budget,
) -> Result<Vec<Value>> {
    let mut rest = args.take_rest();
    let named = std::mem::take(&mut args.named);
    let test = if rest.is_empty() {
        None
    } else {
        match rest.remove(0) {
            Value::Str(name) => Some(name),
            other => return Err(other.unfit("the name of a test")),
        }
    };
    let mut kept = Vec::new();
    for item in items_or_none(value, budget)? {
        let subject = match path {
            Some(path) => follow(&item, path, budget)?,
            None => item.clone(),
        };
        let passes = match &test {
            Some(test) => {
                budget.steps(1 + rest.len() + named.len())?;
                let args = Arguments::new(rest.clone(), named.clone());
                predicates::test(test, &subject, args, budget)?
            }
            None => subject.is_true(),
        };
        if passes == wanted {
            kept.push(item);
        }
    }
    Ok(kept)
}

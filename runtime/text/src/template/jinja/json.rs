//! The filter `tojson`, as Hugging Face's renderer defines it: Python's `json.dumps` with
//! `ensure_ascii=False`, and no HTML escaping.

use super::budget::{Budget, Result, fail};
use super::value::{SeqKind, Value, float_repr, write_to};

#[derive(Debug)]
pub(super) struct Style {
    pub(super) ensure_ascii: bool,
    pub(super) sort_keys: bool,
    /// What one level is indented by; `None` for a single line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
}

pub(super) fn to_json(value: &Value, style: &Style, budget: &Budget) -> Result<String> {
    let mut writer = Writer { out: String::new(), style, budget };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    style: &'a Style,
    budget: &'a Budget,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, level: usize) -> Result<()> {
        self.budget.steps(1)?;
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => write_to(&mut self.out, format_args!("{value}")),
            Value::Float(value) => self.out.push_str(&json_float(*value)),
            Value::Str(text) => self.string(text)?,
            Value::Seq(seq) => {
                if !matches!(seq.kind, SeqKind::List | SeqKind::Tuple) {
                    return fail(format!("{} cannot be written as JSON", value.type_name()));
                }
                self.out.push('[');
                for (at, item) in seq.items.iter().enumerate() {
                    self.separate(at, level + 1)?;
                    self.value(item, level + 1)?;
                }
                self.close(']', seq.items.is_empty(), level)?;
            }
            Value::Dict(dict) => {
                let mut entries = Vec::with_capacity(dict.entries().len());
                for (key, value) in dict.entries() {
                    entries.push((json_key(key)?, value));
                }
                if self.style.sort_keys {
                    self.budget.steps(entries.len())?;
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.out.push('{');
                let empty = entries.is_empty();
                for (at, (key, value)) in entries.into_iter().enumerate() {
                    self.separate(at, level + 1)?;
                    self.string(&key)?;
                    self.out.push_str(&self.style.key_separator);
                    self.value(value, level + 1)?;
                }
                self.close('}', empty, level)?;
            }
            other => return Err(other.unfit("a value that can be written as JSON")),
        }
        Ok(())
    }

    fn separate(&mut self, at: usize, level: usize) -> Result<()> {
        if at > 0 {
            self.budget.spend(self.style.item_separator.len())?;
            self.out.push_str(&self.style.item_separator);
        }
        self.new_line(level)
    }

    fn close(&mut self, bracket: char, empty: bool, level: usize) -> Result<()> {
        if !empty {
            self.new_line(level)?;
        }
        self.out.push(bracket);
        Ok(())
    }

    fn new_line(&mut self, level: usize) -> Result<()> {
        if let Some(indent) = &self.style.indent {
            self.budget.spend(indent.len().saturating_mul(level) + 1)?;
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), level));
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<()> {
        self.budget.spend(text.len())?;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if c < ' ' || (self.style.ensure_ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write_to(&mut self.out, format_args!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Ok(())
    }
}

fn json_float(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        float_repr(value)
    }
}

fn json_key(key: &Value) -> Result<String> {
    Ok(match key {
        Value::Str(text) => text.to_string(),
        Value::None => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => json_float(*value),
        other => return fail(format!("{} cannot be a key in JSON", other.type_name())),
    })
}

//! `"%s" % value` and `"{}".format(value)`.

use super::args::Arguments;
use super::budget::{Budget, Result, fail};
use super::value::{Value, write_to};

/// The widest field and the greatest precision: a template has no use for more.
const MAX_WIDTH: usize = 1000;

/// Python's `text % values`.
pub(super) fn printf(text: &str, values: Vec<Value>, budget: &Budget) -> Result<String> {
    budget.spend(text.len())?;
    let mut out = String::new();
    let mut values = values.into_iter();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut spec = Spec::default();
        let flags = rest.len() - rest.trim_start_matches(['-', '0', '+', ' ', '#']).len();
        let mut left = false;
        for flag in rest[..flags].chars() {
            match flag {
                '-' => left = true,
                '0' => spec.zero = true,
                '+' => spec.sign = Some('+'),
                ' ' => spec.sign = spec.sign.or(Some(' ')),
                _ => {}
            }
        }
        rest = &rest[flags..];
        (spec.width, rest) = number(rest)?;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?;
            spec.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        spec.align = Some(if left { '<' } else { '>' });
        spec.zero &= !left;
        let Some(kind) = rest.chars().next() else { return fail("a format ends in `%`") };
        rest = &rest[kind.len_utf8()..];
        let Some(value) = values.next() else { return fail("not enough values for a format") };
        let value = match kind {
            's' => Value::Str(value.to_text(budget)?),
            'r' => {
                let mut repr = String::new();
                value.write_repr(&mut repr, budget)?;
                Value::str(repr)
            }
            'd' | 'i' | 'u' => match (value.as_int(), &value) {
                (Some(int), _) => Value::Int(int),
                (None, Value::Float(float)) => Value::Int(float.trunc() as i128),
                _ => return Err(value.unfit("a number")),
            },
            'f' | 'F' | 'x' | 'X' | 'o' | 'e' | 'g' => value,
            other => return fail(format!("unknown format `%{other}`")),
        };
        spec.kind = match kind {
            's' | 'r' => None,
            'i' | 'u' => Some('d'),
            kind => Some(kind),
        };
        spec.write(&mut out, &value, budget)?;
    }
    if values.next().is_some() {
        return fail("too many values for a format");
    }
    out.push_str(rest);
    Ok(out)
}

/// Python's `text.format(...)`, with fields `{}`, `{0}` and `{name}`.
pub(super) fn str_format(text: &str, mut args: Arguments, budget: &Budget) -> Result<String> {
    budget.spend(text.len())?;
    let positional: Vec<Value> = args.take_rest();
    let named = args.named;
    let mut next = 0;
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let Some((field, after)) = rest.split_once('}').filter(|_| brace == "{") else {
            return fail(format!("a single `{brace}` in a format"));
        };
        rest = after;
        let (name, spec) = field.split_once(':').unwrap_or((field, ""));
        let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
        let value = if name.is_empty() {
            next += 1;
            positional.get(next - 1)
        } else if let Ok(index) = name.parse::<usize>() {
            positional.get(index)
        } else {
            named.iter().find(|(found, _)| **found == *name).map(|(_, value)| value)
        };
        let Some(value) = value else { return fail(format!("no value for `{{{field}}}`")) };
        let value = match conversion {
            "" => value.clone(),
            "s" => Value::Str(value.to_text(budget)?),
            "r" => {
                let mut repr = String::new();
                value.write_repr(&mut repr, budget)?;
                Value::str(repr)
            }
            other => return fail(format!("unknown conversion `!{other}`")),
        };
        Spec::parse(spec)?.write(&mut out, &value, budget)?;
    }
    out.push_str(rest);
    Ok(out)
}

/// How one value is laid out: the format specification of Python's `format`.
#[derive(Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    zero: bool,
    width: Option<usize>,
    comma: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    /// `[[fill]align][sign][0][width][,][.precision][kind]`
    fn parse(text: &str) -> Result<Self> {
        let mut spec = Spec::default();
        let mut rest = text;
        let mut chars = text.chars();
        let is_align = |c: Option<char>| c.is_some_and(|c| "<>^".contains(c));
        let (first, second) = (chars.next(), chars.next());
        if let (Some(fill), Some(align), true) = (first, second, is_align(second)) {
            (spec.fill, spec.align) = (Some(fill), Some(align));
            rest = &rest[fill.len_utf8() + align.len_utf8()..];
        } else if is_align(first) {
            spec.align = first;
            rest = &rest[1..];
        }
        if let Some(sign) = rest.chars().next().filter(|&c| "+- ".contains(c)) {
            spec.sign = Some(sign).filter(|&sign| sign != '-');
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('0') {
            spec.zero = true;
            rest = after;
        }
        (spec.width, rest) = number(rest)?;
        if let Some(after) = rest.strip_prefix(',') {
            spec.comma = true;
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?;
            spec.precision = precision;
            rest = after;
        }
        let mut chars = rest.chars();
        spec.kind = chars.next().filter(|&kind| kind != 's');
        if chars.next().is_some() || spec.kind.is_some_and(|kind| !"dfFxXobeg%".contains(kind)) {
            return fail(format!("unknown format `:{text}`"));
        }
        Ok(spec)
    }

    fn write(&self, out: &mut String, value: &Value, budget: &Budget) -> Result<()> {
        let (text, is_number) = self.digits(value, budget)?;
        let width = self.width.unwrap_or(0);
        budget.spend(text.len() + width)?;
        let pad = width.saturating_sub(text.chars().count());
        if self.zero && is_number {
            let sign = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
            out.push_str(&text[..sign]);
            out.extend(std::iter::repeat_n('0', pad));
            out.push_str(&text[sign..]);
            return Ok(());
        }
        let before = match self.align.unwrap_or(if is_number { '>' } else { '<' }) {
            '<' => 0,
            '^' => pad / 2,
            _ => pad,
        };
        let fill = self.fill.unwrap_or(' ');
        out.extend(std::iter::repeat_n(fill, before));
        out.push_str(&text);
        out.extend(std::iter::repeat_n(fill, pad - before));
        Ok(())
    }

    /// The value without padding, and whether it is a number.
    fn digits(&self, value: &Value, budget: &Budget) -> Result<(String, bool)> {
        let mut text = String::new();
        let int = match (self.kind, value) {
            (None, Value::Bool(_)) => None,
            _ => value.as_int(),
        };
        match (self.kind, int, value.as_float()) {
            (None | Some('d'), Some(int), _) if self.precision.is_none() => {
                write_to(&mut text, format_args!("{int}"));
            }
            (Some('x'), Some(int), _) => write_signed(&mut text, int, format!("{:x}", int.unsigned_abs())),
            (Some('X'), Some(int), _) => write_signed(&mut text, int, format!("{:X}", int.unsigned_abs())),
            (Some('o'), Some(int), _) => write_signed(&mut text, int, format!("{:o}", int.unsigned_abs())),
            (Some('b'), Some(int), _) => write_signed(&mut text, int, format!("{:b}", int.unsigned_abs())),
            (Some('f' | 'F'), _, Some(float)) => {
                let precision = self.precision.unwrap_or(6);
                write_to(&mut text, format_args!("{float:.precision$}"));
            }
            (Some('%'), _, Some(float)) => {
                let precision = self.precision.unwrap_or(6);
                write_to(&mut text, format_args!("{:.precision$}%", float * 100.0));
            }
            (None, None, Some(_)) if self.precision.is_none() && !matches!(value, Value::Bool(_)) => {
                value.write_repr(&mut text, budget)?;
            }
            (None, _, _) if matches!(value, Value::Undefined(_)) => {}
            (None, None, _) => {
                let whole = value.to_text(budget)?;
                text.extend(whole.chars().take(self.precision.unwrap_or(usize::MAX)));
                return Ok((text, false));
            }
            (kind, _, _) => {
                let kind = kind.map_or_else(String::new, String::from);
                return Err(value.unfit(&format!("a number that the format `{kind}` can show")));
            }
        }
        if self.comma {
            text = with_commas(&text);
        }
        if let Some(sign) = self.sign.filter(|_| !text.starts_with('-')) {
            text.insert(0, sign);
        }
        Ok((text, true))
    }
}

fn write_signed(out: &mut String, int: i128, digits: String) {
    out.push_str(if int < 0 { "-" } else { "" });
    out.push_str(&digits);
}

fn with_commas(text: &str) -> String {
    let end = text.find('.').unwrap_or(text.len());
    let start = usize::from(text.starts_with('-'));
    let mut out = text[..start].to_owned();
    for (at, digit) in text[start..end].chars().enumerate() {
        if at > 0 && (end - start - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &text[end..]
}

/// A number at the start of the text and what follows it.
fn number(text: &str) -> Result<(Option<usize>, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if length == 0 {
        return Ok((None, text));
    }
    match text[..length].parse() {
        Ok(number) if number <= MAX_WIDTH => Ok((Some(number), &text[length..])),
        _ => fail(format!("a width or precision above {MAX_WIDTH}")),
    }
}

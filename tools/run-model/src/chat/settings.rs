//! What `/set` can change.

use std::str::FromStr;

use silhak::GenerateOptions;

/// The names: `system` and `think`, which the prompt depends on, and options of the command line of the same names.
pub(super) const NAMES: [&str; 12] = [
    "system",
    "think",
    "temp",
    "top-k",
    "top-p",
    "min-p",
    "repeat-penalty",
    "frequency-penalty",
    "presence-penalty",
    "seed",
    "max-tokens",
    "stop",
];

/// Why a setting was not changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    UnknownName(String),
    BadValue { name: String, value: String },
}

/// Changes one option; those that can be absent become so with an empty value.
pub(super) fn set(options: &mut GenerateOptions, name: &str, value: &str) -> Result<(), SetError> {
    let sampling = &mut options.sampling;
    match name {
        "temp" => sampling.temperature = parse(name, value)?,
        "top-k" => sampling.top_k = parse(name, value)?,
        "top-p" => sampling.top_p = parse(name, value)?,
        "min-p" => sampling.min_p = parse(name, value)?,
        "repeat-penalty" => sampling.repetition_penalty = parse(name, value)?,
        "frequency-penalty" => sampling.frequency_penalty = parse(name, value)?,
        "presence-penalty" => sampling.presence_penalty = parse(name, value)?,
        "seed" => sampling.seed = parse_or_none(name, value)?,
        "max-tokens" => options.max_tokens = parse_or_none(name, value)?,
        "stop" => options.stop = if value.is_empty() { Vec::new() } else { vec![value.to_owned()] },
        _ => return Err(SetError::UnknownName(name.to_owned())),
    }
    Ok(())
}

/// The options as they are.
pub(super) fn list(options: &GenerateOptions) -> impl Iterator<Item = (&'static str, String)> {
    let sampling = &options.sampling;
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    [
        ("temp", sampling.temperature.to_string()),
        ("top-k", sampling.top_k.to_string()),
        ("top-p", sampling.top_p.to_string()),
        ("min-p", sampling.min_p.to_string()),
        ("repeat-penalty", sampling.repetition_penalty.to_string()),
        ("frequency-penalty", sampling.frequency_penalty.to_string()),
        ("presence-penalty", sampling.presence_penalty.to_string()),
        ("seed", or_dash(sampling.seed.map(|seed| seed.to_string()))),
        ("max-tokens", or_dash(options.max_tokens.map(|n| n.to_string()))),
        ("stop", or_dash((!options.stop.is_empty()).then(|| format!("{:?}", options.stop)))),
    ]
    .into_iter()
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, SetError> {
    value.parse().map_err(|_| SetError::BadValue { name: name.to_owned(), value: value.to_owned() })
}

fn parse_or_none<T: FromStr>(name: &str, value: &str) -> Result<Option<T>, SetError> {
    if value.is_empty() { Ok(None) } else { parse(name, value).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_option_can_be_set_to_what_is_listed() {
        let mut options = GenerateOptions::default();
        for (name, value) in [("temp", "0.25"), ("top-k", "7"), ("seed", "11"), ("max-tokens", "5"), ("stop", "끝")] {
            set(&mut options, name, value).unwrap();
        }
        assert_eq!((options.sampling.temperature, options.sampling.top_k), (0.25, 7));
        assert_eq!((options.sampling.seed, options.max_tokens), (Some(11), Some(5)));
        assert_eq!(options.stop, ["끝"]);
        let names: Vec<_> = list(&options).map(|(name, _)| name).collect();
        assert_eq!(names, NAMES[2..]);
        for (name, value) in list(&options.clone()).filter(|(name, _)| *name != "stop") {
            assert_eq!(set(&mut options, name, &value), Ok(()), "{name}");
        }
        set(&mut options, "seed", "").unwrap();
        assert_eq!(options.sampling.seed, None);
    }

    #[test]
    fn nonsense_is_named() {
        let mut options = GenerateOptions::default();
        assert_eq!(set(&mut options, "heat", "1"), Err(SetError::UnknownName("heat".into())));
        let bad = SetError::BadValue { name: "top-k".into(), value: "many".into() };
        assert_eq!(set(&mut options, "top-k", "many"), Err(bad));
    }
}

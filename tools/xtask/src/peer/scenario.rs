//! What is measured, by the names that `--scenario` has for it.

use std::fmt;
use std::str::FromStr;

/// One kind of work. A repetition of it is a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Tokens one by one, after so many.
    Decode { depth: usize },
    /// A prompt of so many tokens.
    Prefill { n_tokens: usize },
    /// From the start of loading to the first token of an answer.
    FirstToken(PageCache),
}

/// Where the model's file is when loading starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageCache {
    /// Nothing of it in the system's page cache.
    Cold,
    /// All of it in there, as far as there is memory.
    Warm,
}

/// What is measured where nothing is chosen.
pub(super) const DEFAULT: &str = "decode@0,decode@4096,prefill@128,prefill@512,prefill@2048,load@cold,load@warm";

impl Scenario {
    /// The context that it takes, in tokens, where `n_decode` are decoded; none where any is enough.
    pub(super) fn context(self, n_decode: usize) -> Option<usize> {
        match self {
            // As run-model reckons: the token that is chosen last has a place, too.
            Scenario::Decode { depth } => Some(depth + n_decode + 1),
            Scenario::Prefill { n_tokens } => Some(n_tokens + 1),
            Scenario::FirstToken(_) => None,
        }
    }

    /// How it is called in the table.
    pub(super) fn title(self) -> String {
        match self {
            Scenario::Decode { depth } => format!("decode after {depth}"),
            Scenario::Prefill { n_tokens } => format!("prefill {n_tokens}"),
            Scenario::FirstToken(PageCache::Cold) => "load to first token, cold".to_owned(),
            Scenario::FirstToken(PageCache::Warm) => "load to first token, warm".to_owned(),
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Scenario::Decode { .. } | Scenario::Prefill { .. } => "tokens/s",
            Scenario::FirstToken(_) => "ms",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scenario::Decode { depth } => write!(f, "decode@{depth}"),
            Scenario::Prefill { n_tokens } => write!(f, "prefill@{n_tokens}"),
            Scenario::FirstToken(PageCache::Cold) => f.write_str("load@cold"),
            Scenario::FirstToken(PageCache::Warm) => f.write_str("load@warm"),
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Scenario, String> {
        let scenario = match text.split_once('@') {
            Some(("decode", depth)) => depth.parse().ok().map(|depth| Scenario::Decode { depth }),
            Some(("prefill", n)) => n.parse().ok().filter(|n| *n > 0).map(|n_tokens| Scenario::Prefill { n_tokens }),
            Some(("load", "cold")) => Some(Scenario::FirstToken(PageCache::Cold)),
            Some(("load", "warm")) => Some(Scenario::FirstToken(PageCache::Warm)),
            _ => None,
        };
        scenario.ok_or_else(|| "expected `decode@DEPTH`, `prefill@TOKENS`, `load@cold` or `load@warm`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for name in DEFAULT.split(',') {
            assert_eq!(name.parse::<Scenario>().unwrap().to_string(), name);
        }
        assert_eq!("decode@4096".parse(), Ok(Scenario::Decode { depth: 4096 }));
        for wrong in ["decode", "decode@", "decode@-1", "prefill@0", "prefill@x", "load@hot", ""] {
            assert!(wrong.parse::<Scenario>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn contexts_hold_what_is_measured() {
        assert_eq!("decode@4096".parse::<Scenario>().unwrap().context(32), Some(4129));
        assert_eq!("prefill@512".parse::<Scenario>().unwrap().context(32), Some(513));
        assert_eq!("load@cold".parse::<Scenario>().unwrap().context(32), None);
    }
}

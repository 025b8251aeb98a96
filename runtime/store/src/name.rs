//! Model names and digests: the two strings that become file names, and therefore the two that are checked hardest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::StoreError;

const MAX_NAME_LEN: usize = 96;

/// A model's name in the store, such as `qwen2.5-0.5b` or `exaone:2.4b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// Makes a name out of a file's: lower case, other characters turned to `-`, without `.gguf` and shard numbers.
    ///
    /// # Errors
    /// [`StoreError::NoNameInFile`] if no letter or digit is left.
    pub fn from_file_name(file: &str) -> Result<Self, StoreError> {
        let stem = file.strip_suffix(".gguf").unwrap_or(file);
        let stem = crate::manifest::Shard::parse(file).map_or(stem, |shard| &file[..shard.stem_len]);
        let name: String = stem
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if is_name_char(c) { c } else { '-' })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(MAX_NAME_LEN)
            .collect();
        name.trim_end_matches('-').parse().map_err(|_| StoreError::NoNameInFile { file: file.to_owned() })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as part of a file name: `:` is not allowed in file names everywhere, and `@` is in no name.
    pub(crate) fn file_stem(&self) -> String {
        self.0.replace(':', "@")
    }

    /// The inverse of [`ModelName::file_stem`].
    pub(crate) fn from_file_stem(stem: &str) -> Result<Self, StoreError> {
        stem.replace('@', ":").parse()
    }
}

impl FromStr for ModelName {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::BadName { name: text.to_owned() };
        if text.len() > MAX_NAME_LEN {
            return Err(bad());
        }
        let (name, tag) = text.split_once(':').map_or((text, None), |(name, tag)| (name, Some(tag)));
        let plain =
            |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_name_char);
        if plain(name) && tag.is_none_or(plain) { Ok(Self(text.to_owned())) } else { Err(bad()) }
    }
}

impl TryFrom<String> for ModelName {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self, StoreError> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A SHA-256 digest; its text form is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn finish(hasher: sha2::Sha256) -> Self {
        Self(sha2::Digest::finalize(hasher).into())
    }
}

impl FromStr for Digest {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::BadDigest { digest: text.to_owned() };
        // The length is counted in bytes and every byte must be a hex digit, so slicing by two is on char borders.
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut digest = [0; 32];
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Digest {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self, StoreError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_name_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_allow_listed() {
        for good in ["demo", "qwen2.5-0.5b", "exaone:2.4b", "a_b-c.d:q4_k_m"] {
            assert_eq!(good.parse::<ModelName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(97);
        for bad in [
            "", ".", "..", "../x", "a/b", "a\\b", "A", ".hidden", "-x", "a:", ":a", "a:b:c", "a b", "a@b", "가", "a\0",
            &long,
        ] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn file_stems_round_trip() {
        let name: ModelName = "exaone:2.4b".parse().unwrap();
        assert_eq!(name.file_stem(), "exaone@2.4b");
        assert_eq!(ModelName::from_file_stem(&name.file_stem()).unwrap(), name);
    }

    #[test]
    fn names_come_from_file_names() {
        for (file, name) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct.q4_1"),
            ("EXAONE 4.0 (1.2B).gguf", "exaone-4.0--1.2b"),
            ("Big-Q4_K_M-00002-of-00003.gguf", "big-q4_k_m"),
            ("__x.gguf", "x"),
        ] {
            assert_eq!(ModelName::from_file_name(file).unwrap().as_str(), name);
        }
        assert!(ModelName::from_file_name("한국어.gguf").is_err());
    }

    #[test]
    fn digests_are_exactly_64_hex_digits() {
        let hex = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
        assert_eq!(hex.parse::<Digest>().unwrap().to_string(), hex);
        let wide = format!("{}가", &hex[..61]);
        for bad in ["", &hex[..63], &format!("{hex}0"), &hex.replace('b', "g"), &wide, "../../../../etc/passwd"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} was accepted");
        }
    }
}

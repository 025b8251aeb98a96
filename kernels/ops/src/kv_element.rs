//! How keys and values are stored.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvElement {
    /// IEEE half precision, the default.
    F16,
    /// Single precision, for the reference.
    F32,
    /// 8 bits: 32 neighbours of a head share a scale in half precision, which makes 34 bytes of them
    /// ([`silhak_quant::quantize_kv`]): 17/32 of the memory of [`KvElement::F16`], and of what attention reads. Small models lose
    /// noticeably by it.
    Q8_0,
}

impl KvElement {
    /// All of them.
    pub const ALL: [KvElement; 3] = [KvElement::F16, KvElement::F32, KvElement::Q8_0];

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            KvElement::F16 => "f16",
            KvElement::F32 => "f32",
            KvElement::Q8_0 => "q8_0",
        }
    }

    /// Values that are stored together; a head is a multiple of so many.
    pub fn block_len(self) -> usize {
        match self {
            KvElement::F16 | KvElement::F32 => 1,
            KvElement::Q8_0 => 32,
        }
    }

    /// Bytes of `n` values, a multiple of [`KvElement::block_len`]; never wraps.
    pub fn bytes(self, n: usize) -> usize {
        let block = match self {
            KvElement::F16 => 2,
            KvElement::F32 => 4,
            KvElement::Q8_0 => 34,
        };
        (n / self.block_len()).saturating_mul(block)
    }
}

impl fmt::Display for KvElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KvElement {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = KvElement::ALL.into_iter().find(|element| element.name() == name);
        found.ok_or_else(|| Error::UnknownKvElement { found: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert!(KvElement::ALL.iter().all(|element| element.to_string().parse::<KvElement>().unwrap() == *element));
        assert!("q4_0".parse::<KvElement>().unwrap_err().to_string().contains("q8_0"));
    }
}

//! The names, numbers and sizes of the weight formats.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How the values of a tensor are stored in a GGUF file.
///
/// Names and ids are those of ggml's `enum ggml_type`. A *block* is the smallest unit that can be
/// decoded by itself; the three float formats have blocks of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// 4 bits, one scale per 32 values.
    Q4_0,
    /// 4 bits, one scale and one offset per 32 values.
    Q4_1,
    /// 5 bits, one scale per 32 values.
    Q5_0,
    /// 5 bits, one scale and one offset per 32 values.
    Q5_1,
    /// 8 bits, one scale per 32 values.
    Q8_0,
    /// 2 bits, a 4-bit scale and minimum per 16 values, two half floats per 256.
    Q2K,
    /// 3 bits, a 6-bit scale per 16 values, a half float per 256.
    Q3K,
    /// 4 bits, a 6-bit scale and minimum per 32 values, two half floats per 256.
    Q4K,
    /// 5 bits, a 6-bit scale and minimum per 32 values, two half floats per 256.
    Q5K,
    /// 6 bits, an 8-bit scale per 16 values, a half float per 256.
    Q6K,
    /// 4 bits that index 16 unevenly spaced levels, one scale per 32 values.
    Iq4Nl,
    /// The levels of [`Format::Iq4Nl`], a 6-bit scale per 32 values, a half float per 256.
    Iq4Xs,
}

/// What there is to know about one format.
struct Facts {
    name: &'static str,
    ggml_id: u32,
    block_len: usize,
    block_bytes: usize,
}

impl Format {
    /// Every format of this crate, in the order of the enum.
    pub const ALL: &[Format] = &[
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q2K,
        Format::Q3K,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
        Format::Iq4Nl,
        Format::Iq4Xs,
    ];

    /// The ggml name, such as `Q4_K` or `IQ4_XS`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The number of this type in GGUF tensor tables (`enum ggml_type`).
    pub const fn ggml_id(self) -> u32 {
        self.facts().ggml_id
    }

    /// The format with this number in GGUF tensor tables, if this crate can decode it.
    pub fn from_ggml_id(id: u32) -> Option<Format> {
        Format::ALL.iter().copied().find(|f| f.ggml_id() == id)
    }

    /// Values per block.
    pub const fn block_len(self) -> usize {
        self.facts().block_len
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        self.facts().block_bytes
    }

    /// Bytes that `n_values` take; `None` if they are not whole blocks or the result overflows.
    pub const fn row_bytes(self, n_values: usize) -> Option<usize> {
        if n_values.is_multiple_of(self.block_len()) {
            (n_values / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    const fn facts(self) -> Facts {
        let (name, ggml_id, block_len, block_bytes) = match self {
            Format::F32 => ("F32", 0, 1, 4),
            Format::F16 => ("F16", 1, 1, 2),
            Format::Bf16 => ("BF16", 30, 1, 2),
            Format::Q4_0 => ("Q4_0", 2, 32, 18),
            Format::Q4_1 => ("Q4_1", 3, 32, 20),
            Format::Q5_0 => ("Q5_0", 6, 32, 22),
            Format::Q5_1 => ("Q5_1", 7, 32, 24),
            Format::Q8_0 => ("Q8_0", 8, 32, 34),
            Format::Q2K => ("Q2_K", 10, 256, 84),
            Format::Q3K => ("Q3_K", 11, 256, 110),
            Format::Q4K => ("Q4_K", 12, 256, 144),
            Format::Q5K => ("Q5_K", 13, 256, 176),
            Format::Q6K => ("Q6_K", 14, 256, 210),
            Format::Iq4Nl => ("IQ4_NL", 20, 32, 18),
            Format::Iq4Xs => ("IQ4_XS", 23, 256, 136),
        };
        Facts { name, ggml_id, block_len, block_bytes }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Parses the ggml name, in any case.
    fn from_str(name: &str) -> Result<Format, Error> {
        Format::ALL
            .iter()
            .copied()
            .find(|f| f.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::UnknownFormat { name: name.to_owned() })
    }
}

/// The names of all formats, for error messages.
pub(crate) fn list_names() -> String {
    Format::ALL.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_find_their_format() {
        for &format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(format.name().to_lowercase().parse(), Ok(format));
            assert_eq!(Format::from_ggml_id(format.ggml_id()), Some(format));
        }
        assert_eq!(Format::from_ggml_id(4), None);
        let message = "Q4_2".parse::<Format>().unwrap_err().to_string();
        assert!(message.contains("`Q4_2`") && message.contains("IQ4_XS"), "{message}");
    }

    #[test]
    fn rows_are_whole_blocks_and_do_not_overflow() {
        assert_eq!(Format::Q4K.row_bytes(512), Some(288));
        assert_eq!(Format::Q4K.row_bytes(0), Some(0));
        assert_eq!(Format::Q4K.row_bytes(255), None);
        assert_eq!(Format::F32.row_bytes(3), Some(12));
        assert_eq!(Format::F32.row_bytes(usize::MAX), None);
    }
}

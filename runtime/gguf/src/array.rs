//! Metadata arrays.

use std::fmt;

use crate::limits::MAX_ARRAY_TEXT_BYTES;
use crate::{Error, ValueType};

/// A metadata array: elements of one type, never arrays themselves.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are GGUF's value types and say all there is to say")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    String(StringArray),
}

/// Strings laid end to end in one allocation, so that an array takes less memory than it takes bytes in a file
/// (a `Vec<String>` of short tokens takes several times more).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringArray {
    text: String,
    /// Where each string ends in `text`; it begins where the one before ends.
    ends: Vec<u32>,
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::U8(v) => v.len(),
            Array::I8(v) => v.len(),
            Array::U16(v) => v.len(),
            Array::I16(v) => v.len(),
            Array::U32(v) => v.len(),
            Array::I32(v) => v.len(),
            Array::U64(v) => v.len(),
            Array::I64(v) => v.len(),
            Array::F32(v) => v.len(),
            Array::F64(v) => v.len(),
            Array::Bool(v) => v.len(),
            Array::String(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ValueType {
        match self {
            Array::U8(_) => ValueType::U8,
            Array::I8(_) => ValueType::I8,
            Array::U16(_) => ValueType::U16,
            Array::I16(_) => ValueType::I16,
            Array::U32(_) => ValueType::U32,
            Array::I32(_) => ValueType::I32,
            Array::U64(_) => ValueType::U64,
            Array::I64(_) => ValueType::I64,
            Array::F32(_) => ValueType::F32,
            Array::F64(_) => ValueType::F64,
            Array::Bool(_) => ValueType::Bool,
            Array::String(_) => ValueType::String,
        }
    }

    /// The elements in order, if they are of an integer type.
    pub fn integers(&self) -> Option<Box<dyn Iterator<Item = i128> + '_>> {
        fn widen<'a, T: Copy + Into<i128>>(values: &'a [T]) -> Option<Box<dyn Iterator<Item = i128> + 'a>> {
            Some(Box::new(values.iter().map(|&v| v.into())))
        }
        match self {
            Array::U8(v) => widen(v),
            Array::I8(v) => widen(v),
            Array::U16(v) => widen(v),
            Array::I16(v) => widen(v),
            Array::U32(v) => widen(v),
            Array::I32(v) => widen(v),
            Array::U64(v) => widen(v),
            Array::I64(v) => widen(v),
            Array::F32(_) | Array::F64(_) | Array::Bool(_) | Array::String(_) => None,
        }
    }
}

impl StringArray {
    /// An array of these strings.
    ///
    /// # Errors
    /// As [`StringArray::push`].
    pub fn new(strings: impl IntoIterator<Item: AsRef<str>>) -> Result<StringArray, Error> {
        let mut array = StringArray::default();
        for string in strings {
            array.push(string.as_ref())?;
        }
        Ok(array)
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        self.text.get(start..end)
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        // Every position below `len` has a string: `push` is the only way to add one.
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Bytes of all strings together.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// An array with room for `len` strings of `text_bytes` bytes together.
    pub(crate) fn with_capacity(len: usize, text_bytes: usize) -> StringArray {
        StringArray { text: String::with_capacity(text_bytes), ends: Vec::with_capacity(len) }
    }

    /// Adds `string` at the end.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when the text would pass [`MAX_ARRAY_TEXT_BYTES`].
    pub fn push(&mut self, string: &str) -> Result<(), Error> {
        let end = self.text.len() as u64 + string.len() as u64;
        if end > MAX_ARRAY_TEXT_BYTES {
            let reason = format!("{end} bytes of text: expected at most {MAX_ARRAY_TEXT_BYTES}");
            return Err(Error::Unwritable { field: "an array of strings".to_owned(), reason });
        }
        self.text.push_str(string);
        self.ends.push(end as u32);
        Ok(())
    }
}

impl fmt::Debug for StringArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

macro_rules! array_from {
    ($($element:ty => $variant:ident),* $(,)?) => {
        $(impl From<Vec<$element>> for Array {
            fn from(values: Vec<$element>) -> Array {
                Array::$variant(values)
            }
        })*
    };
}

array_from! {
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64, bool => Bool,
}

impl From<StringArray> for Array {
    fn from(strings: StringArray) -> Array {
        Array::String(strings)
    }
}

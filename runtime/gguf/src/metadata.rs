//! The key-value pairs of a model, and typed access to them.

use std::borrow::Cow;

use crate::limits::MAX_TENSORS;
use crate::{Array, Error, StringArray, Value};

/// The metadata of a model: keys (unique) and values, in the order of the file.
///
/// The typed accessors refuse a value of another type with an error that names the key, the type expected and the type
/// found. Integers of every width are read as any integer type that holds their value; integers, floats and booleans
/// are never taken for each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(Box<str>, Value)>,
    /// Positions in `entries` by ascending key.
    by_key: Vec<u32>,
}

impl Metadata {
    /// Metadata made by hand, for tests and tools.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] (with the number of the entry in place of an offset).
    pub fn from_entries<K: Into<Box<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Result<Metadata, Error> {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Metadata::index(entries).map_err(|(key, entry)| Error::DuplicateKey { key, offset: entry as u64 })
    }

    /// Indexes `entries` by key; gives back a key that is there twice, and the position of its second entry.
    pub(crate) fn index(entries: Vec<(Box<str>, Value)>) -> Result<Metadata, (String, usize)> {
        let mut by_key: Vec<u32> = (0..entries.len() as u32).collect();
        by_key.sort_unstable_by_key(|&at| (&*entries[at as usize].0, at));
        for pair in by_key.windows(2) {
            let (key, second) = (&entries[pair[0] as usize].0, pair[1] as usize);
            if *key == entries[second].0 {
                return Err((key.to_string(), second));
            }
        }
        Ok(Metadata { entries, by_key })
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.by_key.binary_search_by(|&at| (*self.entries[at as usize].0).cmp(key)).ok()?;
        Some(&self.entries[self.by_key[found] as usize].1)
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Accessors for one value. Each has a form that needs the key ([`Error::MissingKey`]) and an `opt_` form for which
/// an absent key is `None`. All refuse another type ([`Error::WrongType`]); integers also a value that does not fit
/// ([`Error::OutOfRange`]).
impl Metadata {
    /// A u32, from any integer type.
    pub fn u32(&self, key: &str) -> Result<u32, Error> {
        required(key, "u32", self.opt_u32(key))
    }

    /// A u32, from any integer type, if the key is there.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.opt(key, |value| integer(key, "u32", value))
    }

    /// A u64, from any integer type.
    pub fn u64(&self, key: &str) -> Result<u64, Error> {
        required(key, "u64", self.opt_u64(key))
    }

    /// A u64, from any integer type, if the key is there.
    pub fn opt_u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.opt(key, |value| integer(key, "u64", value))
    }

    /// An i32, from any integer type.
    pub fn i32(&self, key: &str) -> Result<i32, Error> {
        required(key, "i32", self.opt_i32(key))
    }

    /// An i32, from any integer type, if the key is there.
    pub fn opt_i32(&self, key: &str) -> Result<Option<i32>, Error> {
        self.opt(key, |value| integer(key, "i32", value))
    }

    /// An f32, stored as one.
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        required(key, "f32", self.opt_f32(key))
    }

    /// An f32, stored as one, if the key is there.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.opt(key, |value| match value {
            Value::F32(v) => Ok(*v),
            other => Err(wrong_type(key, "f32", other)),
        })
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        required(key, "bool", self.opt_bool(key))
    }

    /// A boolean, if the key is there.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.opt(key, |value| match value {
            Value::Bool(v) => Ok(*v),
            other => Err(wrong_type(key, "bool", other)),
        })
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<&str, Error> {
        required(key, "string", self.opt_str(key))
    }

    /// A string, if the key is there.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.opt(key, |value| match value {
            Value::String(v) => Ok(v.as_str()),
            other => Err(wrong_type(key, "string", other)),
        })
    }
}

/// Accessors for arrays, with the same errors.
impl Metadata {
    /// An array of strings.
    pub fn str_array(&self, key: &str) -> Result<&StringArray, Error> {
        required(key, STRINGS, self.opt_str_array(key))
    }

    /// An array of strings, if the key is there.
    pub fn opt_str_array(&self, key: &str) -> Result<Option<&StringArray>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::String(v)) => Ok(v),
            other => Err(wrong_type(key, STRINGS, other)),
        })
    }

    /// An array of f32.
    pub fn f32_array(&self, key: &str) -> Result<&[f32], Error> {
        required(key, F32S, self.opt_f32_array(key))
    }

    /// An array of f32, if the key is there.
    pub fn opt_f32_array(&self, key: &str) -> Result<Option<&[f32]>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::F32(v)) => Ok(v.as_slice()),
            other => Err(wrong_type(key, F32S, other)),
        })
    }

    /// An array of i32, from any integer type; borrowed when it is stored as i32.
    pub fn i32_array(&self, key: &str) -> Result<Cow<'_, [i32]>, Error> {
        required(key, I32S, self.opt_i32_array(key))
    }

    /// An array of i32, from any integer type, if the key is there.
    pub fn opt_i32_array(&self, key: &str) -> Result<Option<Cow<'_, [i32]>>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::I32(v)) => Ok(Cow::Borrowed(v.as_slice())),
            other => integers(key, I32S, "i32", other).map(Cow::Owned),
        })
    }

    /// An array of u32, from any integer type; borrowed when it is stored as u32.
    pub fn u32_array(&self, key: &str) -> Result<Cow<'_, [u32]>, Error> {
        required(key, U32S, self.opt_u32_array(key))
    }

    /// An array of u32, from any integer type, if the key is there.
    pub fn opt_u32_array(&self, key: &str) -> Result<Option<Cow<'_, [u32]>>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::U32(v)) => Ok(Cow::Borrowed(v.as_slice())),
            other => integers(key, U32S, "u32", other).map(Cow::Owned),
        })
    }

    /// An array of booleans.
    pub fn bool_array(&self, key: &str) -> Result<&[bool], Error> {
        required(key, BOOLS, self.opt_bool_array(key))
    }

    /// An array of booleans, if the key is there.
    pub fn opt_bool_array(&self, key: &str) -> Result<Option<&[bool]>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::Bool(v)) => Ok(v.as_slice()),
            other => Err(wrong_type(key, BOOLS, other)),
        })
    }
}

/// Accessors for hyper-parameters that are either one value for all layers or an array with one per layer. An array
/// must have exactly `n_layers` elements ([`Error::WrongLength`]); more layers than a model can have tensors are
/// refused ([`Error::OutOfRange`]).
impl Metadata {
    /// One u32 per layer.
    pub fn u32_per_layer(&self, key: &str, n_layers: usize) -> Result<Vec<u32>, Error> {
        required(key, U32_OR_U32S, self.opt_u32_per_layer(key, n_layers))
    }

    /// One u32 per layer, if the key is there.
    pub fn opt_u32_per_layer(&self, key: &str, n_layers: usize) -> Result<Option<Vec<u32>>, Error> {
        self.opt(key, |value| match value {
            Value::Array(_) => per_layer(key, n_layers, integers(key, U32_OR_U32S, "u32", value)?),
            one => repeat(key, n_layers, integer(key, U32_OR_U32S, one)?),
        })
    }

    /// One f32 per layer.
    pub fn f32_per_layer(&self, key: &str, n_layers: usize) -> Result<Vec<f32>, Error> {
        required(key, F32_OR_F32S, self.opt_f32_per_layer(key, n_layers))
    }

    /// One f32 per layer, if the key is there.
    pub fn opt_f32_per_layer(&self, key: &str, n_layers: usize) -> Result<Option<Vec<f32>>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::F32(v)) => per_layer(key, n_layers, v.clone()),
            Value::F32(v) => repeat(key, n_layers, *v),
            other => Err(wrong_type(key, F32_OR_F32S, other)),
        })
    }

    /// One boolean per layer.
    pub fn bool_per_layer(&self, key: &str, n_layers: usize) -> Result<Vec<bool>, Error> {
        required(key, BOOL_OR_BOOLS, self.opt_bool_per_layer(key, n_layers))
    }

    /// One boolean per layer, if the key is there.
    pub fn opt_bool_per_layer(&self, key: &str, n_layers: usize) -> Result<Option<Vec<bool>>, Error> {
        self.opt(key, |value| match value {
            Value::Array(Array::Bool(v)) => per_layer(key, n_layers, v.clone()),
            Value::Bool(v) => repeat(key, n_layers, *v),
            other => Err(wrong_type(key, BOOL_OR_BOOLS, other)),
        })
    }

    fn opt<'a, T>(&'a self, key: &str, read: impl FnOnce(&'a Value) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.get(key).map(read).transpose()
    }
}

const STRINGS: &str = "array of string";
const F32S: &str = "array of f32";
const I32S: &str = "array of i32";
const U32S: &str = "array of u32";
const BOOLS: &str = "array of bool";
const U32_OR_U32S: &str = "u32, or array of u32 with one per layer";
const F32_OR_F32S: &str = "f32, or array of f32 with one per layer";
const BOOL_OR_BOOLS: &str = "bool, or array of bool with one per layer";

fn required<T>(key: &str, expected: &'static str, found: Result<Option<T>, Error>) -> Result<T, Error> {
    found?.ok_or_else(|| Error::MissingKey { key: key.to_owned(), expected })
}

fn wrong_type(key: &str, expected: &'static str, found: &Value) -> Error {
    Error::WrongType { key: key.to_owned(), expected, found: found.describe() }
}

fn integer<T: TryFrom<i128>>(key: &str, expected: &'static str, value: &Value) -> Result<T, Error> {
    let number = value.as_integer().ok_or_else(|| wrong_type(key, expected, value))?;
    T::try_from(number).map_err(|_| Error::OutOfRange {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: number.to_string(),
    })
}

fn integers<T: TryFrom<i128>>(
    key: &str,
    expected: &'static str,
    element: &'static str,
    value: &Value,
) -> Result<Vec<T>, Error> {
    let numbers = match value {
        Value::Array(array) => array.integers(),
        _ => None,
    };
    let numbers = numbers.ok_or_else(|| wrong_type(key, expected, value))?;
    let convert = |(at, number): (usize, i128)| {
        T::try_from(number).map_err(|_| Error::OutOfRange {
            key: key.to_owned(),
            expected: format!("array of {element}"),
            found: format!("{number} in element {at}"),
        })
    };
    numbers.enumerate().map(convert).collect()
}

fn per_layer<T>(key: &str, n_layers: usize, values: Vec<T>) -> Result<Vec<T>, Error> {
    if values.len() != n_layers {
        return Err(Error::WrongLength { key: key.to_owned(), expected: n_layers, found: values.len() });
    }
    Ok(values)
}

fn repeat<T: Clone>(key: &str, n_layers: usize, value: T) -> Result<Vec<T>, Error> {
    if n_layers as u64 > MAX_TENSORS {
        return Err(Error::OutOfRange {
            key: key.to_owned(),
            expected: format!("a value for each of at most {MAX_TENSORS} layers"),
            found: format!("{n_layers} layers"),
        });
    }
    Ok(vec![value; n_layers])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let tokens = StringArray::new(["<s>", "가"]).unwrap();
        let entries: [(&str, Value); 10] = [
            ("u8", 200u8.into()),
            ("i64", (-5i64).into()),
            ("big", u64::MAX.into()),
            ("f32", 0.5f32.into()),
            ("bool", true.into()),
            ("str", "qwen2".into()),
            ("tokens", tokens.into()),
            ("kv_heads", vec![8u8, 0, 8].into()),
            ("pattern", vec![true, true, false].into()),
            ("scales", vec![1.0f32, 2.0].into()),
        ];
        Metadata::from_entries(entries).unwrap()
    }

    #[test]
    fn keeps_order_and_finds_every_key() {
        let metadata = metadata();
        let keys: Vec<_> = metadata.iter().map(|(key, _)| key).collect();
        assert_eq!(&keys[..3], ["u8", "i64", "big"]);
        assert!(keys.iter().all(|key| metadata.get(key).is_some()));
        assert_eq!(metadata.get("absent"), None);
        let twice = Metadata::from_entries([("k", Value::U8(1)), ("j", Value::U8(1)), ("k", Value::U8(2))]);
        assert!(matches!(twice.unwrap_err(), Error::DuplicateKey { key, offset: 2 } if key == "k"));
    }

    #[test]
    fn integers_widen_and_narrow_by_value_only() {
        let metadata = metadata();
        assert_eq!(metadata.u32("u8").unwrap(), 200);
        assert_eq!(metadata.u64("u8").unwrap(), 200);
        assert_eq!(metadata.i32("i64").unwrap(), -5);
        assert_eq!(metadata.u64("big").unwrap(), u64::MAX);
        assert_eq!(metadata.opt_u32("absent").unwrap(), None);
        let message = |error: Error| error.to_string();
        assert_eq!(message(metadata.u32("i64").unwrap_err()), "metadata key `i64` is -5: expected u32");
        assert!(matches!(metadata.i32("big"), Err(Error::OutOfRange { .. })));
        assert_eq!(message(metadata.u32("f32").unwrap_err()), "metadata key `f32` has type f32: expected u32");
        assert!(matches!(metadata.u32("bool"), Err(Error::WrongType { .. })));
        assert_eq!(message(metadata.u32("absent").unwrap_err()), "metadata key `absent` is missing: expected u32");
    }

    #[test]
    fn other_types_are_not_converted() {
        let metadata = metadata();
        assert_eq!(metadata.f32("f32").unwrap(), 0.5);
        assert!(metadata.bool("bool").unwrap());
        assert_eq!(metadata.str("str").unwrap(), "qwen2");
        assert!(metadata.str_array("tokens").unwrap().iter().eq(["<s>", "가"]));
        for wrong in [
            metadata.f32("u8").err(),
            metadata.bool("u8").err(),
            metadata.str("tokens").err(),
            metadata.str_array("str").err(),
            metadata.f32_array("kv_heads").err(),
            metadata.bool_array("kv_heads").err(),
            metadata.i32_array("scales").err(),
            metadata.opt_u32_array("pattern").err(),
        ] {
            assert!(matches!(wrong, Some(Error::WrongType { .. })), "{wrong:?}");
        }
        let error = metadata.i32_array("tokens").unwrap_err();
        assert_eq!(error.to_string(), "metadata key `tokens` has type array of 2 string: expected array of i32");
    }

    #[test]
    fn values_per_layer_are_one_or_as_many_as_layers() {
        let metadata = metadata();
        assert_eq!(metadata.u32_per_layer("kv_heads", 3).unwrap(), [8, 0, 8]);
        assert_eq!(metadata.u32_per_layer("u8", 2).unwrap(), [200, 200]);
        assert_eq!(metadata.bool_per_layer("pattern", 3).unwrap(), [true, true, false]);
        assert_eq!(metadata.bool_per_layer("bool", 1).unwrap(), [true]);
        assert_eq!(metadata.f32_per_layer("scales", 2).unwrap(), [1.0, 2.0]);
        assert_eq!(metadata.opt_f32_per_layer("absent", 2).unwrap(), None);
        let error = metadata.u32_per_layer("kv_heads", 4).unwrap_err();
        assert_eq!(error.to_string(), "metadata key `kv_heads` has 3 elements: expected 4");
        assert!(matches!(metadata.u32_per_layer("u8", usize::MAX), Err(Error::OutOfRange { .. })));
        assert!(matches!(metadata.u32_per_layer("pattern", 3), Err(Error::WrongType { .. })));
        assert!(matches!(metadata.f32_per_layer("u8", 3), Err(Error::WrongType { .. })));
    }
}

//! `config.json` and its companions.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Error;

/// A JSON file whose entries are looked up by name.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    path: PathBuf,
    entries: Map<String, Value>,
}

impl Config {
    /// Reads a file, whose top must be an object.
    pub(crate) fn read(path: &Path) -> Result<Config, Error> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let entries = serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })?;
        Ok(Config { path: path.to_owned(), entries })
    }

    /// Reads a file that need not be there: without it, nothing is in it.
    pub(crate) fn read_optional(path: &Path) -> Result<Config, Error> {
        if path.exists() { Config::read(path) } else { Ok(Config { path: path.to_owned(), entries: Map::new() }) }
    }

    /// An object inside this one.
    pub(crate) fn inside(&self, name: &str) -> Option<Config> {
        let entries = self.entries.get(name)?.as_object()?.clone();
        Some(Config { path: self.path.clone(), entries })
    }

    /// Takes over an entry that is not here.
    pub(crate) fn inherit(&mut self, outer: &Config, name: &str) {
        if let (None, Some(value)) = (self.get(name), outer.get(name)) {
            self.entries.insert(name.to_owned(), value.clone());
        }
    }

    /// What stands under a name, unless it is null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.entries.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn opt_str(&self, name: &str) -> Result<Option<&str>, Error> {
        self.opt(name, "a string", Value::as_str)
    }

    pub(crate) fn opt_bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.opt(name, "true or false", Value::as_bool)
    }

    pub(crate) fn opt_f32(&self, name: &str) -> Result<Option<f32>, Error> {
        Ok(self.opt_f64(name)?.map(|number| number as f32))
    }

    pub(crate) fn opt_f64(&self, name: &str) -> Result<Option<f64>, Error> {
        self.opt(name, "a number", Value::as_f64)
    }

    pub(crate) fn f32(&self, name: &str) -> Result<f32, Error> {
        self.opt_f32(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number of things; GGUF has 32 bits for it.
    pub(crate) fn opt_size(&self, name: &str) -> Result<Option<usize>, Error> {
        let size = |value: &Value| Some(u32::try_from(value.as_u64()?).ok()? as usize);
        self.opt(name, "a whole number below 2^32", size)
    }

    /// The first there is of several names for one number.
    pub(crate) fn size(&self, names: &[&str]) -> Result<usize, Error> {
        for name in names {
            if let Some(size) = self.opt_size(name)? {
                return Ok(size);
            }
        }
        Err(self.missing(&names.join(" or ")))
    }

    pub(crate) fn sizes(&self, name: &str) -> Result<Vec<usize>, Error> {
        let list = |value: &Value| {
            value.as_array()?.iter().map(|n| usize::try_from(n.as_u64()?).ok()).collect::<Option<Vec<_>>>()
        };
        self.opt(name, "a list of whole numbers", list)?.ok_or_else(|| self.missing(name))
    }

    /// An error about the entry of a name.
    pub(crate) fn wrong(&self, name: &str, expected: impl Into<String>) -> Error {
        let found = self.entries.get(name).map_or_else(|| "nothing".into(), Value::to_string);
        Error::Config { path: self.path.clone(), key: name.into(), expected: expected.into(), found }
    }

    fn missing(&self, name: &str) -> Error {
        self.wrong(name, "an entry of this name")
    }

    fn opt<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.get(name).map(|value| read(value).ok_or_else(|| self.wrong(name, expected))).transpose()
    }
}

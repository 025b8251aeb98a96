//! The evaluated arguments of a call.

use std::sync::Arc;

use super::budget::{Result, fail};
use super::value::Value;

#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// Those taken already are `None`.
    positional: Vec<Option<Value>>,
    pub(super) named: Vec<(Arc<str>, Value)>,
}

impl Arguments {
    pub(super) fn new(positional: Vec<Value>, named: Vec<(Arc<str>, Value)>) -> Self {
        Self { positional: positional.into_iter().map(Some).collect(), named }
    }

    /// Takes the argument at this place or of this name.
    pub(super) fn take(&mut self, at: usize, name: &str) -> Result<Option<Value>> {
        let positional = self.positional.get_mut(at).and_then(Option::take);
        let named = self.take_named(name);
        if positional.is_some() && named.is_some() {
            return fail(format!("argument `{name}` is given twice"));
        }
        Ok(positional.or(named))
    }

    pub(super) fn take_named(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(found, _)| **found == *name)?;
        Some(self.named.remove(at).1)
    }

    /// Takes all positional arguments that are left.
    pub(super) fn take_rest(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.positional).into_iter().flatten().collect()
    }

    pub(super) fn require(&mut self, at: usize, name: &str) -> Result<Value> {
        match self.take(at, name)? {
            Some(value) => Ok(value),
            None => fail(format!("argument `{name}` is missing")),
        }
    }

    pub(super) fn require_str(&mut self, at: usize, name: &str) -> Result<Arc<str>> {
        match self.require(at, name)? {
            Value::Str(text) => Ok(text),
            other => Err(other.unfit("a string")),
        }
    }

    pub(super) fn require_int(&mut self, at: usize, name: &str) -> Result<i128> {
        let value = self.require(at, name)?;
        value.as_int().ok_or_else(|| value.unfit("an integer"))
    }

    /// Takes an argument that may be left out or `none`.
    pub(super) fn optional(&mut self, at: usize, name: &str) -> Result<Option<Value>> {
        Ok(self.take(at, name)?.filter(|value| !matches!(value, Value::None)))
    }

    pub(super) fn str(&mut self, at: usize, name: &str) -> Result<Option<Arc<str>>> {
        match self.optional(at, name)? {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text)),
            Some(other) => Err(other.unfit("a string")),
        }
    }

    pub(super) fn int(&mut self, at: usize, name: &str) -> Result<Option<i128>> {
        match self.optional(at, name)? {
            None => Ok(None),
            Some(value) => match value.as_int() {
                Some(int) => Ok(Some(int)),
                None => Err(value.unfit("an integer")),
            },
        }
    }

    /// A flag, which is false when left out.
    pub(super) fn flag(&mut self, at: usize, name: &str) -> Result<bool> {
        Ok(self.take(at, name)?.is_some_and(|value| value.is_true()))
    }

    /// What copying or walking all of them costs.
    pub(super) fn size(&self) -> usize {
        let named = self.named.iter().map(|(_, value)| value.size()).sum::<usize>();
        named + self.positional.iter().flatten().map(Value::size).sum::<usize>()
    }

    /// Fails if an argument was not taken.
    pub(super) fn finish(self, of: &str) -> Result<()> {
        if let Some((name, _)) = self.named.first() {
            return fail(format!("`{of}` has no argument `{name}`"));
        }
        if self.positional.iter().any(Option::is_some) {
            return fail(format!("too many arguments for `{of}`"));
        }
        Ok(())
    }
}

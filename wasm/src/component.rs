//! Reading the parts of `tokenizer.json`: objects with a `type` and fields.

use crate::error::{quote, CoreError, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A normalizer, pre-tokenizer, decoder or post-processor as the file spells it.
pub struct Component {
    /// Which part of the tokenizer it is, for messages.
    pub role: &'static str,
    /// Its `type`.
    pub kind: String,
    /// The whole object.
    pub value: Value,
}

impl Component {
    /// Reads an object; null is no component.
    pub fn new(role: &'static str, value: Value) -> Result<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        match value.get("type").and_then(Value::as_str) {
            Some(kind) => Ok(Some(Self { role, kind: kind.to_owned(), value })),
            None => Err(CoreError::Malformed(format!("A {role} has no type: {}", shown(&value)))),
        }
    }

    /// The object as a type of the `tokenizers` crate.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        let what = format!("{} {}", self.role, self.kind);
        parse(&what, self.value)
    }

    /// The elements of a list of components.
    pub fn list(self, name: &str) -> Result<Vec<Value>> {
        field(&self.value, name)
    }

    /// The regular expression of a `pattern` field, where it is one.
    pub fn regex(&self) -> Option<&str> {
        self.value.get("pattern")?.get("Regex")?.as_str()
    }

    /// Checks that a text is there to be inserted or replaced: the library loses count of its characters on none.
    pub fn check_text(&self, name: &str, value: Option<&Value>) -> Result<()> {
        if value.and_then(Value::as_str).is_some_and(str::is_empty) {
            return Err(CoreError::Unsupported(format!("Value of {name} of a {} is empty", self.kind)));
        }
        Ok(())
    }

    /// The error for a component that Skein does not have.
    pub fn unknown(&self) -> CoreError {
        CoreError::Unsupported(format!("A {} of this type is not supported: {}", self.role, quote(&self.kind)))
    }
}

/// A field of an object.
pub fn field<T: DeserializeOwned>(object: &Value, name: &str) -> Result<T> {
    let value = object.get(name).cloned().unwrap_or(Value::Null);
    parse(name, value)
}

/// A value as a type.
pub fn parse<T: DeserializeOwned>(what: &str, value: Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|error| CoreError::Malformed(format!("Value of {what} is not valid: {error}")))
}

/// A value as messages show it.
pub fn shown(value: &Value) -> String {
    quote(&value.to_string())
}

/// An error of the `tokenizers` crate, or our own that passed through it.
pub fn library_error(what: &str, error: tokenizers::Error) -> CoreError {
    match error.downcast::<CoreError>() {
        Ok(ours) => *ours,
        Err(other) => CoreError::Malformed(format!("{what}: {other}")),
    }
}

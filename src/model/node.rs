//! A configuration text as a tree in which every key and value knows its place. Never decides what a key means.

use std::fmt;
use std::sync::Arc;

/// Where a key or value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file: 1-based line and column (in characters), byte offset and byte length.
    File {
        /// 1-based line.
        line: u32,
        /// 1-based column, counted in characters.
        column: u32,
        /// Byte offset in the text.
        offset: usize,
        /// Length in bytes.
        length: usize,
    },
    /// In an environment variable of this name.
    Env(Arc<str>),
    /// Nowhere: a default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column, .. } => write!(out, "{line}:{column}"),
            Self::Env(name) => write!(out, "${name}"),
            Self::Default => out.write_str("default"),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where.
    pub place: Place,
}

/// What was written.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, spelt as in the text: `0755`, `1.10` and `no` stay what they are.
    Scalar {
        /// The characters.
        text: String,
        /// Whether quotes (or a block scalar) said that this is text.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// What stands behind it.
    pub value: Node,
}

impl Node {
    /// The kind of value in words for a person.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value behind `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|e| &e.value),
            Value::Null | Value::Scalar { .. } | Value::List(_) => None,
        }
    }
}

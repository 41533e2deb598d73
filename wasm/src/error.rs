//! The one error type of the crate. Its variant name is what callers tell errors apart by.

use std::fmt;

/// Why some bytes were refused. Every variant carries the whole message: what, where, which value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreError {
    /// The file ends before something that it announces.
    Truncated(String),
    /// A length, count or size is above what Skein reads.
    TooLarge(String),
    /// The bytes do not follow their format.
    Malformed(String),
    /// A name, key or id occurs twice.
    Duplicate(String),
    /// An offset, range or id points outside of what it refers to.
    OutOfRange(String),
    /// Two tensors claim the same bytes.
    Overlap(String),
    /// Bytes of the file belong to no tensor.
    Hole(String),
    /// A version, dtype or kind that the format knows and Skein does not.
    Unsupported(String),
    /// A pickle names something that a state dict does not need.
    Forbidden(String),
    /// A regular expression of a tokenizer ran past its limit on this text.
    RegexLimit(String),
    /// The caller broke the protocol of the parser.
    Usage(String),
}

impl CoreError {
    /// The variant's name, which never changes for the same kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "Truncated",
            Self::TooLarge(_) => "TooLarge",
            Self::Malformed(_) => "Malformed",
            Self::Duplicate(_) => "Duplicate",
            Self::OutOfRange(_) => "OutOfRange",
            Self::Overlap(_) => "Overlap",
            Self::Hole(_) => "Hole",
            Self::Unsupported(_) => "Unsupported",
            Self::Forbidden(_) => "Forbidden",
            Self::RegexLimit(_) => "RegexLimit",
            Self::Usage(_) => "Usage",
        }
    }

    /// The message: one sentence with the field and its value.
    pub fn message(&self) -> &str {
        match self {
            Self::Truncated(message)
            | Self::TooLarge(message)
            | Self::Malformed(message)
            | Self::Duplicate(message)
            | Self::OutOfRange(message)
            | Self::Overlap(message)
            | Self::Hole(message)
            | Self::Unsupported(message)
            | Self::Forbidden(message)
            | Self::RegexLimit(message)
            | Self::Usage(message) => message,
        }
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for CoreError {}

/// The result of everything in this crate that reads bytes.
pub type Result<T> = std::result::Result<T, CoreError>;

/// Longest part of a hostile string that a message repeats, in characters.
const QUOTED_CHARS: usize = 80;

/// A name from a file as messages show it: quoted, escaped, and cut when it is long.
pub fn quote(name: &str) -> String {
    let mut shown: String = name.chars().take(QUOTED_CHARS).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

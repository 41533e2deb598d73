//! Why a grammar cannot be used.

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is no grammar, or has what is not supported.
    Invalid,
    /// It would take more time or memory than a grammar may.
    TooComplex,
    /// No token of the vocabulary continues the text.
    NoToken,
}

/// Why a grammar cannot be used.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which kind of failure it is.
    pub kind: Kind,
    /// What happened, for a person.
    pub message: String,
}

impl Failure {
    /// Makes a failure.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What llguidance says, which tells of its limits in words only.
    pub fn told(message: &str) -> Self {
        let message = message.split("\n<").next().unwrap_or(message).trim();
        let is_limit = ["too big", "too large", "too complex", "too many", "limit", "fuel"]
            .iter()
            .any(|word| message.contains(word));
        Self::new(if is_limit { Kind::TooComplex } else { Kind::Invalid }, message)
    }

    /// The kind's name.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Invalid => "Invalid",
            Kind::TooComplex => "TooComplex",
            Kind::NoToken => "NoToken",
        }
    }
}

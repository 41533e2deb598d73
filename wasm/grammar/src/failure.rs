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

/// What llguidance 1.9.1 and derivre 0.3.13 say when a limit is reached, from the beginning: further on a message may
/// quote the grammar, which has any words.
const LIMITS: [&str; 12] = [
    // Of the grammar.
    "schema too large",
    "lark grammar too deeply nested",
    "Schema intersection stack level exceeded",
    "initial lexer configuration (grammar) too big",
    "grammar size (number of symbols) too big",
    "fuel exhausted when checking relevance of lexemes",
    "maximum relevance check fuel",
    "lexer precomputation failed",
    "DNF too large",
    // Of a step.
    "lexer error: ",
    "parser error: ",
    "Parser Error: ",
];

/// A message without where in a Lark grammar it is said of: `at LINE(COLUMN): `.
fn after_place(message: &str) -> &str {
    let is_place = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '(');
    let said = match message.strip_prefix("at ").and_then(|rest| rest.split_once("): ")) {
        Some((place, said)) if is_place(place) => said,
        _ => message,
    };
    said.strip_prefix("failed to compile JSON schema: ").unwrap_or(said)
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
        let said = after_place(message);
        let is_limit = LIMITS.iter().any(|limit| said.starts_with(limit));
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

//! Regular expressions that come from a tokenizer file: their matching is bounded, and running into the bound is
//! an error. The `tokenizers` crate would silently stop splitting there and give other token ids.

use crate::error::{quote, CoreError, Result};
use tokenizers::pattern::{Invert, Pattern};
use tokenizers::{NormalizedString, Offsets, SplitDelimiterBehavior};

/// Backtracking steps allowed for one match.
const BACKTRACK_LIMIT: usize = 1_000_000;
/// Longest expression that is compiled.
const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Largest compiled automaton.
const MAX_COMPILED_BYTES: usize = 32 << 20;

/// A bounded regular expression.
#[derive(Debug)]
pub struct BoundedRegex {
    regex: fancy_regex::Regex,
}

impl BoundedRegex {
    /// Compiles an expression, with the syntax of the `fancy-regex` crate.
    pub fn new(pattern: &str) -> Result<Self> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Regular expression is above {MAX_PATTERN_BYTES} bytes: {}",
                pattern.len()
            )));
        }
        let regex = fancy_regex::RegexBuilder::new(pattern)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(MAX_COMPILED_BYTES)
            .delegate_dfa_size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| {
                CoreError::Malformed(format!("Regular expression {} is not valid: {error}", quote(pattern)))
            })?;
        Ok(Self { regex })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Replaces every match. A match of no text is an error: the library loses count of its characters there.
    pub fn replace(&self, text: &mut NormalizedString, content: &str) -> tokenizers::Result<()> {
        text.replace(NonEmpty(self), content)
    }

    /// Splits a text at the matches, or with `invert` at what lies between them.
    pub fn split(
        &self,
        text: &NormalizedString,
        behavior: SplitDelimiterBehavior,
        invert: bool,
    ) -> tokenizers::Result<Vec<NormalizedString>> {
        if invert {
            text.split(Invert(self), behavior)
        } else {
            text.split(self, behavior)
        }
    }
}

impl Pattern for &BoundedRegex {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        if inside.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let mut splits = Vec::new();
        let mut previous = 0;
        for found in self.regex.find_iter(inside) {
            let found = found.map_err(|_| {
                CoreError::RegexLimit(format!(
                    "Regular expression {} runs past its limit on this text, after byte {previous}",
                    quote(self.regex.as_str())
                ))
            })?;
            if previous != found.start() {
                splits.push(((previous, found.start()), false));
            }
            splits.push(((found.start(), found.end()), true));
            previous = found.end();
        }
        if previous != inside.len() {
            splits.push(((previous, inside.len()), false));
        }
        Ok(splits)
    }
}

/// An expression every match of which has at least one character.
struct NonEmpty<'a>(&'a BoundedRegex);

impl Pattern for NonEmpty<'_> {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let splits = self.0.find_matches(inside)?;
        if splits.iter().any(|((begin, end), matches)| *matches && begin == end) && !inside.is_empty() {
            return Err(CoreError::Unsupported(format!(
                "Regular expression {} of a replacement matches no text at all",
                quote(self.0.as_str())
            ))
            .into());
        }
        Ok(splits)
    }
}

//! Regular expressions that come from a tokenizer file: their matching is bounded, and running into the bound is
//! an error. The `tokenizers` crate would silently stop splitting there and give other token ids.

use crate::error::{quote, CoreError, Result};
use fancy_regex::{Regex, RegexBuilder};
use tokenizers::pattern::{Invert, Pattern};
use tokenizers::{NormalizedString, Offsets, SplitDelimiterBehavior};

/// Backtracking steps that any match may take. Ordinary ones take a dozen.
const QUICK_STEPS: usize = 1000;
/// Backtracking steps that a few matches may take, such as those of a long run of spaces.
const PATIENT_STEPS: usize = 1_000_000;
/// Matches of one text that may take so many: some, and one more for every so many bytes. Together the limits keep the
/// work of one text within a constant for every byte.
const PATIENT_MATCHES: usize = 100;
const BYTES_FOR_A_PATIENT_MATCH: usize = 1000;
/// Longest expression that is compiled.
const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Largest compiled automaton.
const MAX_COMPILED_BYTES: usize = 32 << 20;

/// A bounded regular expression.
#[derive(Debug)]
pub struct BoundedRegex {
    quick: Regex,
    patient: Regex,
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
        let compile = |steps: usize| {
            RegexBuilder::new(pattern)
                .backtrack_limit(steps)
                .delegate_size_limit(MAX_COMPILED_BYTES)
                .delegate_dfa_size_limit(MAX_COMPILED_BYTES)
                .build()
                .map_err(|error| {
                    CoreError::Malformed(format!("Regular expression {} is not valid: {error}", quote(pattern)))
                })
        };
        Ok(Self { quick: compile(QUICK_STEPS)?, patient: compile(PATIENT_STEPS)? })
    }

    /// All matches that do not overlap, from left to right, as `fancy_regex::Regex::find_iter` gives them.
    fn matches(&self, text: &str) -> Result<Vec<Offsets>> {
        let mut found = Vec::new();
        let mut patience = PATIENT_MATCHES.saturating_add(text.len() / BYTES_FOR_A_PATIENT_MATCH);
        let mut at = 0;
        while at <= text.len() {
            let next = self.quick.find_from_pos(text, at).or_else(|error| {
                patience = patience.checked_sub(1).ok_or(error)?;
                self.patient.find_from_pos(text, at)
            });
            let next = next.map_err(|_| {
                CoreError::RegexLimit(format!(
                    "Regular expression {} runs past its limit on this text, after byte {at}",
                    quote(self.as_str())
                ))
            })?;
            let Some(next) = next else { break };
            let (begin, end) = (next.start(), next.end());
            if begin < end {
                at = end;
            } else {
                let character = text.get(end..).and_then(|rest| rest.chars().next());
                at = end.saturating_add(character.map_or(1, char::len_utf8));
                // No match of nothing right behind another match.
                if found.last().is_some_and(|(_, last)| *last == end) {
                    continue;
                }
            }
            found.push((begin, end));
        }
        Ok(found)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.quick.as_str()
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
        for (begin, end) in self.matches(inside)? {
            if previous != begin {
                splits.push(((previous, begin), false));
            }
            splits.push(((begin, end), true));
            previous = end;
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

//! A model's tokens as a trie of their bytes, which grammars walk.

use crate::failure::{Failure, Kind};
use llguidance::api::ParserLimits;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::ParserFactory;
use std::sync::Arc;

/// Longest token that the trie can hold, in bytes.
const MAX_TOKEN_BYTES: usize = 1000;

/// What one mask and one grammar may take: half a second at most on a slow machine, and some hundred megabytes.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 50_000,
        max_grammar_size: 200_000,
        precompute_large_lexemes: true,
        // Otherwise messages end with the parser's state.
        verbose_errors: false,
    }
}

fn count(size: usize) -> Result<u32, Failure> {
    u32::try_from(size).map_err(|_| Failure::new(Kind::Invalid, format!("there are too many tokens: {size}")))
}

/// See the module's description.
pub struct Vocabulary {
    factory: ParserFactory,
    size: usize,
}

impl Vocabulary {
    /// Takes the bytes of all tokens, one after the other, and how many each has.
    pub fn new(bytes: &[u8], lengths: &[u32], end_ids: &[u32]) -> Result<Self, Failure> {
        let mut words = Vec::with_capacity(lengths.len().saturating_add(1));
        let mut rest = bytes;
        for length in lengths {
            let Some((word, after)) = usize::try_from(*length).ok().and_then(|length| rest.split_at_checked(length))
            else {
                let message = format!("tokens have more bytes than the {} that came with them", bytes.len());
                return Err(Failure::new(Kind::Invalid, message));
            };
            words.push(if word.len() > MAX_TOKEN_BYTES { Vec::new() } else { word.to_vec() });
            rest = after;
        }
        let size = words.len();
        let mut ends = end_ids.to_vec();
        if let Some(end) = ends.iter().find(|end| usize::try_from(**end).is_ok_and(|end| end >= size)) {
            let message = format!("token {end} cannot end a text: the vocabulary has {size} tokens");
            return Err(Failure::new(Kind::Invalid, message));
        }
        if ends.is_empty() {
            // The trie wants one; this is past the words of any mask.
            ends.push(count(size)?);
            words.push(b"\xFF<end of text>".to_vec());
        }
        let trie = TokTrie::from(&TokRxInfo::new(count(words.len())?, ends[0]), &words).with_eos_tokens(&ends);
        let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&tokens).map_err(|error| Failure::told(&error.to_string()))?;
        *factory.limits_mut() = limits();
        factory.quiet();
        Ok(Self { factory, size })
    }

    /// What makes parsers of grammars.
    pub fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.size
    }
}

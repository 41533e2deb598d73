//! Where a long text may be cut so that encoding the parts gives the ids of the whole. The `tokenizers` library keeps
//! some 80 bytes beside every byte of text that it encodes at once; cut up, a book takes no more than a page.

use crate::normalization::{Normalization, NormalizerStep};
use crate::pre_tokenization::{PreTokenization, PreTokenizerStep, GPT2_PATTERN, LLAMA3_PATTERN, QWEN2_PATTERN};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{AddedToken, Model, SplitDelimiterBehavior};

/// Bytes after which a cut is looked for.
const CHUNK_BYTES: usize = 64 << 10;

/// A way to cut text between words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// Nowhere: nothing is known about the tokenizer.
    Never,
    /// Between an ASCII letter and a space or line feed. The known expressions of byte-level tokenizers end a part
    /// there, look behind nothing, and see the rest as they would see it in the whole.
    AfterLetter,
    /// Between an ASCII letter and one space with an ASCII letter behind it, where no token goes on over a space.
    BetweenWords {
        /// Whether the tokenizer puts the space back: it puts one before every text.
        drop_space: bool,
    },
}

impl Chunking {
    /// Finds how text may be cut for a tokenizer of these parts.
    pub fn new(
        normalization: &Normalization,
        pre_tokenization: &PreTokenization,
        model: &ModelWrapper,
        added: &[(u32, AddedToken)],
    ) -> Self {
        let plain = |token: &AddedToken| {
            let bare = !token.lstrip && !token.rstrip && !token.single_word;
            let begins_word = token.content.starts_with(|character: char| character.is_ascii_alphabetic());
            bare && !begins_word && !token.content.contains([' ', '\n'])
        };
        if !matches!(model, ModelWrapper::BPE(_)) || !added.iter().all(|(_, token)| plain(token)) {
            return Self::Never;
        }
        if normalization.is_empty() && is_byte_level(pre_tokenization.steps()) {
            return Self::AfterLetter;
        }
        match prefix_space(normalization.steps(), pre_tokenization.steps()) {
            Some(drop_space) if no_token_crosses_spaces(model) => Self::BetweenWords { drop_space },
            _ => Self::Never,
        }
    }

    /// Cuts a text.
    pub fn split(self, text: &str) -> Chunks<'_> {
        Chunks { chunking: self, rest: Some(text) }
    }

    /// The place, if a cut is allowed there.
    fn cut(self, text: &[u8], at: usize) -> Option<usize> {
        let before = *text.get(at.checked_sub(1)?)?;
        let after = *text.get(at)?;
        let allowed = match self {
            Self::Never => false,
            Self::AfterLetter => after == b' ' || after == b'\n',
            Self::BetweenWords { .. } => {
                after == b' ' && text.get(at.checked_add(1)?).is_some_and(u8::is_ascii_alphabetic)
            }
        };
        (allowed && before.is_ascii_alphabetic()).then_some(at)
    }
}

/// The parts of a text, in order.
pub struct Chunks<'a> {
    chunking: Chunking,
    rest: Option<&'a str>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.take()?;
        if self.chunking == Chunking::Never {
            return Some(text);
        }
        let cut = (CHUNK_BYTES..text.len()).find_map(|at| self.chunking.cut(text.as_bytes(), at));
        let Some((chunk, rest)) = cut.and_then(|at| text.split_at_checked(at)) else {
            return Some(text);
        };
        let drop_space = self.chunking == Chunking::BetweenWords { drop_space: true };
        self.rest = if drop_space { rest.strip_prefix(' ') } else { Some(rest) };
        Some(chunk)
    }
}

/// Whether the steps are the known expressions and then the spelling of bytes.
fn is_byte_level(steps: &[PreTokenizerStep]) -> bool {
    let Some((PreTokenizerStep::Bytes(_), splits)) = steps.split_last() else {
        return false;
    };
    let mut splits_words = false;
    for step in splits {
        match step {
            PreTokenizerStep::Digits(_) => {}
            PreTokenizerStep::Split { regex, behavior: SplitDelimiterBehavior::Isolated, invert: false } => {
                let words = [GPT2_PATTERN, LLAMA3_PATTERN, QWEN2_PATTERN].contains(&regex.as_str());
                if !words && regex.as_str() != r"\p{N}" {
                    return false;
                }
                splits_words |= words;
            }
            _ => return false,
        }
    }
    splits_words
}

/// Whether spaces are spelled as U+2581 and nothing else happens; if so, whether one is put before every text.
fn prefix_space(normalizers: &[NormalizerStep], pre_tokenizers: &[PreTokenizerStep]) -> Option<bool> {
    let spells_spaces = |step: &Replace| Replace::new(" ", "▁").is_ok_and(|spelling| spelling == *step);
    match (normalizers, pre_tokenizers) {
        ([NormalizerStep::Prepend(prefix), NormalizerStep::Replace(step)], []) => {
            (prefix.prepend == "▁" && spells_spaces(step)).then_some(true)
        }
        ([NormalizerStep::Replace(step)], []) => spells_spaces(step).then_some(false),
        ([], [PreTokenizerStep::Metaspace(step)]) => {
            (!step.split && step.get_replacement() == '▁').then_some(step.prepend_scheme != PrependScheme::Never)
        }
        _ => None,
    }
}

/// Whether a space is a token and none has one behind something else, so that neither a merge nor a run of unknown
/// characters reaches over the start of a word.
fn no_token_crosses_spaces(model: &ModelWrapper) -> bool {
    let crosses = |token: &str| token.trim_start_matches('▁').contains('▁');
    model.token_to_id("▁").is_some() && !model.get_vocab().keys().any(|token| crosses(token))
}

//! How a text is split before pieces are merged: the pre-tokenizers of `tokenizer.json`.

use crate::component::{field, Component};
use crate::error::Result;
use crate::pattern::BoundedRegex;
use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::metaspace::Metaspace;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::whitespace::{Whitespace, WhitespaceSplit};
use tokenizers::{PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

/// GPT-2's split into words, numbers, punctuation and white space
/// (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>).
pub const GPT2_PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Llama 3's split.
pub const LLAMA3_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's split: as Llama 3's, with single digits.
pub const QWEN2_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// One pre-tokenizer.
#[derive(Debug)]
pub enum PreTokenizerStep {
    /// Splits at the matches of an expression.
    Split {
        /// The expression.
        regex: Box<BoundedRegex>,
        /// Where the matches go.
        behavior: SplitDelimiterBehavior,
        /// Whether what does not match is the delimiter.
        invert: bool,
    },
    /// Puts a space before every part that has none.
    PrefixSpace,
    /// Spells bytes as characters.
    Bytes(ByteLevel),
    /// Splits numbers off.
    Digits(Digits),
    /// SentencePiece's spelling of spaces.
    Metaspace(Metaspace),
    /// Splits punctuation off.
    Punctuation(Punctuation),
    /// Words and runs of punctuation.
    Whitespace(Whitespace),
    /// Splits at white space, which is dropped.
    WhitespaceSplit(WhitespaceSplit),
}

/// All pre-tokenizers of a tokenizer, in order.
#[derive(Debug, Default)]
pub struct PreTokenization {
    steps: Vec<PreTokenizerStep>,
}

impl PreTokenization {
    /// Chains steps.
    pub fn new(steps: Vec<PreTokenizerStep>) -> Self {
        Self { steps }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[PreTokenizerStep] {
        &self.steps
    }

    /// Splits by each expression in turn, then spells bytes as characters.
    pub fn byte_level(patterns: &[&str]) -> Result<Self> {
        let mut steps = Vec::new();
        for pattern in patterns {
            steps.push(isolate(pattern)?);
        }
        steps.push(PreTokenizerStep::Bytes(ByteLevel::new(false, false, false)));
        Ok(Self::new(steps))
    }

    /// Reads the `pre_tokenizer` field of `tokenizer.json`.
    pub fn from_json(value: Value) -> Result<Self> {
        let mut steps = Vec::new();
        read(value, &mut steps)?;
        Ok(Self::new(steps))
    }
}

fn isolate(pattern: &str) -> Result<PreTokenizerStep> {
    let regex = Box::new(BoundedRegex::new(pattern)?);
    Ok(PreTokenizerStep::Split { regex, behavior: SplitDelimiterBehavior::Isolated, invert: false })
}

fn read(value: Value, steps: &mut Vec<PreTokenizerStep>) -> Result<()> {
    let Some(component) = Component::new("pre_tokenizer", value)? else {
        return Ok(());
    };
    let step = match component.kind.as_str() {
        "Sequence" => {
            for inner in component.list("pretokenizers")? {
                read(inner, steps)?;
            }
            return Ok(());
        }
        "Split" => {
            let pattern = match component.regex() {
                Some(pattern) => pattern.to_owned(),
                None => {
                    let pattern: Value = field(&component.value, "pattern")?;
                    escape(&field::<String>(&pattern, "String")?)
                }
            };
            PreTokenizerStep::Split {
                regex: Box::new(BoundedRegex::new(&pattern)?),
                behavior: field(&component.value, "behavior")?,
                invert: field(&component.value, "invert")?,
            }
        }
        "ByteLevel" => {
            // Taken apart so that the split is bounded.
            let bytes: ByteLevel = component.parse()?;
            if bytes.add_prefix_space {
                steps.push(PreTokenizerStep::PrefixSpace);
            }
            if bytes.use_regex {
                steps.push(isolate(GPT2_PATTERN)?);
            }
            PreTokenizerStep::Bytes(ByteLevel::new(false, bytes.trim_offsets, false))
        }
        "Digits" => PreTokenizerStep::Digits(component.parse()?),
        "Metaspace" => PreTokenizerStep::Metaspace(component.parse()?),
        "Punctuation" => PreTokenizerStep::Punctuation(component.parse()?),
        "Whitespace" => PreTokenizerStep::Whitespace(Whitespace),
        "WhitespaceSplit" => PreTokenizerStep::WhitespaceSplit(WhitespaceSplit),
        _ => return Err(component.unknown()),
    };
    steps.push(step);
    Ok(())
}

fn escape(text: &str) -> String {
    fancy_regex::escape(text).into_owned()
}

impl PreTokenizer for PreTokenization {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        for step in &self.steps {
            match step {
                PreTokenizerStep::Split { regex, behavior, invert } => {
                    text.split(|_, part| regex.split(&part, *behavior, *invert))?;
                }
                PreTokenizerStep::PrefixSpace => text.normalize(|part| {
                    if !part.get().starts_with(' ') {
                        part.prepend(" ");
                    }
                    Ok(())
                })?,
                PreTokenizerStep::Bytes(step) => step.pre_tokenize(text)?,
                PreTokenizerStep::Digits(step) => step.pre_tokenize(text)?,
                PreTokenizerStep::Metaspace(step) => step.pre_tokenize(text)?,
                PreTokenizerStep::Punctuation(step) => step.pre_tokenize(text)?,
                PreTokenizerStep::Whitespace(step) => step.pre_tokenize(text)?,
                PreTokenizerStep::WhitespaceSplit(step) => step.pre_tokenize(text)?,
            }
        }
        Ok(())
    }
}

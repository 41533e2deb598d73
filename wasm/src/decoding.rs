//! How pieces become text again: the decoders of `tokenizer.json`.

use crate::component::{field, Component};
use crate::error::Result;
use serde_json::Value;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::Metaspace;
use tokenizers::Decoder;

/// One decoder.
#[derive(Debug)]
pub enum DecoderStep {
    /// Characters that spell bytes become the bytes.
    Bytes(ByteLevel),
    /// SentencePiece's spelling of spaces becomes spaces.
    Metaspace(Metaspace),
    /// Pieces such as `<0xE4>` become the bytes.
    ByteFallback(ByteFallback),
    /// All pieces become one.
    Fuse,
    /// Drops up to so many of a character at either end of every piece.
    Strip {
        /// The character.
        content: char,
        /// At most so many at the start.
        start: usize,
        /// At most so many at the end.
        stop: usize,
    },
    /// Replaces a fixed text in every piece.
    Replace {
        /// What is replaced.
        pattern: String,
        /// What takes its place.
        content: String,
    },
}

/// All decoders of a tokenizer, in order.
#[derive(Debug, Default)]
pub struct Decoding {
    steps: Vec<DecoderStep>,
}

impl Decoding {
    /// Chains steps.
    pub fn new(steps: Vec<DecoderStep>) -> Self {
        Self { steps }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[DecoderStep] {
        &self.steps
    }

    /// For vocabularies that spell bytes as characters.
    pub fn byte_level() -> Self {
        Self::new(vec![DecoderStep::Bytes(ByteLevel::new(false, false, false))])
    }

    /// For SentencePiece vocabularies with byte pieces.
    pub fn byte_fallback(strip_space: bool) -> Self {
        let mut steps = vec![
            DecoderStep::Replace { pattern: "▁".to_owned(), content: " ".to_owned() },
            DecoderStep::ByteFallback(ByteFallback::new()),
            DecoderStep::Fuse,
        ];
        if strip_space {
            steps.push(DecoderStep::Strip { content: ' ', start: 1, stop: 0 });
        }
        Self::new(steps)
    }

    /// Reads the `decoder` field of `tokenizer.json`; none where the file has none.
    pub fn from_json(value: Value) -> Result<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        let mut steps = Vec::new();
        read(value, &mut steps)?;
        Ok(Some(Self::new(steps)))
    }
}

fn read(value: Value, steps: &mut Vec<DecoderStep>) -> Result<()> {
    let Some(component) = Component::new("decoder", value)? else {
        return Ok(());
    };
    let step = match component.kind.as_str() {
        "Sequence" => {
            for inner in component.list("decoders")? {
                read(inner, steps)?;
            }
            return Ok(());
        }
        "ByteLevel" => DecoderStep::Bytes(component.parse()?),
        "Metaspace" => DecoderStep::Metaspace(component.parse()?),
        "ByteFallback" => DecoderStep::ByteFallback(ByteFallback::new()),
        "Fuse" => DecoderStep::Fuse,
        "Strip" => DecoderStep::Strip {
            content: field(&component.value, "content")?,
            start: field(&component.value, "start")?,
            stop: field(&component.value, "stop")?,
        },
        "Replace" if component.regex().is_none() => {
            let pattern: Value = field(&component.value, "pattern")?;
            DecoderStep::Replace { pattern: field(&pattern, "String")?, content: field(&component.value, "content")? }
        }
        _ => return Err(component.unknown()),
    };
    steps.push(step);
    Ok(())
}

/// Drops up to `start` and `stop` of `content` at the ends.
pub fn strip(text: &str, content: char, start: usize, stop: usize) -> &str {
    let mut kept = text;
    for _ in 0..start.min(text.len()) {
        let Some(rest) = kept.strip_prefix(content) else { break };
        kept = rest;
    }
    for _ in 0..stop.min(text.len()) {
        let Some(rest) = kept.strip_suffix(content) else { break };
        kept = rest;
    }
    kept
}

impl Decoder for Decoding {
    fn decode_chain(&self, tokens: Vec<String>) -> tokenizers::Result<Vec<String>> {
        let mut tokens = tokens;
        for step in &self.steps {
            tokens = match step {
                DecoderStep::Bytes(step) => step.decode_chain(tokens)?,
                DecoderStep::Metaspace(step) => step.decode_chain(tokens)?,
                DecoderStep::ByteFallback(step) => step.decode_chain(tokens)?,
                DecoderStep::Fuse => vec![tokens.concat()],
                DecoderStep::Strip { content, start, stop } => {
                    tokens.iter().map(|token| strip(token, *content, *start, *stop).to_owned()).collect()
                }
                DecoderStep::Replace { pattern, content } if !pattern.is_empty() => {
                    tokens.iter().map(|token| token.replace(pattern, content)).collect()
                }
                DecoderStep::Replace { .. } => tokens,
            };
        }
        Ok(tokens)
    }
}

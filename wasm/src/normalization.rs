//! What a tokenizer does to a text before it is split: the normalizers of `tokenizer.json`.

use crate::charsmap::Charsmap;
use crate::component::{field, parse, Component};
use crate::error::{CoreError, Result};
use crate::pattern::BoundedRegex;
use serde_json::Value;
use std::sync::Mutex;
use tokenizers::normalizers::{Lowercase, Prepend, Replace, Strip, StripAccents, NFC, NFD, NFKC, NFKD};
use tokenizers::{NormalizedString, Normalizer};

/// One normalizer.
#[derive(Debug)]
pub enum NormalizerStep {
    /// Puts a text before the input, unless the input is empty.
    Prepend(Prepend),
    /// Replaces a fixed text.
    Replace(Replace),
    /// Replaces what an expression of the file matches.
    ReplaceRegex(BoundedRegex, String),
    /// Unicode normalization form C.
    Nfc(NFC),
    /// Unicode normalization form D.
    Nfd(NFD),
    /// Unicode normalization form KC.
    Nfkc(NFKC),
    /// Unicode normalization form KD.
    Nfkd(NFKD),
    /// Lower case.
    Lowercase(Lowercase),
    /// Drops white space at the ends.
    Strip(Strip),
    /// Drops combining marks.
    StripAccents(StripAccents),
    /// SentencePiece's compiled rules.
    Charsmap(Charsmap),
}

/// All normalizers of a tokenizer, in order.
#[derive(Debug, Default)]
pub struct Normalization {
    steps: Vec<NormalizerStep>,
    /// The `tokenizers` crate drops the errors of normalizers, so they are kept here for `take_failure`.
    failure: Mutex<Option<CoreError>>,
}

impl Normalization {
    /// Chains steps.
    pub fn new(steps: Vec<NormalizerStep>) -> Self {
        Self { steps, failure: Mutex::new(None) }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[NormalizerStep] {
        &self.steps
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The first error since the last call.
    pub fn take_failure(&self) -> Option<CoreError> {
        self.failure.lock().ok()?.take()
    }

    /// Reads the `normalizer` field of `tokenizer.json`.
    pub fn from_json(value: Value) -> Result<Self> {
        let mut steps = Vec::new();
        read(value, &mut steps)?;
        Ok(Self::new(steps))
    }
}

fn read(value: Value, steps: &mut Vec<NormalizerStep>) -> Result<()> {
    let Some(component) = Component::new("normalizer", value)? else {
        return Ok(());
    };
    let step = match component.kind.as_str() {
        "Sequence" => {
            for inner in component.list("normalizers")? {
                read(inner, steps)?;
            }
            return Ok(());
        }
        "Prepend" => {
            component.check_text("prepend", component.value.get("prepend"))?;
            NormalizerStep::Prepend(component.parse()?)
        }
        "Replace" => {
            if let Some(pattern) = component.regex() {
                let content = field(&component.value, "content")?;
                NormalizerStep::ReplaceRegex(BoundedRegex::new(pattern)?, content)
            } else {
                component.check_text("pattern", component.value.pointer("/pattern/String"))?;
                NormalizerStep::Replace(component.parse()?)
            }
        }
        "NFC" => NormalizerStep::Nfc(NFC),
        "NFD" => NormalizerStep::Nfd(NFD),
        "NFKC" => NormalizerStep::Nfkc(NFKC),
        "NFKD" => NormalizerStep::Nfkd(NFKD),
        "Lowercase" => NormalizerStep::Lowercase(Lowercase),
        "Strip" => NormalizerStep::Strip(component.parse()?),
        "StripAccents" => NormalizerStep::StripAccents(StripAccents),
        "Precompiled" => {
            let encoded: Option<String> = parse(
                "precompiled_charsmap",
                component.value.get("precompiled_charsmap").cloned().unwrap_or_default(),
            )?;
            match encoded {
                Some(encoded) if !encoded.is_empty() => {
                    NormalizerStep::Charsmap(Charsmap::new(&from_base64(&encoded)?)?)
                }
                _ => return Ok(()),
            }
        }
        _ => return Err(component.unknown()),
    };
    steps.push(step);
    Ok(())
}

fn from_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0u32);
    for character in text.trim_end_matches('=').bytes() {
        let digit = match character {
            b'A'..=b'Z' => character.wrapping_sub(b'A'),
            b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return Err(CoreError::Malformed("Value of precompiled_charsmap is not base64".to_owned())),
        };
        bits = (bits << 6) | u32::from(digit);
        count = count.wrapping_add(6);
        if count >= 8 {
            count = count.wrapping_sub(8);
            bytes.extend(u8::try_from((bits >> count) & 0xff));
        }
    }
    Ok(bytes)
}

impl Normalizer for Normalization {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        for step in &self.steps {
            let done = match step {
                NormalizerStep::Prepend(step) => step.normalize(text),
                NormalizerStep::Replace(step) => step.normalize(text),
                NormalizerStep::ReplaceRegex(regex, content) => regex.replace(text, content),
                NormalizerStep::Nfc(step) => step.normalize(text),
                NormalizerStep::Nfd(step) => step.normalize(text),
                NormalizerStep::Nfkc(step) => step.normalize(text),
                NormalizerStep::Nfkd(step) => step.normalize(text),
                NormalizerStep::Lowercase(step) => step.normalize(text),
                NormalizerStep::Strip(step) => step.normalize(text),
                NormalizerStep::StripAccents(step) => step.normalize(text),
                NormalizerStep::Charsmap(map) => {
                    map.normalize(text);
                    Ok(())
                }
            };
            if let Err(error) = done {
                let error = crate::component::library_error("Cannot normalize this text", error);
                if let Ok(mut failure) = self.failure.lock() {
                    failure.get_or_insert(error);
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

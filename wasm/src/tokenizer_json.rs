//! Tokenizers from `tokenizer.json`, the format of the `tokenizers` library.
//!
//! The file is taken apart here instead of by the library's own reader, which trusts it in places: duplicate tokens
//! and ids, merges that lead nowhere, and components that do not fit their type are errors with a name.

use crate::component::{field, Component};
use crate::decoding::Decoding;
use crate::error::{quote, CoreError, Result};
use crate::normalization::Normalization;
use crate::pre_tokenization::PreTokenization;
use crate::tokenizer::{Frame, Parts, Tokenizer};
use crate::tokenizer_config::TokenizerConfig;
use crate::vocabulary::{bpe, unigram, BpeOptions, CheckedModel};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use tokenizers::AddedToken;

/// Longest file that is read. The largest published ones have about 35 MB.
const MAX_FILE_BYTES: usize = 128 << 20;

#[derive(Deserialize)]
#[serde(expecting = "a tokenizer")]
struct Document {
    version: Option<String>,
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: ModelEntry,
}

#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

#[derive(Deserialize)]
#[serde(expecting = "a model")]
struct ModelEntry {
    r#type: Option<String>,
    vocab: VocabEntry,
    merges: Option<Vec<MergeEntry>>,
    unk_token: Option<String>,
    unk_id: Option<usize>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// Ids by token, or scores in the order of the ids.
enum VocabEntry {
    Ids(Vec<(String, u32)>),
    Scores(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for VocabEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = VocabEntry;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of ids or a list of scores")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<VocabEntry, A::Error> {
                let mut ids = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    ids.push(entry);
                }
                Ok(VocabEntry::Ids(ids))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<VocabEntry, A::Error> {
                let mut scores = Vec::new();
                while let Some(entry) = list.next_element()? {
                    scores.push(entry);
                }
                Ok(VocabEntry::Scores(scores))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// Two tokens, as a pair or as a string with one space between them.
struct MergeEntry(String, String);

impl<'de> Deserialize<'de> for MergeEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = MergeEntry;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("two tokens")
            }
            fn visit_str<E: serde::de::Error>(self, line: &str) -> std::result::Result<MergeEntry, E> {
                match line.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => Ok(MergeEntry(left.to_owned(), right.to_owned())),
                    _ => Err(E::custom(format!("merge is not two tokens: {}", quote(line)))),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<MergeEntry, A::Error> {
                match (list.next_element()?, list.next_element()?, list.next_element::<Value>()?) {
                    (Some(left), Some(right), None) => Ok(MergeEntry(left, right)),
                    _ => Err(A::Error::custom("merge is not two tokens")),
                }
            }
        }
        deserializer.deserialize_any(Pair)
    }
}

/// Builds the tokenizer of a `tokenizer.json`, with the `tokenizer_config.json` beside it.
pub fn build(json: &[u8], config: Option<&[u8]>) -> Result<Tokenizer> {
    if json.len() > MAX_FILE_BYTES {
        return Err(CoreError::TooLarge(format!("Tokenizer is above {MAX_FILE_BYTES} bytes: {}", json.len())));
    }
    let config = TokenizerConfig::new(config)?;
    let document: Document = serde_json::from_slice(json)
        .map_err(|error| CoreError::Malformed(format!("Tokenizer is not valid: {error}")))?;
    if let Some(version) = document.version.filter(|version| version != "1.0") {
        return Err(CoreError::Unsupported(format!("Version of the tokenizer must be 1.0: {}", quote(&version))));
    }
    let mut parts = Parts::new(model(document.model)?);
    parts.normalization = Normalization::from_json(document.normalizer)?;
    parts.pre_tokenization = PreTokenization::from_json(document.pre_tokenizer)?;
    parts.decoding = Decoding::from_json(document.decoder)?;
    for entry in document.added_tokens {
        if parts.added.iter().any(|(id, token)| *id == entry.id || token.content == entry.token.content) {
            return Err(CoreError::Duplicate(format!(
                "Added tokens hold the token {} or its id {} twice",
                quote(&entry.token.content),
                entry.id
            )));
        }
        parts.added.push((entry.id, entry.token));
    }
    let has_frame = !document.post_processor.is_null();
    read_frame(document.post_processor, &mut parts.frame)?;
    config.apply(&mut parts, has_frame, false)?;
    Tokenizer::new(parts)
}

fn model(entry: ModelEntry) -> Result<CheckedModel> {
    let inferred = if entry.merges.is_some() { "BPE" } else { "" };
    let kind = entry.r#type.as_deref().unwrap_or(inferred);
    match (kind, entry.vocab) {
        ("BPE", VocabEntry::Ids(ids)) => {
            let empty = |text: &Option<String>| text.as_deref().unwrap_or("").is_empty();
            if !empty(&entry.continuing_subword_prefix) || !empty(&entry.end_of_word_suffix) {
                return Err(CoreError::Unsupported(format!(
                    "A BPE model with continuing_subword_prefix {:?} and end_of_word_suffix {:?} is not supported",
                    entry.continuing_subword_prefix, entry.end_of_word_suffix
                )));
            }
            if entry.dropout.is_some_and(|dropout| dropout != 0.0) {
                return Err(CoreError::Unsupported(format!(
                    "A tokenizer with dropout has no one answer: {:?}",
                    entry.dropout
                )));
            }
            let options = BpeOptions {
                unk_token: entry.unk_token,
                fuse_unk: entry.fuse_unk.unwrap_or(false),
                byte_fallback: entry.byte_fallback.unwrap_or(false),
                ignore_merges: entry.ignore_merges.unwrap_or(false),
            };
            let merges = entry.merges.unwrap_or_default();
            bpe(ids, merges.into_iter().map(|MergeEntry(left, right)| (left, right)).collect(), options)
        }
        ("Unigram", VocabEntry::Scores(scores)) => unigram(scores, entry.unk_id, entry.byte_fallback.unwrap_or(false)),
        ("BPE" | "Unigram", _) => {
            Err(CoreError::Malformed(format!("Vocabulary has the wrong form for a {kind} model")))
        }
        _ => Err(CoreError::Unsupported(format!("Model of the tokenizer must be BPE or Unigram: {}", quote(kind)))),
    }
}

/// Reads what the post-processor puts around a single text.
fn read_frame(value: Value, frame: &mut Frame) -> Result<()> {
    let Some(component) = Component::new("post_processor", value)? else {
        return Ok(());
    };
    let inner = std::mem::take(frame);
    let outer = match component.kind.as_str() {
        "Sequence" => {
            *frame = inner;
            for processor in component.list("processors")? {
                read_frame(processor, frame)?;
            }
            return Ok(());
        }
        "ByteLevel" => Frame::default(),
        "TemplateProcessing" => read_template(&component.value)?,
        "BertProcessing" | "RobertaProcessing" => {
            let (_, cls): (String, u32) = field(&component.value, "cls")?;
            let (_, sep): (String, u32) = field(&component.value, "sep")?;
            Frame { before: vec![cls], after: vec![sep] }
        }
        _ => return Err(component.unknown()),
    };
    *frame = Frame { before: [outer.before, inner.before].concat(), after: [inner.after, outer.after].concat() };
    Ok(())
}

fn read_template(template: &Value) -> Result<Frame> {
    let mut frame = Frame::default();
    let mut text_seen = false;
    for piece in field::<Vec<Value>>(template, "single")? {
        if let Some(special) = piece.get("SpecialToken") {
            let name: String = field(special, "id")?;
            let token = template.get("special_tokens").and_then(|tokens| tokens.get(&name)).ok_or_else(|| {
                CoreError::Malformed(format!(
                    "Template names the special token {}, which it does not define",
                    quote(&name)
                ))
            })?;
            let ids: Vec<u32> = field(token, "ids")?;
            if text_seen {
                frame.after.extend(ids);
            } else {
                frame.before.extend(ids);
            }
        } else if piece.pointer("/Sequence/id").and_then(Value::as_str) == Some("A") && !text_seen {
            text_seen = true;
        } else {
            return Err(CoreError::Malformed(format!(
                "Template must hold special tokens and the sequence A once: {}",
                quote(&piece.to_string())
            )));
        }
    }
    if !text_seen {
        return Err(CoreError::Malformed("Template for a single text does not hold the sequence A".to_owned()));
    }
    Ok(frame)
}

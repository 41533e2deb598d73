//! Tokenizers from the metadata of a GGUF file: SentencePiece vocabularies (`llama`) and byte-level BPE (`gpt2`)
//! with the pre-tokenizers of llama.cpp's `llama-vocab.cpp` that Llama-family files name.

use crate::component::shown;
use crate::decoding::Decoding;
use crate::error::{quote, CoreError, Result};
use crate::gguf_value::Vocabulary;
use crate::pre_tokenization::{PreTokenization, GPT2_PATTERN, LLAMA3_PATTERN, QWEN2_PATTERN};
use crate::spm::{add_special, bpe_model, parts, Piece, PieceKind, PrefixSpace};
use crate::tokenizer::{Frame, Parts, Tokenizer};
use crate::vocabulary::{bpe, BpeOptions};
use serde_json::{Map, Value};

/// What llama.cpp splits by where a file names nothing.
const DEFAULT_PATTERNS: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// How a named pre-tokenizer splits, and what else its name means.
struct Pre {
    patterns: &'static [&'static str],
    ignore_merges: bool,
    add_bos: bool,
}

fn pre(name: &str) -> Result<Pre> {
    let plain = |patterns| Pre { patterns, ignore_merges: false, add_bos: false };
    Ok(match name {
        "default" => plain(&DEFAULT_PATTERNS),
        "gpt-2" | "gpt2" | "phi-2" | "mpt" | "olmo" | "jais" => plain(&[GPT2_PATTERN]),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => plain(&[r"\p{N}", GPT2_PATTERN]),
        "qwen2" | "stablelm2" | "deepseek-r1-qwen" => plain(&[QWEN2_PATTERN]),
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => {
            Pre { patterns: &[LLAMA3_PATTERN], ignore_merges: true, add_bos: true }
        }
        other => {
            return Err(CoreError::Unsupported(format!(
                "Value of tokenizer.ggml.pre is not supported: {}",
                quote(other)
            )))
        }
    })
}

/// The scalar metadata of a tokenizer.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get<'b, T>(&'b self, name: &str, read: impl Fn(&'b Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(CoreError::Malformed(format!("Value of {name} has the wrong type: {}", shown(value)))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        self.get(name, Value::as_str)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.get(name, Value::as_bool)
    }

    /// A token id; some files write -1 for none.
    fn id(&self, name: &str) -> Result<Option<u32>> {
        let id = self.get(name, |value| if value.as_i64() == Some(-1) { Some(None) } else { Some(Some(value)) })?;
        let Some(value) = id.flatten() else {
            return Ok(None);
        };
        match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(u32::MAX) => Ok(None),
            Some(id) => Ok(Some(id)),
            None => Err(CoreError::OutOfRange(format!("Value of {name} is not a token id: {}", shown(value)))),
        }
    }
}

fn pieces(vocabulary: &Vocabulary, scored: bool) -> Result<Vec<Piece>> {
    let tokens = &vocabulary.tokens;
    let check = |name: &str, length: usize, needed: bool| {
        if length == tokens.len() || (length == 0 && !needed) {
            return Ok(());
        }
        Err(CoreError::Malformed(format!(
            "Length of tokenizer.ggml.{name} is {length}, but there are {} tokens",
            tokens.len()
        )))
    };
    check("scores", vocabulary.scores.len(), scored)?;
    check("token_type", vocabulary.token_types.len(), false)?;
    let mut pieces = Vec::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        let number = vocabulary.token_types.get(id).copied().unwrap_or(1);
        let kind = PieceKind::new(number.into()).ok_or_else(|| {
            CoreError::OutOfRange(format!("Type of token {} with id {id} is unknown: {number}", quote(token)))
        })?;
        let score = if scored { vocabulary.scores.get(id).copied().unwrap_or(0.0) } else { 0.0 };
        pieces.push(Piece { text: token.clone(), score, kind });
    }
    Ok(pieces)
}

fn byte_level(vocabulary: &Vocabulary, pre: &Pre) -> Result<Parts> {
    let pieces = pieces(vocabulary, false)?;
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    for (rank, merge) in vocabulary.merges.iter().enumerate() {
        // A token may itself be a space, so the one between the two is looked for behind the first character.
        let middle = merge.char_indices().skip(1).find(|(_, character)| *character == ' ');
        let halves = middle.and_then(|(at, _)| Some((merge.get(..at)?, merge.get(at.checked_add(1)?..)?)));
        let (left, right) =
            halves.ok_or_else(|| CoreError::Malformed(format!("Merge {rank} is not two tokens: {}", quote(merge))))?;
        merges.push((left.to_owned(), right.to_owned()));
    }
    let ids = pieces.iter().zip(0u32..).map(|(piece, id)| (piece.text.clone(), id)).collect();
    let options = BpeOptions { ignore_merges: pre.ignore_merges, ..BpeOptions::default() };
    let mut parts = Parts::new(bpe(ids, merges, options)?);
    parts.pre_tokenization = PreTokenization::byte_level(pre.patterns)?;
    parts.decoding = Some(Decoding::byte_level());
    add_special(&mut parts, &pieces);
    Ok(parts)
}

/// Builds the tokenizer of a GGUF file.
pub fn build(vocabulary: &Vocabulary, metadata: &Map<String, Value>) -> Result<Tokenizer> {
    let fields = Fields(metadata);
    if vocabulary.tokens.is_empty() {
        return Err(CoreError::Malformed("File has no tokens: tokenizer.ggml.tokens is missing or empty".to_owned()));
    }
    let (mut parts, adds_bos, default_ids) = match fields.text("tokenizer.ggml.model")? {
        Some("gpt2") => {
            let pre = pre(fields.text("tokenizer.ggml.pre")?.unwrap_or("default"))?;
            (byte_level(vocabulary, &pre)?, pre.add_bos, (None, None))
        }
        Some("llama") => {
            let prefix = match fields.flag("tokenizer.ggml.add_space_prefix")? {
                Some(false) => PrefixSpace::Never,
                _ => PrefixSpace::Always,
            };
            let pieces = pieces(vocabulary, true)?;
            (parts(bpe_model(&pieces, true)?, &pieces, prefix, Vec::new())?, true, (Some(1), Some(2)))
        }
        Some(other) => {
            return Err(CoreError::Unsupported(format!(
                "Value of tokenizer.ggml.model must be llama or gpt2: {}",
                quote(other)
            )))
        }
        None => return Err(CoreError::Malformed("File has no tokenizer.ggml.model".to_owned())),
    };
    parts.bos_id = fields.id("tokenizer.ggml.bos_token_id")?.or(default_ids.0);
    parts.eos_id = fields.id("tokenizer.ggml.eos_token_id")?.or(default_ids.1);
    let add_bos = fields.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(adds_bos);
    let add_eos = fields.flag("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    parts.frame = Frame {
        before: parts.bos_id.filter(|_| add_bos).into_iter().collect(),
        after: parts.eos_id.filter(|_| add_eos).into_iter().collect(),
    };
    parts.chat_template = fields.text("tokenizer.chat_template")?.map(str::to_owned);
    Tokenizer::new(parts)
}

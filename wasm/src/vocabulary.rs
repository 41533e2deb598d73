//! Checked construction of the models that merge pieces: BPE and Unigram.
//!
//! The `tokenizers` crate trusts what it is given here; a merge whose result is longer than every token, for one,
//! would stop the program.

use crate::component::library_error;
use crate::error::{quote, CoreError, Result};
use std::collections::{HashMap, HashSet};
use tokenizers::models::bpe::{Vocab, BPE};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::ModelWrapper;

/// Ids stay below this: no embedding has as many rows.
pub const MAX_IDS: u32 = 1 << 24;
/// Longest token that is read.
const MAX_TOKEN_BYTES: usize = 64 << 10;

/// What a BPE model does beside merging.
#[derive(Clone, Debug, Default)]
pub struct BpeOptions {
    /// The token for what nothing else spells.
    pub unk_token: Option<String>,
    /// Whether a run of unknown characters is one token.
    pub fuse_unk: bool,
    /// Whether unknown characters become pieces such as `<0xE4>`.
    pub byte_fallback: bool,
    /// Whether a part that is itself a token is never merged.
    pub ignore_merges: bool,
}

/// A model and one more than its highest id.
pub struct CheckedModel {
    /// The model.
    pub model: ModelWrapper,
    /// One more than the highest id.
    pub size: u32,
}

fn check_token(token: &str, id: u32) -> Result<()> {
    if id >= MAX_IDS {
        return Err(CoreError::OutOfRange(format!("Id of token {} is above {MAX_IDS}: {id}", quote(token))));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(CoreError::TooLarge(format!(
            "Token {} with id {id} is above {MAX_TOKEN_BYTES} bytes: {}",
            quote(token),
            token.len()
        )));
    }
    Ok(())
}

fn check_unique(tokens: &[(String, u32)]) -> Result<u32> {
    let mut ids = HashMap::with_capacity(tokens.len());
    let mut names = HashSet::with_capacity(tokens.len());
    let mut size = 0;
    for (token, id) in tokens {
        check_token(token, *id)?;
        if !names.insert(token.as_str()) {
            return Err(CoreError::Duplicate(format!("Vocabulary holds the token {} twice", quote(token))));
        }
        if let Some(other) = ids.insert(*id, token.as_str()) {
            return Err(CoreError::Duplicate(format!(
                "Tokens {} and {} have the same id: {id}",
                quote(other),
                quote(token)
            )));
        }
        size = size.max(id.saturating_add(1));
    }
    Ok(size)
}

/// Builds a BPE model whose merges are ordered by rank.
pub fn bpe(tokens: Vec<(String, u32)>, merges: Vec<(String, String)>, options: BpeOptions) -> Result<CheckedModel> {
    let size = check_unique(&tokens)?;
    let vocab: Vocab = tokens.into_iter().collect();
    let mut merged = String::new();
    for (rank, (left, right)) in merges.iter().enumerate() {
        merged.clear();
        merged.push_str(left);
        merged.push_str(right);
        for token in [left, right, &merged] {
            if !vocab.contains_key(token) {
                return Err(CoreError::OutOfRange(format!(
                    "Merge {rank} of {} and {} needs the token {}, which is not in the vocabulary",
                    quote(left),
                    quote(right),
                    quote(token)
                )));
            }
        }
    }
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(options.fuse_unk)
        .byte_fallback(options.byte_fallback)
        .ignore_merges(options.ignore_merges);
    if let Some(token) = options.unk_token {
        builder = builder.unk_token(token);
    }
    let model = builder.build().map_err(|error| library_error("Cannot build the BPE model", error))?;
    Ok(CheckedModel { model: ModelWrapper::BPE(model), size })
}

/// Builds a Unigram model; ids are positions.
pub fn unigram(pieces: Vec<(String, f64)>, unk_id: Option<usize>, byte_fallback: bool) -> Result<CheckedModel> {
    let mut names = HashSet::with_capacity(pieces.len());
    for (id, (piece, score)) in pieces.iter().enumerate() {
        check_token(piece, u32::try_from(id).unwrap_or(u32::MAX))?;
        if piece.is_empty() {
            return Err(CoreError::Malformed(format!("Piece with id {id} is empty")));
        }
        if !score.is_finite() {
            return Err(CoreError::OutOfRange(format!("Score of piece {} is not finite: {score}", quote(piece))));
        }
        if !names.insert(piece.as_str()) {
            return Err(CoreError::Duplicate(format!("Vocabulary holds the piece {} twice", quote(piece))));
        }
    }
    if pieces.is_empty() || unk_id.is_some_and(|id| id >= pieces.len()) {
        return Err(CoreError::OutOfRange(format!(
            "Value of unk_id is outside of the {} pieces: {unk_id:?}",
            pieces.len()
        )));
    }
    let size = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    drop(names);
    let model = Unigram::from(pieces, unk_id, byte_fallback)
        .map_err(|error| library_error("Cannot build the Unigram model", error))?;
    Ok(CheckedModel { model: ModelWrapper::Unigram(model), size })
}

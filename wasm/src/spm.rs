//! SentencePiece vocabularies, whether from a `tokenizer.model` or from a GGUF file, as the `tokenizers` library
//! runs them. Follows transformers' `LlamaConverter` (convert_slow_tokenizer.py).

use crate::component::library_error;
use crate::decoding::Decoding;
use crate::error::{quote, CoreError, Result};
use crate::normalization::{Normalization, NormalizerStep};
use crate::pre_tokenization::{PreTokenization, PreTokenizerStep};
use crate::tokenizer::Parts;
use crate::vocabulary::{bpe, BpeOptions, CheckedModel};
use std::cmp::Ordering;
use std::collections::HashMap;
use tokenizers::normalizers::{Prepend, Replace};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::AddedToken;

/// Longest piece that takes part in merges: the search for its halves is quadratic in it.
const MAX_PIECE_BYTES: usize = 1024;

/// What a piece is for, numbered as SentencePiece and ggml number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// Text.
    Normal,
    /// What nothing else spells.
    Unknown,
    /// BOS, EOS and the like.
    Control,
    /// Text that is matched before anything else.
    UserDefined,
    /// In the vocabulary only.
    Unused,
    /// One byte.
    Byte,
}

impl PieceKind {
    /// The kind with a number.
    pub fn new(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// One entry of a vocabulary. Its id is its position.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The text, with U+2581 for spaces.
    pub text: String,
    /// Pieces with a higher score are merged first.
    pub score: f32,
    /// What it is for.
    pub kind: PieceKind,
}

/// Where spaces are put before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixSpace {
    /// Nowhere.
    Never,
    /// Before the text and after every special token in it: transformers' `legacy`.
    Always,
    /// Before the text only.
    First,
}

/// A BPE model whose merges follow from the pieces' scores.
pub fn bpe_model(pieces: &[Piece], byte_fallback: bool) -> Result<CheckedModel> {
    let merges = merges(pieces)?;
    let unknown = pieces.iter().find(|piece| piece.kind == PieceKind::Unknown);
    let options = BpeOptions {
        unk_token: unknown.map(|piece| piece.text.clone()),
        fuse_unk: true,
        byte_fallback,
        ignore_merges: false,
    };
    let ids = pieces.iter().zip(0u32..).map(|(piece, id)| (piece.text.clone(), id)).collect();
    bpe(ids, merges, options)
}

/// All ways to make a piece of two others, best score first, then by the ids of the halves. The published
/// `tokenizer.json` of Llama 2 has this order, which decides between its pieces of several spaces: all score -1e9.
fn merges(pieces: &[Piece]) -> Result<Vec<(String, String)>> {
    let ids: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect();
    let mut found = Vec::new();
    for (id, piece) in pieces.iter().enumerate() {
        if !piece.score.is_finite() {
            return Err(CoreError::OutOfRange(format!(
                "Score of piece {} with id {id} is not finite: {}",
                quote(&piece.text),
                piece.score
            )));
        }
        if piece.text.len() > MAX_PIECE_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Piece {} with id {id} is above {MAX_PIECE_BYTES} bytes: {}",
                quote(&piece.text),
                piece.text.len()
            )));
        }
        for (middle, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(middle);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                found.push((piece.score, *left_id, *right_id, left, right));
            }
        }
    }
    // Scores are finite, so that every two compare.
    let by_score = |a: f32, b: f32| b.partial_cmp(&a).unwrap_or(Ordering::Equal);
    found.sort_by(|a, b| by_score(a.0, b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    Ok(found.into_iter().map(|(.., left, right)| (left.to_owned(), right.to_owned())).collect())
}

/// A tokenizer over a model: `steps`, then spaces spelled as U+2581, byte pieces decoded, special pieces matched in
/// text.
pub fn parts(
    model: CheckedModel,
    pieces: &[Piece],
    prefix: PrefixSpace,
    mut steps: Vec<NormalizerStep>,
) -> Result<Parts> {
    let mut parts = Parts::new(model);
    if prefix == PrefixSpace::First {
        let metaspace = Metaspace::new('▁', PrependScheme::First, false);
        parts.pre_tokenization = PreTokenization::new(vec![PreTokenizerStep::Metaspace(metaspace)]);
    } else {
        if prefix == PrefixSpace::Always {
            steps.push(NormalizerStep::Prepend(Prepend::new("▁".to_owned())));
        }
        let spaces = Replace::new(" ", "▁").map_err(|error| library_error("Cannot build the normalizer", error))?;
        steps.push(NormalizerStep::Replace(spaces));
    }
    parts.normalization = Normalization::new(steps);
    parts.decoding = Some(Decoding::byte_fallback(prefix != PrefixSpace::Never));
    add_special(&mut parts, pieces);
    Ok(parts)
}

/// Marks control and user-defined pieces as tokens that are matched before anything else.
pub fn add_special(parts: &mut Parts, pieces: &[Piece]) {
    for (piece, id) in pieces.iter().zip(0u32..) {
        let special = match piece.kind {
            PieceKind::Control | PieceKind::Unknown => true,
            PieceKind::UserDefined => false,
            _ => continue,
        };
        if !piece.text.is_empty() {
            parts.added.push((id, AddedToken::from(piece.text.clone(), special).normalized(false)));
        }
    }
}

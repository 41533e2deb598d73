//! Tokenizers from SentencePiece's `tokenizer.model`, a protocol buffer
//! (<https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto>).

use crate::charsmap::Charsmap;
use crate::error::{CoreError, Result};
use crate::normalization::NormalizerStep;
use crate::pattern::BoundedRegex;
use crate::spm::{bpe_model, parts, Piece, PieceKind, PrefixSpace};
use crate::tokenizer::Tokenizer;
use crate::tokenizer_config::TokenizerConfig;
use crate::vocabulary::unigram;
use tokenizers::normalizers::Strip;

/// Longest file that is read. The largest published ones have about 5 MB.
const MAX_FILE_BYTES: usize = 64 << 20;
/// Most pieces.
const MAX_PIECES: usize = 1 << 21;

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
    /// Eight bytes, which no field that is read has.
    Wide,
}

impl<'a> Field<'a> {
    fn bytes(self, what: &str) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed(what)),
        }
    }

    fn text(self, what: &str) -> Result<String> {
        String::from_utf8(self.bytes(what)?.to_vec()).map_err(|_| malformed(what))
    }

    fn number(self, what: &str) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(malformed(what)),
        }
    }

    fn float(self, what: &str) -> Result<f32> {
        match self {
            Self::Float(float) => Ok(float),
            _ => Err(malformed(what)),
        }
    }
}

fn malformed(what: &str) -> CoreError {
    CoreError::Malformed(format!("SentencePiece model is not valid: {what}"))
}

/// The fields of a message, in order.
struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| {
            CoreError::Truncated(format!(
                "SentencePiece model ends inside of a field of {count} bytes, {} left",
                self.rest.len()
            ))
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or(0);
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("a number has more than 10 bytes"))
    }

    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Wide
            }
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?.try_into().map_err(|_| malformed("a float"))?;
                Field::Float(f32::from_le_bytes(bytes))
            }
            other => return Err(malformed(&format!("wire type {other} of field {}", tag >> 3))),
        };
        Ok(Some((tag >> 3, field)))
    }
}

/// What of a model file the tokenizer needs.
struct Model {
    pieces: Vec<Piece>,
    /// 1 is Unigram, 2 is BPE.
    model_type: u64,
    byte_fallback: bool,
    unk_id: Option<u32>,
    bos_id: Option<u32>,
    eos_id: Option<u32>,
    charsmap: Vec<u8>,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    whitespace_as_suffix: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            model_type: 1,
            byte_fallback: false,
            unk_id: Some(0),
            bos_id: Some(1),
            eos_id: Some(2),
            charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            whitespace_as_suffix: false,
        }
    }
}

fn read_piece(bytes: &[u8], id: usize) -> Result<Piece> {
    let mut message = Message { rest: bytes };
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    while let Some((number, field)) = message.next()? {
        match number {
            1 => piece.text = field.text(&format!("text of piece {id}"))?,
            2 => piece.score = field.float(&format!("score of piece {id}"))?,
            3 => {
                let number = field.number(&format!("type of piece {id}"))?;
                piece.kind = PieceKind::new(number)
                    .ok_or_else(|| malformed(&format!("piece {id} has the unknown type {number}")))?;
            }
            _ => {}
        }
    }
    if piece.text.is_empty() {
        return Err(malformed(&format!("piece {id} is empty")));
    }
    Ok(piece)
}

/// An id, where -1 is none.
fn read_id(number: u64, what: &str) -> Result<Option<u32>> {
    match i64::from_le_bytes(number.to_le_bytes()) {
        ..0 => Ok(None),
        id => u32::try_from(id)
            .map(Some)
            .map_err(|_| CoreError::OutOfRange(format!("Value of {what} in the SentencePiece model is no id: {id}"))),
    }
}

fn read_trainer(bytes: &[u8], model: &mut Model) -> Result<()> {
    let mut message = Message { rest: bytes };
    while let Some((number, field)) = message.next()? {
        match number {
            3 => model.model_type = field.number("model_type")?,
            24 => model.whitespace_as_suffix = field.number("treat_whitespace_as_suffix")? != 0,
            35 => model.byte_fallback = field.number("byte_fallback")? != 0,
            40 => model.unk_id = read_id(field.number("unk_id")?, "unk_id")?,
            41 => model.bos_id = read_id(field.number("bos_id")?, "bos_id")?,
            42 => model.eos_id = read_id(field.number("eos_id")?, "eos_id")?,
            _ => {}
        }
    }
    Ok(())
}

fn read_normalizer(bytes: &[u8], model: &mut Model) -> Result<()> {
    let mut message = Message { rest: bytes };
    while let Some((number, field)) = message.next()? {
        match number {
            2 => model.charsmap = field.bytes("precompiled_charsmap")?.to_vec(),
            3 => model.add_dummy_prefix = field.number("add_dummy_prefix")? != 0,
            4 => model.remove_extra_whitespaces = field.number("remove_extra_whitespaces")? != 0,
            5 => model.escape_whitespaces = field.number("escape_whitespaces")? != 0,
            _ => {}
        }
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Model> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(CoreError::TooLarge(format!(
            "SentencePiece model is above {MAX_FILE_BYTES} bytes: {}",
            bytes.len()
        )));
    }
    let mut model = Model::default();
    let mut message = Message { rest: bytes };
    while let Some((number, field)) = message.next()? {
        match number {
            1 => {
                if model.pieces.len() >= MAX_PIECES {
                    return Err(CoreError::TooLarge(format!("SentencePiece model has more than {MAX_PIECES} pieces")));
                }
                let piece = read_piece(field.bytes("a piece")?, model.pieces.len())?;
                model.pieces.push(piece);
            }
            2 => read_trainer(field.bytes("trainer_spec")?, &mut model)?,
            3 => read_normalizer(field.bytes("normalizer_spec")?, &mut model)?,
            _ => {}
        }
    }
    if model.pieces.is_empty() {
        return Err(malformed("it has no pieces"));
    }
    Ok(model)
}

/// The model's own normalization, ahead of the spelling of spaces.
fn normalizers(model: &Model) -> Result<Vec<NormalizerStep>> {
    let mut steps = Vec::new();
    if !model.charsmap.is_empty() {
        steps.push(NormalizerStep::Charsmap(Charsmap::new(&model.charsmap)?));
    }
    if model.remove_extra_whitespaces {
        steps.push(NormalizerStep::Strip(Strip::new(true, true)));
        steps.push(NormalizerStep::ReplaceRegex(BoundedRegex::new(" {2,}")?, " ".to_owned()));
    }
    Ok(steps)
}

/// Builds the tokenizer of a `tokenizer.model`, with the `tokenizer_config.json` beside it.
pub fn build(bytes: &[u8], config: Option<&[u8]>) -> Result<Tokenizer> {
    let config = TokenizerConfig::new(config)?;
    let model = read(bytes)?;
    if !model.escape_whitespaces || model.whitespace_as_suffix {
        return Err(CoreError::Unsupported(
            "A SentencePiece model with plain spaces, or spaces behind words, is not supported".to_owned(),
        ));
    }
    let checked = match model.model_type {
        1 => {
            let unk_id = model.unk_id.and_then(|id| usize::try_from(id).ok());
            let scored = model.pieces.iter().map(|piece| (piece.text.clone(), f64::from(piece.score))).collect();
            unigram(scored, unk_id, model.byte_fallback)?
        }
        2 => bpe_model(&model.pieces, model.byte_fallback)?,
        other => {
            return Err(CoreError::Unsupported(format!(
                "Type of the SentencePiece model must be Unigram (1) or BPE (2): {other}"
            )))
        }
    };
    let prefix = match config.flag("add_prefix_space")?.unwrap_or(model.add_dummy_prefix) {
        false => PrefixSpace::Never,
        // transformers' own default, and what the published tokenizer.json of Llama 2 does.
        true if config.flag("legacy")?.unwrap_or(true) => PrefixSpace::Always,
        true => PrefixSpace::First,
    };
    let mut parts = parts(checked, &model.pieces, prefix, normalizers(&model)?)?;
    parts.bos_id = model.bos_id;
    parts.eos_id = model.eos_id;
    config.apply(&mut parts, false, true)?;
    Tokenizer::new(parts)
}

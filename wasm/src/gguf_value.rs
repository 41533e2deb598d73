//! Values of GGUF's metadata: scalars, strings, and arrays, of which only short ones and the tokenizer's are kept.

use crate::error::{quote, CoreError};
use crate::gguf_reader::{GgufReader, Read};
use crate::table::MAX_SAFE_INTEGER;
use serde_json::{Number, Value};

/// Longest array that the table carries; longer ones are a tokenizer's.
const MAX_TABLE_ELEMENTS: u64 = 1024;
/// Deepest array of arrays.
const MAX_DEPTH: u32 = 4;
/// Most elements of an array.
const MAX_ELEMENTS: u64 = 1 << 24;

/// The arrays that describe a vocabulary. They never leave the core.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// `tokenizer.ggml.tokens`
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`
    pub token_types: Vec<u32>,
    /// `tokenizer.ggml.merges`
    pub merges: Vec<String>,
}

/// Smallest number of bytes that a value of a type takes.
fn smallest_bytes(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        9 => 12,
        _ => return None,
    })
}

fn unsigned(value: u64) -> Value {
    // A JavaScript number would round it; text keeps every digit, and no reader takes it for a count.
    if value > MAX_SAFE_INTEGER {
        return Value::String(value.to_string());
    }
    Value::from(value)
}

fn signed(value: i64) -> Value {
    if value.unsigned_abs() > MAX_SAFE_INTEGER {
        return Value::String(value.to_string());
    }
    Value::from(value)
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

/// Reads one scalar or string of type `kind`.
fn scalar(reader: &mut GgufReader<'_>, key: &str, kind: u32) -> Read<Value> {
    Ok(match kind {
        0 => unsigned(reader.u8(key)?.into()),
        1 => signed(i8::from_le_bytes([reader.u8(key)?]).into()),
        2 => unsigned(reader.u16(key)?.into()),
        3 => signed(i16::from_le_bytes(reader.u16(key)?.to_le_bytes()).into()),
        4 => unsigned(reader.u32(key)?.into()),
        5 => signed(i32::from_le_bytes(reader.u32(key)?.to_le_bytes()).into()),
        6 => float(f32::from_bits(reader.u32(key)?).into()),
        7 => match reader.u8(key)? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            other => return Err(CoreError::Malformed(format!("Value of {} is not a bool: {other}", quote(key))).into()),
        },
        8 => Value::String(reader.string(key)?.to_owned()),
        10 => unsigned(reader.u64(key)?),
        11 => signed(i64::from_le_bytes(reader.u64(key)?.to_le_bytes())),
        12 => float(f64::from_bits(reader.u64(key)?)),
        other => return Err(CoreError::Unsupported(format!("Value type of {} is unknown: {other}", quote(key))).into()),
    })
}

/// Reads a value. Returns none for an array that is too long for the table.
pub fn value(reader: &mut GgufReader<'_>, key: &str, vocabulary: &mut Vocabulary) -> Read<Option<Value>> {
    let kind = reader.u32(key)?;
    if kind != 9 {
        return scalar(reader, key, kind).map(Some);
    }
    let (kind, count) = array_header(reader, key)?;
    match (key, kind) {
        ("tokenizer.ggml.tokens", 8) => {
            vocabulary.tokens = strings(reader, key, count)?;
            Ok(None)
        }
        ("tokenizer.ggml.merges", 8) => {
            vocabulary.merges = strings(reader, key, count)?;
            Ok(None)
        }
        ("tokenizer.ggml.scores", 6) => {
            let words = words(reader, key, count)?;
            vocabulary.scores = words.into_iter().map(f32::from_bits).collect();
            Ok(None)
        }
        ("tokenizer.ggml.token_type", 4 | 5) => {
            vocabulary.token_types = words(reader, key, count)?;
            Ok(None)
        }
        _ => elements(reader, key, kind, count, 1),
    }
}

fn array_header(reader: &mut GgufReader<'_>, key: &str) -> Read<(u32, u64)> {
    let kind = reader.u32(key)?;
    let count = reader.u64(key)?;
    let Some(smallest) = smallest_bytes(kind) else {
        return Err(CoreError::Unsupported(format!("Element type of {} is unknown: {kind}", quote(key))).into());
    };
    if count > MAX_ELEMENTS {
        return Err(CoreError::TooLarge(format!(
            "Array {} has more than {MAX_ELEMENTS} elements: {count}",
            quote(key)
        ))
        .into());
    }
    reader.check_left(key, count.saturating_mul(smallest))?;
    Ok((kind, count))
}

fn elements(reader: &mut GgufReader<'_>, key: &str, kind: u32, count: u64, depth: u32) -> Read<Option<Value>> {
    if depth > MAX_DEPTH {
        return Err(
            CoreError::TooLarge(format!("Arrays of {} are nested more than {MAX_DEPTH} deep", quote(key))).into()
        );
    }
    let keep = count <= MAX_TABLE_ELEMENTS && kind != 9;
    if !keep && kind != 8 && kind != 9 {
        let bytes = smallest_bytes(kind).unwrap_or(0).saturating_mul(count);
        reader.take(key, bytes)?;
        return Ok(None);
    }
    let mut kept = Vec::new();
    for _ in 0..count {
        if kind == 9 {
            let (inner_kind, inner_count) = array_header(reader, key)?;
            elements(reader, key, inner_kind, inner_count, depth.saturating_add(1))?;
        } else if keep {
            kept.push(scalar(reader, key, kind)?);
        } else {
            reader.string(key)?;
        }
    }
    Ok(keep.then_some(Value::Array(kept)))
}

fn strings(reader: &mut GgufReader<'_>, key: &str, count: u64) -> Read<Vec<String>> {
    let mut read = Vec::new();
    for _ in 0..count {
        read.push(reader.string(key)?.to_owned());
    }
    Ok(read)
}

fn words(reader: &mut GgufReader<'_>, key: &str, count: u64) -> Read<Vec<u32>> {
    let bytes = reader.take(key, count.saturating_mul(4))?;
    Ok(bytes.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_le_bytes).collect())
}

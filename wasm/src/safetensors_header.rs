//! Header of a safetensors file: eight bytes of length, then JSON.
//!
//! The checks are those of the `safetensors` crate's `Metadata::validate`, and a property test holds the two
//! together. The crate itself cannot be used here: it counts bytes and bits in `usize`, which has 32 bits in
//! Wasm, so that a shard above 4 GB or a tensor above 512 MB would be refused.

use crate::error::{quote, CoreError, Result};
use crate::header::HeaderFormat;
use crate::table::{element_count, TensorEntry, TensorTable};
use safetensors::Dtype;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// Bytes of the length field.
const LENGTH_BYTES: u64 = 8;
/// Longest header that is read, the same limit as the reference implementation's.
const MAX_HEADER_BYTES: u64 = 100_000_000;

enum Stage {
    Length,
    Header { end: u64 },
    Done,
}

/// Parser for the header of a safetensors file.
pub struct SafetensorsHeader {
    file_size: u64,
    stage: Stage,
    table: TensorTable,
}

impl SafetensorsHeader {
    /// Starts on a file of `file_size` bytes.
    pub fn new(file_size: u64) -> Result<Self> {
        if file_size < LENGTH_BYTES {
            return Err(CoreError::Truncated(format!("File is too short for a safetensors header: {file_size} bytes")));
        }
        Ok(Self { file_size, stage: Stage::Length, table: TensorTable::default() })
    }

    fn read_length(&self, bytes: &[u8]) -> Result<u64> {
        let length = bytes
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| CoreError::Usage(format!("Length of the header takes 8 bytes: got {}", bytes.len())))?;
        if length > MAX_HEADER_BYTES {
            return Err(CoreError::TooLarge(format!("Header length is above {MAX_HEADER_BYTES} bytes: {length}")));
        }
        match LENGTH_BYTES.checked_add(length) {
            Some(end) if end <= self.file_size => Ok(end),
            _ => Err(CoreError::Truncated(format!(
                "Header length is {length} bytes, but the file has {} bytes",
                self.file_size
            ))),
        }
    }

    fn read_header(&self, bytes: &[u8], data_begin: u64) -> Result<TensorTable> {
        if bytes.first() != Some(&b'{') {
            return Err(CoreError::Malformed("Header does not begin with {".to_owned()));
        }
        let header: Header = serde_json::from_slice(bytes)
            .map_err(|error| CoreError::Malformed(format!("Header is not valid: {error}")))?;
        if let Some(name) = header.duplicate {
            return Err(CoreError::Duplicate(format!("Header holds the key {} twice", quote(&name))));
        }
        let mut tensors = Vec::with_capacity(header.tensors.len());
        for (name, info) in header.tensors {
            tensors.push(locate(name, info, data_begin)?);
        }
        tensors.sort_by_key(|tensor| (tensor.begin, tensor.end));
        check_contiguous(&tensors, data_begin, self.file_size)?;
        Ok(TensorTable { tensors, metadata: header.metadata })
    }
}

impl HeaderFormat for SafetensorsHeader {
    fn wanted(&self) -> Option<Range<u64>> {
        match self.stage {
            Stage::Length => Some(0..LENGTH_BYTES),
            Stage::Header { end } => Some(LENGTH_BYTES..end),
            Stage::Done => None,
        }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stage {
            Stage::Length => {
                let end = self.read_length(bytes)?;
                if end == LENGTH_BYTES {
                    return Err(CoreError::Malformed("Header length is 0".to_owned()));
                }
                self.stage = Stage::Header { end };
            }
            Stage::Header { end } => {
                self.table = self.read_header(bytes, end)?;
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }

    fn table(&self) -> &TensorTable {
        &self.table
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a tensor")]
struct Info {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

#[derive(Default)]
struct Header {
    tensors: Vec<(String, Info)>,
    metadata: Map<String, Value>,
    duplicate: Option<String>,
}

/// A map of strings that remembers a repeated key, which serde's maps forget.
#[derive(Default)]
struct StringMap {
    entries: Map<String, Value>,
    duplicate: Option<String>,
}

impl<'de> Deserialize<'de> for StringMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = StringMap;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<StringMap, A::Error> {
                let mut read = StringMap::default();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if read.entries.insert(key.clone(), Value::String(value)).is_some() {
                        read.duplicate.get_or_insert(key);
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut header = Header::default();
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        header.duplicate.get_or_insert(key.clone());
                    }
                    if key == "__metadata__" {
                        let read: Option<StringMap> = map.next_value()?;
                        let read = read.unwrap_or_default();
                        header.metadata = read.entries;
                        header.duplicate = header.duplicate.or(read.duplicate);
                    } else {
                        let info = map
                            .next_value::<Info>()
                            .map_err(|error| A::Error::custom(format!("tensor {}: {error}", quote(&key))))?;
                        header.tensors.push((key, info));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn locate(name: String, info: Info, data_begin: u64) -> Result<TensorEntry> {
    let (begin, end) = info.data_offsets;
    let elements = element_count(&name, &info.shape)?;
    let bits = u64::try_from(info.dtype.bitsize()).ok().and_then(|bits| elements.checked_mul(bits));
    let bytes = match bits {
        Some(bits) if bits % 8 == 0 => bits / 8,
        Some(_) => {
            return Err(CoreError::Malformed(format!(
                "Tensor {} does not fill whole bytes: {:?} of shape {:?}",
                quote(&name),
                info.dtype,
                info.shape
            )))
        }
        None => {
            return Err(CoreError::TooLarge(format!(
                "Size of tensor {} overflows: {:?} of shape {:?}",
                quote(&name),
                info.dtype,
                info.shape
            )))
        }
    };
    if end.checked_sub(begin) != Some(bytes) {
        return Err(CoreError::Malformed(format!(
            "Tensor {} of dtype {:?} and shape {:?} takes {bytes} bytes, but its data_offsets are [{begin}, {end}]",
            quote(&name),
            info.dtype,
            info.shape
        )));
    }
    let overflow = || CoreError::OutOfRange(format!("Offset of tensor {} overflows: [{begin}, {end}]", quote(&name)));
    Ok(TensorEntry {
        begin: data_begin.checked_add(begin).ok_or_else(overflow)?,
        end: data_begin.checked_add(end).ok_or_else(overflow)?,
        dtype: dtype_name(info.dtype)
            .ok_or_else(|| CoreError::Unsupported(format!("Dtype of tensor {}: {:?}", quote(&name), info.dtype)))?,
        shape: info.shape,
        name,
    })
}

/// The format forbids gaps, so that one file has one reading.
fn check_contiguous(tensors: &[TensorEntry], data_begin: u64, file_size: u64) -> Result<()> {
    let mut at = data_begin;
    for tensor in tensors {
        let name = quote(&tensor.name);
        if tensor.end > file_size {
            return Err(CoreError::Truncated(format!(
                "Tensor {name} ends at byte {}, but the file has {file_size} bytes",
                tensor.end
            )));
        }
        if tensor.begin < at {
            return Err(CoreError::Overlap(format!(
                "Tensor {name} begins at byte {}, before the one ahead of it ends at byte {at}",
                tensor.begin
            )));
        }
        if tensor.begin > at {
            return Err(CoreError::Hole(format!(
                "Bytes {at} to {} ahead of tensor {name} belong to no tensor",
                tensor.begin
            )));
        }
        at = tensor.end;
    }
    if at != file_size {
        return Err(CoreError::Hole(format!("Last tensor ends at byte {at}, but the file has {file_size} bytes")));
    }
    Ok(())
}

fn dtype_name(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::BOOL => "BOOL",
        Dtype::F4 => "F4",
        Dtype::F6_E2M3 => "F6_E2M3",
        Dtype::F6_E3M2 => "F6_E3M2",
        Dtype::U8 => "U8",
        Dtype::I8 => "I8",
        Dtype::F8_E5M2 => "F8_E5M2",
        Dtype::F8_E4M3 => "F8_E4M3",
        Dtype::F8_E8M0 => "F8_E8M0",
        Dtype::F8_E4M3FNUZ => "F8_E4M3FNUZ",
        Dtype::F8_E5M2FNUZ => "F8_E5M2FNUZ",
        Dtype::I16 => "I16",
        Dtype::U16 => "U16",
        Dtype::F16 => "F16",
        Dtype::BF16 => "BF16",
        Dtype::I32 => "I32",
        Dtype::U32 => "U32",
        Dtype::F32 => "F32",
        Dtype::C64 => "C64",
        Dtype::F64 => "F64",
        Dtype::I64 => "I64",
        Dtype::U64 => "U64",
        _ => return None,
    })
}

//! Header of a GGUF file, versions 2 and 3: metadata, then tensor descriptions, then aligned tensor data.
//!
//! Follows <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Every count is checked against the bytes
//! that the file has left before anything is read for it, and every tensor must lie inside of the file.

use crate::error::{quote, CoreError, Result};
use crate::ggml_types::ggml_type;
use crate::gguf_reader::{GgufReader, Read, Stop};
use crate::gguf_value::{value, Vocabulary};
use crate::header::HeaderFormat;
use crate::table::{check_disjoint, element_count, TensorEntry, TensorTable};
use std::collections::HashSet;
use std::ops::Range;

/// Bytes asked for at a time; doubled while a single value does not fit, so that the work stays linear.
const CHUNK_BYTES: u64 = 1 << 20;
/// Longest header that is read. The largest vocabularies take about 20 MB.
const MAX_HEADER_BYTES: u64 = 256 << 20;
const MAX_KEYS: u64 = 100_000;
const MAX_TENSORS: u64 = 1_000_000;
const MAX_KEY_BYTES: usize = 65_535;
/// ggml's own limit.
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
/// Magic, version and two counts.
const FIXED_BYTES: u64 = 24;

enum Stage {
    Fixed,
    Keys,
    Tensors,
    Done,
}

struct TensorInfo {
    name: String,
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

/// Parser for the header of a GGUF file.
pub struct GgufHeader {
    file_size: u64,
    stage: Stage,
    /// Bytes that have arrived and are not consumed.
    pending: Vec<u8>,
    /// Where `pending` begins in the file.
    consumed: u64,
    keys_left: u64,
    tensors_left: u64,
    keys: HashSet<String>,
    names: HashSet<String>,
    infos: Vec<TensorInfo>,
    vocabulary: Vocabulary,
    table: TensorTable,
}

impl GgufHeader {
    /// Starts on a file of `file_size` bytes.
    pub fn new(file_size: u64) -> Result<Self> {
        if file_size < FIXED_BYTES {
            return Err(CoreError::Truncated(format!("File is too short for a GGUF header: {file_size} bytes")));
        }
        Ok(Self {
            file_size,
            stage: Stage::Fixed,
            pending: Vec::new(),
            consumed: 0,
            keys_left: 0,
            tensors_left: 0,
            keys: HashSet::new(),
            names: HashSet::new(),
            infos: Vec::new(),
            vocabulary: Vocabulary::default(),
            table: TensorTable::default(),
        })
    }

    /// The vocabulary in the metadata.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn arrived(&self) -> u64 {
        self.consumed.saturating_add(u64::try_from(self.pending.len()).unwrap_or(u64::MAX))
    }

    /// Reads one item, whole, or leaves everything as it was.
    fn step(&mut self) -> Read<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut reader = GgufReader::new(&pending, self.file_size.saturating_sub(self.consumed));
        let mut used = 0;
        let result = loop {
            let read = match self.stage {
                Stage::Fixed => self.read_fixed(&mut reader),
                Stage::Keys => self.read_key(&mut reader),
                Stage::Tensors => self.read_tensor(&mut reader),
                Stage::Done => break Ok(()),
            };
            match read {
                Ok(()) => used = reader.position,
                Err(stop) => break Err(stop),
            }
            if let Err(error) = self.advance(used) {
                break Err(error.into());
            }
        };
        self.consumed = self.consumed.saturating_add(u64::try_from(used).unwrap_or(u64::MAX));
        if !matches!(self.stage, Stage::Done) {
            self.pending = pending.get(used..).unwrap_or_default().to_vec();
        }
        result
    }

    /// Moves to the next stage when the present one has nothing left. `used` counts from `consumed`.
    fn advance(&mut self, used: usize) -> Result<()> {
        if matches!(self.stage, Stage::Keys) && self.keys_left == 0 {
            self.stage = Stage::Tensors;
            self.keys = HashSet::new();
        }
        if matches!(self.stage, Stage::Tensors) && self.tensors_left == 0 {
            self.stage = Stage::Done;
            self.names = HashSet::new();
            let end = self.consumed.saturating_add(u64::try_from(used).unwrap_or(u64::MAX));
            self.place_tensors(end)?;
        }
        Ok(())
    }

    fn read_fixed(&mut self, reader: &mut GgufReader<'_>) -> Read<()> {
        let magic = reader.take("the magic number", 4)?;
        if magic != b"GGUF" {
            return Err(CoreError::Malformed(format!("File does not begin with GGUF: {magic:?}")).into());
        }
        let version = reader.u32("the version")?;
        if version != 2 && version != 3 {
            let hint = if version.swap_bytes() <= 3 { ", a big-endian file" } else { "" };
            return Err(CoreError::Unsupported(format!("GGUF version must be 2 or 3: {version}{hint}")).into());
        }
        self.tensors_left = reader.u64("the tensor count")?;
        self.keys_left = reader.u64("the key count")?;
        if self.tensors_left > MAX_TENSORS {
            return Err(
                CoreError::TooLarge(format!("Tensor count is above {MAX_TENSORS}: {}", self.tensors_left)).into()
            );
        }
        if self.keys_left > MAX_KEYS {
            return Err(CoreError::TooLarge(format!("Key count is above {MAX_KEYS}: {}", self.keys_left)).into());
        }
        // A key takes at least a length, a type and a value; a tensor a length, a dimension, a type and an offset.
        reader.check_left("the keys", self.keys_left.saturating_mul(13))?;
        reader.check_left("the tensor descriptions", self.tensors_left.saturating_mul(32))?;
        self.stage = Stage::Keys;
        Ok(())
    }

    fn read_key(&mut self, reader: &mut GgufReader<'_>) -> Read<()> {
        let key = reader.string("a metadata key")?;
        if key.len() > MAX_KEY_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Length of key {} is above {MAX_KEY_BYTES} bytes: {}",
                quote(key),
                key.len()
            ))
            .into());
        }
        if self.keys.contains(key) {
            return Err(CoreError::Duplicate(format!("Metadata holds the key {} twice", quote(key))).into());
        }
        let value = value(reader, key, &mut self.vocabulary)?;
        self.keys.insert(key.to_owned());
        if let Some(value) = value {
            self.table.metadata.insert(key.to_owned(), value);
        }
        self.keys_left = self.keys_left.saturating_sub(1);
        Ok(())
    }

    fn read_tensor(&mut self, reader: &mut GgufReader<'_>) -> Read<()> {
        let name = reader.string("a tensor name")?;
        if name.len() > MAX_KEY_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Length of tensor name {} is above {MAX_KEY_BYTES} bytes: {}",
                quote(name),
                name.len()
            ))
            .into());
        }
        if self.names.contains(name) {
            return Err(CoreError::Duplicate(format!("File holds the tensor {} twice", quote(name))).into());
        }
        let dimensions = reader.u32(name)?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(CoreError::TooLarge(format!(
                "Tensor {} must have 1 to {MAX_DIMENSIONS} dimensions: {dimensions}",
                quote(name)
            ))
            .into());
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(reader.u64(name)?);
        }
        let kind = reader.u32(name)?;
        let offset = reader.u64(name)?;
        self.names.insert(name.to_owned());
        self.infos.push(TensorInfo { name: name.to_owned(), shape, kind, offset });
        self.tensors_left = self.tensors_left.saturating_sub(1);
        Ok(())
    }

    fn alignment(&self) -> Result<u64> {
        let Some(value) = self.table.metadata.get("general.alignment") else {
            return Ok(DEFAULT_ALIGNMENT);
        };
        match value.as_u64() {
            Some(alignment) if alignment.is_power_of_two() && alignment <= u64::from(u32::MAX) => Ok(alignment),
            _ => Err(CoreError::Malformed(format!("Value of general.alignment must be a power of two: {value}"))),
        }
    }

    fn place_tensors(&mut self, header_end: u64) -> Result<()> {
        let alignment = self.alignment()?;
        let infos = std::mem::take(&mut self.infos);
        if infos.is_empty() {
            return Ok(());
        }
        let data_begin = header_end.checked_next_multiple_of(alignment).filter(|begin| *begin <= self.file_size);
        let Some(data_begin) = data_begin else {
            return Err(CoreError::Truncated(format!(
                "File ends before its tensor data: the header takes {header_end} of {} bytes",
                self.file_size
            )));
        };
        for info in infos {
            let entry = place(info, alignment, data_begin, self.file_size)?;
            self.table.tensors.push(entry);
        }
        check_disjoint(&self.table.tensors, data_begin, self.file_size)
    }
}

fn place(info: TensorInfo, alignment: u64, data_begin: u64, file_size: u64) -> Result<TensorEntry> {
    let TensorInfo { name, mut shape, kind, offset } = info;
    let shown = quote(&name);
    if shape.contains(&0) {
        return Err(CoreError::Malformed(format!("Tensor {shown} has a dimension of 0: {shape:?}")));
    }
    let Some(dtype) = ggml_type(kind) else {
        return Err(CoreError::Unsupported(format!("Type of tensor {shown} is unknown: {kind}")));
    };
    let elements = element_count(&name, &shape)?;
    let row = shape.first().copied().unwrap_or(1);
    if row.checked_rem(dtype.block_elements) != Some(0) {
        return Err(CoreError::Malformed(format!(
            "Rows of tensor {shown} are no multiple of {}'s block of {}: {row} elements",
            dtype.name, dtype.block_elements
        )));
    }
    if offset.checked_rem(alignment) != Some(0) {
        return Err(CoreError::Malformed(format!(
            "Offset of tensor {shown} is no multiple of the alignment {alignment}: {offset}"
        )));
    }
    let blocks = elements.checked_div(dtype.block_elements).unwrap_or(0);
    let begin = data_begin.checked_add(offset);
    let end = blocks.checked_mul(dtype.block_bytes).and_then(|bytes| begin.and_then(|begin| begin.checked_add(bytes)));
    match (begin, end) {
        (Some(begin), Some(end)) if end <= file_size => {
            // ggml writes the fastest dimension first.
            shape.reverse();
            Ok(TensorEntry { name, dtype: dtype.name, shape, begin, end })
        }
        (_, Some(end)) => {
            Err(CoreError::Truncated(format!("Tensor {shown} ends at byte {end}, but the file has {file_size} bytes")))
        }
        _ => Err(CoreError::TooLarge(format!(
            "Size or offset of tensor {shown} overflows: offset {offset}, shape {shape:?}"
        ))),
    }
}

impl HeaderFormat for GgufHeader {
    fn wanted(&self) -> Option<Range<u64>> {
        if matches!(self.stage, Stage::Done) {
            return None;
        }
        let begin = self.arrived();
        let more = begin.saturating_sub(self.consumed).max(CHUNK_BYTES);
        Some(begin..begin.saturating_add(more).min(self.file_size))
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        match self.step() {
            Ok(()) => Ok(()),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::NeedMore) if self.arrived() >= MAX_HEADER_BYTES => Err(CoreError::TooLarge(format!(
                "Header is above {MAX_HEADER_BYTES} bytes, with {} keys and {} tensors to come",
                self.keys_left, self.tensors_left
            ))),
            Err(Stop::NeedMore) if self.arrived() >= self.file_size => Err(CoreError::Truncated(format!(
                "File ends inside of its header, with {} keys and {} tensors to come",
                self.keys_left, self.tensors_left
            ))),
            Err(Stop::NeedMore) => Ok(()),
        }
    }

    fn table(&self) -> &TensorTable {
        &self.table
    }
}

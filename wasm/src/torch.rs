//! Header of a PyTorch checkpoint: a zip archive of stored files, of which `data.pkl` describes the tensors and
//! `data/0`, `data/1`, ... are their storages.
//!
//! Follows torch/serialization.py. Tensor data is never asked for: only the archive's directory, the pickle, and the
//! local header of every storage that a tensor uses.

use crate::error::{quote, CoreError, Result};
use crate::header::HeaderFormat;
use crate::pickle::unpickle;
use crate::pickle_value::PickledTensor;
use crate::state_dict::collect;
use crate::table::{element_count, TensorEntry, TensorTable};
use crate::zip::{
    data_range, find_end, local_range, read_directory, read_end64, Directory, ZipEntry, END64_BYTES, END_BYTES,
    LOCATOR_BYTES, MAX_COMMENT_BYTES,
};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Longest pickle that is read: a thousand tensors take about 200 kB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// What the bytes that are wanted now are.
enum Stage {
    Magic,
    Tail,
    End64,
    Directory { entries: u64 },
    ByteOrderHeader,
    ByteOrder,
    PickleHeader,
    Pickle,
    StorageHeader { next: usize },
    Done,
}

/// Parser for the header of a PyTorch checkpoint.
pub struct TorchHeader {
    file_size: u64,
    stage: Stage,
    range: Range<u64>,
    /// Where the central directory begins: every file of the archive ends before it.
    limit: u64,
    files: HashMap<String, ZipEntry>,
    /// The folder that all files of the archive lie in.
    folder: String,
    tensors: Vec<(String, PickledTensor)>,
    /// Storages in use and, once known, where their bytes are.
    storages: Vec<String>,
    places: HashMap<String, Range<u64>>,
    table: TensorTable,
}

impl TorchHeader {
    /// Starts on a file of `file_size` bytes.
    pub fn new(file_size: u64) -> Result<Self> {
        if file_size < END_BYTES {
            return Err(CoreError::Truncated(format!("File is too short for a PyTorch checkpoint: {file_size} bytes")));
        }
        Ok(Self {
            file_size,
            stage: Stage::Magic,
            range: 0..4,
            limit: 0,
            files: HashMap::new(),
            folder: String::new(),
            tensors: Vec::new(),
            storages: Vec::new(),
            places: HashMap::new(),
            table: TensorTable::default(),
        })
    }

    fn want(&mut self, stage: Stage, range: Range<u64>) {
        self.stage = stage;
        self.range = range;
    }

    fn entry(&self, name: &str) -> Result<(String, ZipEntry)> {
        let path = format!("{}{name}", self.folder);
        match self.files.get(&path) {
            Some(entry) => Ok((path, entry.clone())),
            None => Err(CoreError::Malformed(format!("Archive has no file {}", quote(&path)))),
        }
    }

    fn want_header(&mut self, stage: Stage, name: &str) -> Result<()> {
        let (path, entry) = self.entry(name)?;
        let range = local_range(&path, &entry, self.limit)?;
        self.want(stage, range);
        Ok(())
    }

    fn data(&self, name: &str, local: &[u8]) -> Result<Range<u64>> {
        let (path, entry) = self.entry(name)?;
        data_range(&path, &entry, local, self.limit)
    }

    fn read_magic(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.first() == Some(&0x80) {
            return Err(CoreError::Unsupported(
                "File is a checkpoint of PyTorch before 1.6, a bare pickle: load it there and save it again".to_owned(),
            ));
        }
        if bytes != b"PK\x03\x04" {
            return Err(CoreError::Malformed(format!("File does not begin as a zip archive: {bytes:?}")));
        }
        let tail = END_BYTES.saturating_add(MAX_COMMENT_BYTES).saturating_add(LOCATOR_BYTES);
        self.want(Stage::Tail, self.file_size.saturating_sub(tail)..self.file_size);
        Ok(())
    }

    fn found_directory(&mut self, directory: Directory) -> Result<()> {
        match directory {
            Directory::At(range, entries) => {
                self.limit = range.start;
                self.want(Stage::Directory { entries }, range);
            }
            Directory::Zip64(begin) => {
                let end = begin.checked_add(END64_BYTES).filter(|end| *end <= self.file_size);
                let end = end.ok_or_else(|| {
                    CoreError::OutOfRange(format!(
                        "The zip64 end record at byte {begin} lies outside of the file of {} bytes",
                        self.file_size
                    ))
                })?;
                self.want(Stage::End64, begin..end);
            }
        }
        Ok(())
    }

    fn read_directory(&mut self, bytes: &[u8], entries: u64) -> Result<()> {
        self.files = read_directory(bytes, entries)?;
        let mut folders = self.files.keys().filter_map(|name| name.strip_suffix("data.pkl"));
        let mut folders = folders.by_ref().filter(|folder| folder.is_empty() || folder.ends_with('/'));
        let folder = folders.next().map(str::to_owned);
        let (Some(folder), None) = (folder, folders.next()) else {
            return Err(CoreError::Malformed(
                "Archive must hold one data.pkl, as a checkpoint of torch.save does".to_owned(),
            ));
        };
        self.folder = folder;
        if self.entry("constants.pkl").is_ok() {
            return Err(CoreError::Unsupported("File is a TorchScript program, not a state dict".to_owned()));
        }
        if self.entry("byteorder").is_ok() {
            self.want_header(Stage::ByteOrderHeader, "byteorder")
        } else {
            self.want_header(Stage::PickleHeader, "data.pkl")
        }
    }

    fn want_data(&mut self, name: &str, local: &[u8], stage: Stage, most: u64) -> Result<()> {
        let range = self.data(name, local)?;
        let bytes = range.end.saturating_sub(range.start);
        if bytes > most {
            return Err(CoreError::TooLarge(format!("File {name} of the archive is above {most} bytes: {bytes}")));
        }
        self.want(stage, range);
        Ok(())
    }

    fn read_pickle(&mut self, bytes: &[u8]) -> Result<()> {
        let unpickled = unpickle(bytes)?;
        self.tensors = collect(&unpickled)?;
        let mut seen = HashSet::new();
        for (_, tensor) in &self.tensors {
            if seen.insert(tensor.storage.as_str()) {
                self.storages.push(tensor.storage.clone());
            }
        }
        self.next_storage(0)
    }

    fn next_storage(&mut self, next: usize) -> Result<()> {
        match self.storages.get(next).cloned() {
            Some(key) => self.want_header(Stage::StorageHeader { next }, &format!("data/{key}")),
            None => self.place_tensors(),
        }
    }

    fn read_storage(&mut self, local: &[u8], next: usize) -> Result<()> {
        if let Some(key) = self.storages.get(next).cloned() {
            let range = self.data(&format!("data/{key}"), local)?;
            self.places.insert(key, range);
        }
        self.next_storage(next.saturating_add(1))
    }

    fn place_tensors(&mut self) -> Result<()> {
        self.stage = Stage::Done;
        check_apart(&self.places)?;
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            let entry = place(name, tensor, &self.places)?;
            self.table.tensors.push(entry);
        }
        Ok(())
    }
}

/// Storages of one archive share no byte; tensors may share a storage.
fn check_apart(places: &HashMap<String, Range<u64>>) -> Result<()> {
    let mut order: Vec<(&String, &Range<u64>)> = places.iter().collect();
    order.sort_by_key(|(_, range)| (range.start, range.end));
    for pair in order.windows(2) {
        if let [(first, before), (second, after)] = pair {
            if after.start < before.end {
                return Err(CoreError::Overlap(format!(
                    "Storages {} and {} overlap: the first ends at byte {}, the second begins at byte {}",
                    quote(first),
                    quote(second),
                    before.end,
                    after.start
                )));
            }
        }
    }
    Ok(())
}

fn item_bytes(dtype: &str) -> u64 {
    match dtype {
        "F64" | "I64" => 8,
        "F32" | "I32" => 4,
        "F16" | "BF16" | "I16" => 2,
        _ => 1,
    }
}

fn place(name: String, tensor: PickledTensor, places: &HashMap<String, Range<u64>>) -> Result<TensorEntry> {
    let shown = quote(&name);
    let elements = element_count(&name, &tensor.shape)?;
    let mut expected = 1u64;
    for (size, stride) in tensor.shape.iter().zip(&tensor.stride).rev() {
        if *size > 1 && elements > 0 {
            if *stride != expected {
                return Err(CoreError::Unsupported(format!(
                    "Tensor {shown} is not contiguous: shape {:?}, strides {:?}",
                    tensor.shape, tensor.stride
                )));
            }
            expected = expected.saturating_mul(*size);
        }
    }
    let place = places
        .get(&tensor.storage)
        .ok_or_else(|| CoreError::Malformed(format!("Storage of tensor {shown} is missing")))?;
    let bytes = item_bytes(tensor.dtype);
    let stored = place.end.saturating_sub(place.start);
    if tensor.storage_elements.checked_mul(bytes) != Some(stored) {
        return Err(CoreError::Malformed(format!(
            "Storage {} of tensor {shown} has {} elements of {}, but its file has {stored} bytes",
            quote(&tensor.storage),
            tensor.storage_elements,
            tensor.dtype
        )));
    }
    let last = tensor.offset.checked_add(elements).filter(|last| *last <= tensor.storage_elements);
    let Some(last) = last else {
        return Err(CoreError::OutOfRange(format!(
            "Tensor {shown} takes {elements} elements from element {}, but its storage has {}",
            tensor.offset, tensor.storage_elements
        )));
    };
    // Both products are at most `stored`.
    Ok(TensorEntry {
        begin: place.start.saturating_add(tensor.offset.saturating_mul(bytes)),
        end: place.start.saturating_add(last.saturating_mul(bytes)),
        dtype: tensor.dtype,
        shape: tensor.shape,
        name,
    })
}

impl HeaderFormat for TorchHeader {
    fn wanted(&self) -> Option<Range<u64>> {
        if matches!(self.stage, Stage::Done) {
            return None;
        }
        Some(self.range.clone())
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stage {
            Stage::Magic => self.read_magic(bytes),
            Stage::Tail => {
                let directory = find_end(bytes, self.range.start)?;
                self.found_directory(directory)
            }
            Stage::End64 => {
                let directory = read_end64(bytes, self.range.start)?;
                self.found_directory(directory)
            }
            Stage::Directory { entries } => self.read_directory(bytes, entries),
            Stage::ByteOrderHeader => self.want_data("byteorder", bytes, Stage::ByteOrder, 64),
            Stage::ByteOrder => {
                if bytes != b"little" {
                    return Err(CoreError::Unsupported(format!(
                        "Byte order of the checkpoint must be little: {}",
                        quote(&String::from_utf8_lossy(bytes))
                    )));
                }
                self.want_header(Stage::PickleHeader, "data.pkl")
            }
            Stage::PickleHeader => self.want_data("data.pkl", bytes, Stage::Pickle, MAX_PICKLE_BYTES),
            Stage::Pickle => self.read_pickle(bytes),
            Stage::StorageHeader { next } => self.read_storage(bytes, next),
            Stage::Done => Ok(()),
        }
    }

    fn table(&self) -> &TensorTable {
        &self.table
    }
}

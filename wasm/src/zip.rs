//! The parts of a zip archive that torch.save writes: end record, zip64 end record, central directory, local headers.
//!
//! Follows PKWARE's APPNOTE 6.3. Only stored entries are accepted, so that an entry's bytes are a range of the file.

use crate::error::{quote, CoreError, Result};
use std::collections::HashMap;
use std::ops::Range;

/// Bytes of the end record without its comment.
pub const END_BYTES: u64 = 22;
/// Longest comment behind the end record.
pub const MAX_COMMENT_BYTES: u64 = 65_535;
/// Bytes of the zip64 locator, which lies right before the end record.
pub const LOCATOR_BYTES: u64 = 20;
/// Bytes of the zip64 end record that are read.
pub const END64_BYTES: u64 = 56;
/// Bytes of a local header without its name.
pub const LOCAL_BYTES: u64 = 30;
/// Longest central directory that is read.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
/// Bytes of an entry of the central directory without its name.
const ENTRY_BYTES: usize = 46;

/// A reader of little-endian fields. Every read past the end is an error.
struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| CoreError::Truncated(format!("Archive ends inside of {}", self.what)))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u64> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn signature(&mut self, expected: &[u8; 4]) -> Result<()> {
        let found = self.take(4)?;
        if found != expected {
            return Err(CoreError::Malformed(format!("Archive has no {} where it should be: {found:?}", self.what)));
        }
        Ok(())
    }
}

/// Where the central directory lies, or the zip64 end record that says so.
#[derive(Debug, PartialEq, Eq)]
pub enum Directory {
    /// The range of the central directory and the number of its entries.
    At(Range<u64>, u64),
    /// The offset of the zip64 end record.
    Zip64(u64),
}

/// Finds the end record in the last bytes of a file, which begin at `tail_begin`.
pub fn find_end(tail: &[u8], tail_begin: u64) -> Result<Directory> {
    for begin in (0..tail.len()).rev() {
        let Some(record) = tail.get(begin..) else { continue };
        if !record.starts_with(b"PK\x05\x06") {
            continue;
        }
        let mut fields = Fields::new("the end record", record);
        fields.take(4)?;
        let Ok(disks) = fields.number(4) else { continue };
        let Ok(_entries_here) = fields.number(2) else { continue };
        let Ok(entries) = fields.number(2) else { continue };
        let Ok(size) = fields.number(4) else { continue };
        let Ok(offset) = fields.number(4) else { continue };
        let Ok(comment) = fields.number(2) else { continue };
        if u64::try_from(fields.rest.len()).ok() != Some(comment) {
            continue;
        }
        if entries == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
            return find_locator(tail, begin);
        }
        if disks != 0 {
            return Err(CoreError::Unsupported(format!("Archive is split over several disks: {disks}")));
        }
        let end = tail_begin.saturating_add(u64::try_from(begin).unwrap_or(u64::MAX));
        return directory(offset, size, entries, end);
    }
    Err(CoreError::Malformed("File has no end record of a zip archive".to_owned()))
}

fn find_locator(tail: &[u8], end_record: usize) -> Result<Directory> {
    let length = usize::try_from(LOCATOR_BYTES).unwrap_or(usize::MAX);
    let locator = end_record.checked_sub(length).and_then(|begin| tail.get(begin..end_record));
    let mut fields = Fields::new("the zip64 locator", locator.unwrap_or_default());
    fields.signature(b"PK\x06\x07")?;
    fields.take(4)?;
    Ok(Directory::Zip64(fields.number(8)?))
}

/// Reads the zip64 end record, which begins at `begin`.
pub fn read_end64(record: &[u8], begin: u64) -> Result<Directory> {
    let mut fields = Fields::new("the zip64 end record", record);
    fields.signature(b"PK\x06\x06")?;
    fields.take(20)?;
    fields.take(8)?;
    let entries = fields.number(8)?;
    let size = fields.number(8)?;
    let offset = fields.number(8)?;
    directory(offset, size, entries, begin)
}

fn directory(offset: u64, size: u64, entries: u64, limit: u64) -> Result<Directory> {
    if size > MAX_DIRECTORY_BYTES {
        return Err(CoreError::TooLarge(format!("Central directory is above {MAX_DIRECTORY_BYTES} bytes: {size}")));
    }
    match offset.checked_add(size) {
        Some(end) if end <= limit => Ok(Directory::At(offset..end, entries)),
        _ => Err(CoreError::OutOfRange(format!(
            "Central directory of {size} bytes at {offset} reaches past its end record at {limit}"
        ))),
    }
}

/// A stored file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipEntry {
    /// Where its local header begins.
    pub header: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// Reads the central directory: entries by name.
pub fn read_directory(bytes: &[u8], count: u64) -> Result<HashMap<String, ZipEntry>> {
    let mut fields = Fields::new("the central directory", bytes);
    let mut entries = HashMap::new();
    // Every entry takes 46 bytes, so the count cannot make this run longer than the directory.
    for _ in 0..count.min(u64::try_from(bytes.len() / ENTRY_BYTES).unwrap_or(0).saturating_add(1)) {
        let (name, entry) = read_entry(&mut fields)?;
        if name.ends_with('/') {
            continue;
        }
        if entries.insert(name.clone(), entry).is_some() {
            return Err(CoreError::Duplicate(format!("Archive holds the file {} twice", quote(&name))));
        }
    }
    if !fields.rest.is_empty() {
        return Err(CoreError::Malformed(format!(
            "Central directory says {count} entries and has {} bytes more",
            fields.rest.len()
        )));
    }
    Ok(entries)
}

fn read_entry(fields: &mut Fields<'_>) -> Result<(String, ZipEntry)> {
    fields.signature(b"PK\x01\x02")?;
    fields.take(4)?;
    let flags = fields.number(2)?;
    let method = fields.number(2)?;
    fields.take(8)?;
    let mut stored = fields.number(4)?;
    let mut size = fields.number(4)?;
    let name_bytes = fields.number(2)?;
    let extra_bytes = fields.number(2)?;
    let comment_bytes = fields.number(2)?;
    fields.take(8)?;
    let mut header = fields.number(4)?;
    let length = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let name = std::str::from_utf8(fields.take(length(name_bytes))?)
        .map_err(|_| CoreError::Malformed("A file name in the archive is not UTF-8".to_owned()))?
        .to_owned();
    let mut extra = Fields::new("an extra field", fields.take(length(extra_bytes))?);
    fields.take(length(comment_bytes))?;
    while extra.rest.len() >= 4 {
        let id = extra.number(2)?;
        let bytes = extra.number(2)?;
        let mut data = Fields::new("an extra field", extra.take(length(bytes))?);
        if id == 1 {
            for field in [&mut size, &mut stored, &mut header] {
                if *field == 0xffff_ffff {
                    *field = data.number(8)?;
                }
            }
        }
    }
    if flags & 1 != 0 {
        return Err(CoreError::Unsupported(format!("File {} of the archive is encrypted", quote(&name))));
    }
    if method != 0 || stored != size {
        return Err(CoreError::Unsupported(format!(
            "File {} of the archive is compressed with method {method}, {stored} of {size} bytes",
            quote(&name)
        )));
    }
    Ok((name, ZipEntry { header, size }))
}

/// The range of the file that holds an entry's local header with its name.
pub fn local_range(name: &str, entry: &ZipEntry, limit: u64) -> Result<Range<u64>> {
    let bytes = LOCAL_BYTES.saturating_add(u64::try_from(name.len()).unwrap_or(u64::MAX));
    match entry.header.checked_add(bytes) {
        Some(end) if end <= limit => Ok(entry.header..end),
        _ => Err(CoreError::OutOfRange(format!(
            "File {} of the archive begins at byte {}, but the central directory is at {limit}",
            quote(name),
            entry.header
        ))),
    }
}

/// The range of the file that holds an entry's bytes, from its local header.
pub fn data_range(name: &str, entry: &ZipEntry, local: &[u8], limit: u64) -> Result<Range<u64>> {
    let mut fields = Fields::new("a local header", local);
    fields.signature(b"PK\x03\x04")?;
    fields.take(4)?;
    let method = fields.number(2)?;
    fields.take(16)?;
    let name_bytes = fields.number(2)?;
    let extra_bytes = fields.number(2)?;
    if method != 0 || fields.rest != name.as_bytes() || u64::try_from(name.len()).ok() != Some(name_bytes) {
        return Err(CoreError::Malformed(format!(
            "Local header of {} disagrees with the central directory",
            quote(name)
        )));
    }
    let begin = entry
        .header
        .checked_add(LOCAL_BYTES)
        .and_then(|at| at.checked_add(name_bytes))
        .and_then(|at| at.checked_add(extra_bytes));
    match begin.and_then(|begin| Some(begin..begin.checked_add(entry.size)?)) {
        Some(range) if range.end <= limit => Ok(range),
        _ => Err(CoreError::Truncated(format!(
            "File {} of the archive takes {} bytes from byte {}, but the central directory is at {limit}",
            quote(name),
            entry.size,
            entry.header
        ))),
    }
}

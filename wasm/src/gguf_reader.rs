//! Reads GGUF's little-endian values from a part of the file that has arrived.

use crate::error::{quote, CoreError, Result};

/// Longest string that is read: a chat template has a few thousand bytes, a token a few dozen.
const MAX_STRING_BYTES: u64 = 16 << 20;

/// Why a value could not be read.
#[derive(Debug)]
pub enum Stop {
    /// More of the file has to arrive first.
    NeedMore,
    /// The file is not valid.
    Refused(CoreError),
}

impl From<CoreError> for Stop {
    fn from(error: CoreError) -> Self {
        Self::Refused(error)
    }
}

/// The result of reading from a part of a file.
pub type Read<T> = std::result::Result<T, Stop>;

/// A position in the part of the file that has arrived.
pub struct GgufReader<'a> {
    bytes: &'a [u8],
    /// Bytes read so far.
    pub position: usize,
    /// Bytes of the file from the start of `bytes` to its end.
    remaining: u64,
}

impl<'a> GgufReader<'a> {
    /// Reads `bytes`, after which `remaining - bytes.len()` bytes of the file are still to come.
    pub fn new(bytes: &'a [u8], remaining: u64) -> Self {
        Self { bytes, position: 0, remaining }
    }

    /// Bytes between the position and the end of the file.
    pub fn left_in_file(&self) -> u64 {
        let read = u64::try_from(self.position).unwrap_or(u64::MAX);
        self.remaining.saturating_sub(read)
    }

    /// Checks that `count` bytes are left in the file, whether they have arrived or not.
    pub fn check_left(&self, what: &str, count: u64) -> Result<()> {
        if count > self.left_in_file() {
            return Err(CoreError::Truncated(format!(
                "File ends inside of {what}: {count} bytes announced, {} bytes left",
                self.left_in_file()
            )));
        }
        Ok(())
    }

    /// The next `count` bytes.
    pub fn take(&mut self, what: &str, count: u64) -> Read<&'a [u8]> {
        self.check_left(what, count)?;
        let end = usize::try_from(count).ok().and_then(|count| self.position.checked_add(count));
        let end = end.ok_or(Stop::NeedMore)?;
        let taken = self.bytes.get(self.position..end).ok_or(Stop::NeedMore)?;
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Read<[u8; N]> {
        let bytes = self.take(what, u64::try_from(N).unwrap_or(u64::MAX))?;
        bytes.try_into().map_err(|_| Stop::NeedMore)
    }

    /// An unsigned byte.
    pub fn u8(&mut self, what: &str) -> Read<u8> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    /// A 16-bit unsigned integer.
    pub fn u16(&mut self, what: &str) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// A 32-bit unsigned integer.
    pub fn u32(&mut self, what: &str) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A 64-bit unsigned integer.
    pub fn u64(&mut self, what: &str) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length and so many bytes of UTF-8.
    pub fn string(&mut self, what: &str) -> Read<&'a str> {
        let length = self.u64(what)?;
        if length > MAX_STRING_BYTES {
            return Err(
                CoreError::TooLarge(format!("Length of {what} is above {MAX_STRING_BYTES} bytes: {length}")).into()
            );
        }
        let bytes = self.take(what, length)?;
        std::str::from_utf8(bytes).map_err(|error| {
            Stop::Refused(CoreError::Malformed(format!(
                "Bytes of {what} are not UTF-8 from byte {}: {}",
                error.valid_up_to(),
                quote(&String::from_utf8_lossy(bytes))
            )))
        })
    }
}

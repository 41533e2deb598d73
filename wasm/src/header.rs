//! Reads the header of a checkpoint file without doing any input or output itself: the parser names the
//! byte range that it wants, the caller supplies it, until a table of tensors stands.

use crate::error::{quote, CoreError, Result};
use crate::gguf::GgufHeader;
use crate::gguf_tokenizer;
use crate::safetensors_header::SafetensorsHeader;
use crate::table::{TensorTable, MAX_SAFE_INTEGER};
use crate::tokenizer::Tokenizer;
use crate::torch::TorchHeader;
use std::ops::Range;

/// What a format's header parser does. Every range that it wants lies within the file.
pub trait HeaderFormat {
    /// The bytes wanted next, counted from the start of the file; none once the table is complete.
    fn wanted(&self) -> Option<Range<u64>>;
    /// Takes exactly the bytes of `wanted`.
    fn supply(&mut self, bytes: &[u8]) -> Result<()>;
    /// The table. Called once `wanted` is none.
    fn table(&self) -> &TensorTable;
}

enum Format {
    Safetensors(SafetensorsHeader),
    Gguf(Box<GgufHeader>),
    Torch(Box<TorchHeader>),
}

/// Parser for the header of one file.
pub struct HeaderParser {
    format: Format,
    file_name: String,
    failed: bool,
}

impl HeaderParser {
    /// Starts on a file of a known size. `format` is `safetensors`, `gguf` or `torch`.
    pub fn new(format: &str, file_name: &str, file_size: u64) -> Result<Self> {
        if file_size > MAX_SAFE_INTEGER {
            return Err(CoreError::TooLarge(format!("File size is not a safe integer: {file_size}")));
        }
        let format = match format {
            "safetensors" => Format::Safetensors(SafetensorsHeader::new(file_size)?),
            "gguf" => Format::Gguf(Box::new(GgufHeader::new(file_size)?)),
            "torch" => Format::Torch(Box::new(TorchHeader::new(file_size)?)),
            other => return Err(CoreError::Usage(format!("Format must be safetensors, gguf or torch: {other}"))),
        };
        Ok(Self { format, file_name: file_name.to_owned(), failed: false })
    }

    fn inner(&self) -> &dyn HeaderFormat {
        match &self.format {
            Format::Safetensors(header) => header,
            Format::Gguf(header) => header.as_ref(),
            Format::Torch(header) => header.as_ref(),
        }
    }

    /// The byte range wanted next; none once the header is complete or was refused.
    pub fn wanted(&self) -> Option<Range<u64>> {
        if self.failed {
            return None;
        }
        self.inner().wanted()
    }

    /// Supplies the bytes of the wanted range, all of them.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(range) = self.wanted() else {
            return Err(CoreError::Usage(format!("No bytes of {} are wanted", quote(&self.file_name))));
        };
        if range.end.checked_sub(range.start) != u64::try_from(bytes.len()).ok() {
            return Err(CoreError::Usage(format!(
                "Supply the bytes {} to {} of {}: got {} bytes",
                range.start,
                range.end,
                quote(&self.file_name),
                bytes.len()
            )));
        }
        let supplied = match &mut self.format {
            Format::Safetensors(header) => header.supply(bytes),
            Format::Gguf(header) => header.supply(bytes),
            Format::Torch(header) => header.supply(bytes),
        };
        self.failed = supplied.is_err();
        supplied
    }

    /// The finished table.
    pub fn table(&self) -> Result<&TensorTable> {
        self.check_complete()?;
        Ok(self.inner().table())
    }

    /// The tokenizer that a GGUF file carries in its metadata.
    pub fn gguf_tokenizer(&self) -> Result<Tokenizer> {
        self.check_complete()?;
        match &self.format {
            Format::Gguf(header) => gguf_tokenizer::build(header.vocabulary(), &header.table().metadata),
            _ => Err(CoreError::Usage(format!(
                "File {} is no GGUF file, which alone carries a tokenizer",
                quote(&self.file_name)
            ))),
        }
    }

    fn check_complete(&self) -> Result<()> {
        if self.failed || self.inner().wanted().is_some() {
            return Err(CoreError::Usage(format!("Header of {} is not complete", quote(&self.file_name))));
        }
        Ok(())
    }
}

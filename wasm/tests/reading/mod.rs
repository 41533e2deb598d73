//! Drives a header parser over bytes in memory, as the TypeScript side does over a file.

use skein_core::error::CoreError;
use skein_core::header::HeaderParser;
use skein_core::table::TensorTable;
use std::path::PathBuf;

/// Most ranges that a parser may ask for in these tests.
const MAX_RANGES: usize = 10_000;

/// A complete parser, or the error on the way.
pub fn parse(format: &str, file: &[u8]) -> Result<HeaderParser, CoreError> {
    let mut parser = HeaderParser::new(format, "file", file.len() as u64)?;
    for _ in 0..MAX_RANGES {
        let Some(range) = parser.wanted() else {
            return Ok(parser);
        };
        assert!(range.start <= range.end && range.end <= file.len() as u64, "{range:?} is outside of the file");
        parser.supply(&file[range.start as usize..range.end as usize])?;
    }
    panic!("the parser does not end");
}

/// The table of a file.
pub fn table(format: &str, file: &[u8]) -> Result<TensorTable, CoreError> {
    let parser = parse(format, file)?;
    let table = parser.table()?.clone();
    for tensor in &table.tensors {
        assert!(tensor.begin <= tensor.end && tensor.end <= file.len() as u64, "{tensor:?} is outside of the file");
    }
    table.to_json().map(|_| table)
}

#[allow(dead_code)] // Not every test file refuses or reads whole files.
/// The error's name for a file that must be refused, and its message.
pub fn refused(format: &str, file: &[u8]) -> (&'static str, String) {
    let error = table(format, file).expect_err("the file must be refused");
    (error.code(), error.message().to_owned())
}

#[allow(dead_code)]
/// A file of the test data.
pub fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

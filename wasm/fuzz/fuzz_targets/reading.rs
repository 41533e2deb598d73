//! What the fuzz targets share: driving a header parser, and using a tokenizer.

use skein_core::header::HeaderParser;
use skein_core::stream::DecodeStream;
use skein_core::tokenizer::Tokenizer;
use std::rc::Rc;

/// Text with every class of characters that tokenizers tell apart.
#[allow(dead_code)]
const TEXT: &str = "Hello  world, it's 1234 \n\t<s>x</s> ▁▁ naïve 日本語 😀\0\u{fffd}İ ﬁ a\u{301}";

/// Supplies what the parser wants from a file in memory; checks that it wants nothing else.
#[allow(dead_code)]
pub fn parse(format: &str, file: &[u8]) -> Option<HeaderParser> {
    let mut parser = HeaderParser::new(format, "file", file.len() as u64).ok()?;
    let mut ranges = 0;
    while let Some(range) = parser.wanted() {
        ranges += 1;
        assert!(ranges <= 16 + file.len(), "the parser does not end");
        parser.supply(&file[range.start as usize..range.end as usize]).ok()?;
    }
    let table = parser.table().expect("a complete parser has a table");
    for tensor in &table.tensors {
        assert!(tensor.begin <= tensor.end && tensor.end <= file.len() as u64);
    }
    table.to_json().expect("a table is JSON");
    Some(parser)
}

/// Encodes, decodes at once and one by one.
#[allow(dead_code)]
pub fn exercise(tokenizer: Tokenizer) {
    let tokenizer = Rc::new(tokenizer);
    let mut ids = tokenizer.encode(TEXT, true).unwrap_or_default();
    ids.extend(0..tokenizer.vocab_size().min(300));
    for skip in [false, true] {
        let _ = tokenizer.decode(&ids, skip);
        let mut stream = DecodeStream::new(Rc::clone(&tokenizer), skip);
        for id in &ids {
            stream.push(*id);
        }
        stream.flush();
    }
}

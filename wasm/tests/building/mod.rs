//! Builds tokenizers for the tests.

use serde_json::{json, Value};
use skein_core::tokenizer::Tokenizer;
use skein_core::tokenizer_json;
use std::path::PathBuf;

#[allow(dead_code)] // Not every test file uses all of them.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

#[allow(dead_code)] // Not every test file uses all of them.
pub fn seed(target: &str, name: &str) -> Vec<u8> {
    seeds(target).into_iter().find(|(path, _)| path.ends_with(name)).expect(name).1
}

#[allow(dead_code)] // Not every test file uses all of them.
pub fn build(document: &Value) -> Result<Tokenizer, (&'static str, String)> {
    build_with(document, None)
}

#[allow(dead_code)] // Not every test file uses all of them.
pub fn build_with(document: &Value, config: Option<&Value>) -> Result<Tokenizer, (&'static str, String)> {
    let config = config.map(|config| config.to_string().into_bytes());
    tokenizer_json::build(document.to_string().as_bytes(), config.as_deref())
        .map_err(|error| (error.code(), error.message().to_owned()))
}

/// A byte-level tokenizer with three tokens, changed.
#[allow(dead_code)] // Not every test file uses all of them.
pub fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "version": "1.0",
        "added_tokens": [{
            "id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
        }],
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": ["a b"] },
    });
    change(&mut document);
    document
}

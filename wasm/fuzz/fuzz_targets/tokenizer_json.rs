//! Any bytes as a tokenizer.json and, behind a NUL, a tokenizer_config.json.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    let json = files.next().unwrap_or_default();
    if let Ok(tokenizer) = skein_core::tokenizer_json::build(json, files.next()) {
        reading::exercise(tokenizer);
    }
});

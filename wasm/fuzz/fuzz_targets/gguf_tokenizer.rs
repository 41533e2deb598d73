//! Any bytes as a GGUF file with a tokenizer.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Some(tokenizer) = reading::parse("gguf", file).and_then(|parser| parser.gguf_tokenizer().ok()) {
        reading::exercise(tokenizer);
    }
});

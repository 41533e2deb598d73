//! Any bytes as a gguf file.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    reading::parse("gguf", file);
});

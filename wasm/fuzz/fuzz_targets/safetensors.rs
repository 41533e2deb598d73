//! Any bytes as a safetensors file.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    reading::parse("safetensors", file);
});

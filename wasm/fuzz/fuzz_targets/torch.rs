//! Any bytes as a torch file.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    reading::parse("torch", file);
});

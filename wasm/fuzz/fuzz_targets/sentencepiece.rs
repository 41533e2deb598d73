//! Any bytes as a tokenizer.model.
#![no_main]

mod reading;

libfuzzer_sys::fuzz_target!(|model: &[u8]| {
    if let Ok(tokenizer) = skein_core::sentencepiece::build(model, None) {
        reading::exercise(tokenizer);
    }
});

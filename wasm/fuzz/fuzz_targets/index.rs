//! Any bytes as a shard index.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    if let Ok(index) = skein_core::index::parse(json) {
        for file in index.weight_map.values() {
            let path = std::path::Path::new("folder").join(file);
            assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
        }
    }
});

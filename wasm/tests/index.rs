//! Shard indices: valid ones, and ones that would lead out of their folder.

use proptest::prelude::*;
use skein_core::index::parse;

fn code(json: &str) -> &'static str {
    parse(json.as_bytes()).expect_err(json).code()
}

#[test]
fn reads_the_file_of_every_tensor() {
    let index =
        parse(br#"{"metadata":{"total_size":1},"weight_map":{"b":"m-00001-of-00002.bin","a":"x.safetensors"}}"#);
    let index = index.unwrap();
    assert_eq!(index.weight_map.get("a").map(String::as_str), Some("x.safetensors"));
    assert_eq!(index.weight_map.len(), 2);
}

#[test]
fn refuses_files_outside_of_the_folder() {
    for file in
        ["../x", "..", ".", ".hidden", "/etc/passwd", "a/b", "a\\\\b", "C:x", "C:\\\\x", "", "a\\u0000b", "a\\nb"]
    {
        assert_eq!(code(&format!(r#"{{"weight_map":{{"a":"{file}"}}}}"#)), "OutOfRange", "{file}");
    }
    assert_eq!(code(&format!(r#"{{"weight_map":{{"a":"{}"}}}}"#, "x".repeat(256))), "OutOfRange");
}

#[test]
fn refuses_indices_that_are_none() {
    for json in ["", "[]", "{}", r#"{"weight_map":[]}"#, r#"{"weight_map":{}}"#, r#"{"weight_map":{"a":1}}"#] {
        assert_eq!(code(json), "Malformed", "{json}");
    }
    assert_eq!(code(r#"{"weight_map":{"a":"x","a":"y"}}"#), "Duplicate");
    let many: Vec<String> = (0..10_001).map(|shard| format!(r#""{shard}":"{shard}""#)).collect();
    assert_eq!(code(&format!(r#"{{"weight_map":{{{}}}}}"#, many.join(","))), "TooLarge");
}

proptest! {
    #[test]
    fn keeps_every_file_in_the_folder(file in any::<String>()) {
        let json = serde_json::json!({ "weight_map": { "a": file } }).to_string();
        if let Ok(index) = parse(json.as_bytes()) {
            let path = std::path::Path::new("folder").join(index.weight_map.get("a").unwrap());
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
        }
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}

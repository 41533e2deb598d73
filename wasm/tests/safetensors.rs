//! Headers of safetensors files: valid ones, hostile ones, and the same verdict as the reference implementation.

mod reading;

use proptest::prelude::*;
use reading::{fixture, refused, table};
use safetensors::SafeTensors;

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0u8, data));
    bytes
}

#[test]
fn reads_names_shapes_and_absolute_offsets() {
    let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  "#;
    let table = table("safetensors", &file(header, 16)).unwrap();
    let begin = 8 + header.len() as u64;
    let read: Vec<_> =
        table.tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.clone(), t.begin, t.end)).collect();
    assert_eq!(read, [("a", "F32", vec![], begin, begin + 4), ("b", "F16", vec![2, 3], begin + 4, begin + 16)]);
    assert_eq!(table.metadata["format"], "pt");
}

#[test]
fn reads_a_shard_above_four_gigabytes() {
    let bytes = 9_000_000_000u64;
    let header = format!(r#"{{"a":{{"dtype":"BF16","shape":[4500,1000000],"data_offsets":[0,{bytes}]}}}}"#);
    let size = 8 + header.len() as u64 + bytes;
    let mut parser = skein_core::header::HeaderParser::new("safetensors", "file", size).unwrap();
    parser.supply(&(header.len() as u64).to_le_bytes()).unwrap();
    parser.supply(header.as_bytes()).unwrap();
    assert_eq!(parser.table().unwrap().tensors[0].end, size);
}

#[test]
fn refuses_hostile_headers_by_name() {
    let one = |body: &str, data| refused("safetensors", &file(body, data));
    let cases = [
        (refused("safetensors", b"1234567"), "Truncated", "7 bytes"),
        (refused("safetensors", &[0; 8]), "Malformed", "length is 0"),
        (refused("safetensors", &u64::MAX.to_le_bytes()), "TooLarge", "18446744073709551615"),
        (refused("safetensors", &[100, 0, 0, 0, 0, 0, 0, 0, b'{']), "Truncated", "100 bytes"),
        (one(" {}", 0), "Malformed", "begin with {"),
        (one("{\"a\":}", 0), "Malformed", "expected value"),
        (one("{\"\u{0}\":1}", 0), "Malformed", "control character"),
        (
            one(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                8,
            ),
            "Duplicate",
            "\"a\"",
        ),
        (one(r#"{"__metadata__":{"k":"1","k":"2"}}"#, 0), "Duplicate", "\"k\""),
        (
            one(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
            "Overlap",
            "\"b\"",
        ),
        (one(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8), "Hole", "\"a\""),
        (one(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8), "Hole", "Last tensor"),
        (one(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4), "Truncated", "\"a\""),
        (one(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, 8), "Malformed", "[8, 4]"),
        (one(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "Malformed", "12 bytes"),
        (one(r#"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, 4), "Malformed", "F33"),
        (one(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4), "Malformed", "-1"),
        (one(r#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4), "Malformed", "1.5"),
        (
            one(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
            "TooLarge",
            "overflows",
        ),
        (
            one(r#"{"a":{"dtype":"F32","shape":[9007199254740991,1024],"data_offsets":[0,0]}}"#, 0),
            "TooLarge",
            "overflows",
        ),
        (one(r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1), "Malformed", "whole bytes"),
        (
            one(r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}}"#, 0),
            "OutOfRange",
            "overflows",
        ),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

#[test]
fn cuts_hostile_names_in_messages() {
    let name = "x".repeat(100_000);
    let (_, message) = refused(
        "safetensors",
        &file(&format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}}}"#), 4),
    );
    assert!(message.len() < 400, "{} bytes", message.len());
}

#[test]
fn reads_the_test_data() {
    let bytes = fixture("tiny/gqa_tied/model.safetensors");
    let table = table("safetensors", &bytes).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(table.tensors.len(), reference.len());
    for tensor in &table.tensors {
        let view = reference.tensor(&tensor.name).unwrap();
        assert_eq!(view.data(), &bytes[tensor.begin as usize..tensor.end as usize]);
    }
}

fn tensors() -> impl Strategy<Value = (String, usize)> {
    let dtype = prop_oneof!["F32", "F16", "BF16", "U8", "F4", "I64", "F33"];
    let tensor = ("[a-c]{1,2}", dtype, prop::collection::vec(0u64..4, 0..3), 0u64..30, 0u64..30);
    (prop::collection::vec(tensor, 0..4), 0usize..60, any::<bool>()).prop_map(|(list, data, packed)| {
        let mut at = 0;
        let entries: Vec<String> = list
            .into_iter()
            .map(|(name, dtype, shape, begin, end)| {
                let bytes: u64 = shape.iter().product::<u64>() * if dtype == "F32" { 4 } else { 2 };
                let (begin, end) = if packed { (at, at + bytes) } else { (begin, end) };
                at = end;
                format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#)
            })
            .collect();
        (format!("{{{}}}", entries.join(",")), if packed { at as usize } else { data })
    })
}

proptest! {
    #[test]
    fn agrees_with_the_reference_implementation((header, data) in tensors()) {
        let bytes = file(&header, data);
        let ours = table("safetensors", &bytes);
        let theirs = SafeTensors::deserialize(&bytes);
        // The reference keeps the last of two equal names; here they are an error.
        if !matches!(&ours, Err(error) if error.code() == "Duplicate") {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs.err());
        }
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = table("safetensors", &bytes);
    }

    #[test]
    fn survives_damage(at in 0usize..2000, value in any::<u8>(), length in 0usize..90_000) {
        let mut bytes = fixture("tiny/gqa_tied/model.safetensors");
        bytes[at] = value;
        bytes.truncate(length.max(at));
        let _ = table("safetensors", &bytes);
    }
}

//! Headers of GGUF files: valid ones, hostile ones, and the tokenizers in them.

mod reading;

use proptest::prelude::*;
use reading::{fixture, parse, refused, table};

fn string(text: &str) -> Vec<u8> {
    [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// A key with a value of a type.
fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [string(name).as_slice(), &kind.to_le_bytes(), value].concat()
}

/// A key with an array.
fn array(name: &str, kind: u32, count: u64, values: &[u8]) -> Vec<u8> {
    key(name, 9, &[kind.to_le_bytes().as_slice(), &count.to_le_bytes(), values].concat())
}

fn strings(name: &str, values: &[&str]) -> Vec<u8> {
    array(name, 8, values.len() as u64, &values.iter().flat_map(|value| string(value)).collect::<Vec<u8>>())
}

fn tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|size| size.to_le_bytes()).collect();
    let count = (shape.len() as u32).to_le_bytes();
    [string(name).as_slice(), &count, &dims, &kind.to_le_bytes(), &offset.to_le_bytes()].concat()
}

fn header(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    [b"GGUF".as_slice(), &version.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat()
}

/// A file with its counts right, its data aligned, and `data` bytes of it.
fn file(keys: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut bytes = header(3, tensors.len() as u64, keys.len() as u64);
    bytes.extend(keys.concat());
    bytes.extend(tensors.concat());
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

#[test]
fn reads_keys_of_every_type_and_tensors_of_every_place() {
    let keys = [
        key("u8", 0, &[200]),
        key("i8", 1, &[200]),
        key("u16", 2, &[0xff, 0xff]),
        key("i16", 3, &[0xff, 0xff]),
        key("u32", 4, &[0xff; 4]),
        key("i32", 5, &[0xff; 4]),
        key("f32", 6, &1.5f32.to_le_bytes()),
        key("nan", 6, &f32::NAN.to_le_bytes()),
        key("bool", 7, &[1]),
        key("string", 8, &string("é")),
        key("u64", 10, &[0xff; 8]),
        key("i64", 11, &[0xff; 8]),
        key("f64", 12, &0.1f64.to_le_bytes()),
        array("array", 5, 2, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        array("long", 0, 1025, &[0; 1025]),
        strings("strings", &["a", "b"]),
        array("nested", 9, 1, &[[4u8, 0, 0, 0].as_slice(), &1u64.to_le_bytes(), &[7, 0, 0, 0]].concat()),
    ];
    let tensors = [tensor("b", &[64, 2], 2, 32), tensor("a", &[4], 0, 0)];
    let table = table("gguf", &file(&keys, &tensors, 32 + 72)).unwrap();
    let text = serde_json::to_string(&table.metadata).unwrap();
    assert_eq!(
        text,
        r#"{"array":[1,-1],"bool":true,"f32":1.5,"f64":0.1,"i16":-1,"i32":-1,"i64":-1,"i8":-56,"nan":"NaN","string":"é","strings":["a","b"],"u16":65535,"u32":4294967295,"u64":"18446744073709551615","u8":200}"#
    );
    let first = &table.tensors[0];
    assert_eq!((first.name.as_str(), first.dtype, first.shape.clone()), ("b", "Q4_0", vec![2, 64]));
    assert_eq!((first.end - first.begin, first.begin % 32), (72, 0));
}

#[test]
fn reads_version_2_and_other_alignments_and_headers_without_tensors() {
    let mut bytes = file(&[key("general.alignment", 4, &64u32.to_le_bytes())], &[tensor("a", &[4], 0, 0)], 64);
    bytes[4] = 2;
    assert_eq!(table("gguf", &bytes).unwrap().tensors[0].begin % 64, 0);
    assert_eq!(table("gguf", &header(3, 0, 0)).unwrap().tensors, []);
}

#[test]
fn reads_a_header_longer_than_a_chunk() {
    let long = "x".repeat(3 << 20);
    let table = table("gguf", &file(&[key("a", 8, &string(&long)), key("b", 8, &string(&long))], &[], 0)).unwrap();
    assert_eq!(table.metadata["b"].as_str().unwrap().len(), long.len());
}

#[test]
fn refuses_hostile_headers_by_name() {
    let keyed = |key: Vec<u8>| refused("gguf", &file(&[key], &[], 0));
    let placed = |tensors: &[Vec<u8>], data| refused("gguf", &file(&[], tensors, data));
    let huge = u64::MAX.to_le_bytes();
    let twice = [key("k", 0, &[1]), key("k", 0, &[1])];
    let cases = [
        (refused("gguf", b"GGUF"), "Truncated", "4 bytes"),
        (refused("gguf", &[header(3, 0, 0), vec![0; 9]].concat()[1..]), "Malformed", "GGUF"),
        (refused("gguf", &header(1, 0, 0)), "Unsupported", "version must be 2 or 3: 1"),
        (refused("gguf", &header(3u32.swap_bytes(), 0, 0)), "Unsupported", "big-endian"),
        (refused("gguf", &header(3, u64::MAX, 0)), "TooLarge", "18446744073709551615"),
        (refused("gguf", &header(3, 0, u64::MAX)), "TooLarge", "18446744073709551615"),
        (refused("gguf", &header(3, 1000, 0)), "Truncated", "tensor descriptions"),
        (refused("gguf", &header(3, 0, 1000)), "Truncated", "keys"),
        (keyed(key("k", 13, &[0; 20])), "Unsupported", "13"),
        (keyed(key("k", 7, &[2])), "Malformed", "bool: 2"),
        (keyed(key("k", 8, &huge)), "TooLarge", "18446744073709551615"),
        (keyed(key("k", 8, &1000u64.to_le_bytes())), "Truncated", "1000 bytes"),
        (refused("gguf", &[header(3, 0, 1), key("k", 8, &string("ab")[..9])].concat()), "Truncated", "2 bytes"),
        (keyed(key("k", 8, &[[2, 0, 0, 0, 0, 0, 0, 0].as_slice(), b"\xff\xfe"].concat())), "Malformed", "UTF-8"),
        (keyed(array("k", 0, u64::MAX, &[])), "TooLarge", "18446744073709551615"),
        (keyed(array("k", 10, 1 << 20, &[])), "Truncated", "8388608 bytes"),
        (keyed(array("k", 14, 1, &[0; 8])), "Unsupported", "14"),
        (
            keyed(array("k", 9, 1, &[[9u8, 0, 0, 0].as_slice(), &1u64.to_le_bytes()].concat().repeat(6))),
            "TooLarge",
            "nested",
        ),
        (refused("gguf", &file(&twice, &[], 0)), "Duplicate", "\"k\""),
        (placed(&[tensor("a", &[4], 0, 0), tensor("a", &[4], 0, 32)], 64), "Duplicate", "\"a\""),
        (placed(&[tensor("a", &[4], 0, 0), tensor("b", &[16], 0, 0)], 64), "Overlap", "\"b\""),
        (placed(&[tensor("a", &[64], 0, 0)], 255), "Truncated", "\"a\""),
        (placed(&[tensor("a", &[4], 0, u64::MAX - 31)], 64), "TooLarge", "overflows"),
        (placed(&[tensor("a", &[4], 0, 16)], 64), "Malformed", "alignment 32: 16"),
        (placed(&[tensor("a", &[0, 4], 0, 0)], 64), "Malformed", "dimension of 0"),
        (placed(&[tensor("a", &[], 0, 0)], 64), "TooLarge", "1 to 4 dimensions: 0"),
        (placed(&[tensor("a", &[1; 5], 0, 0)], 64), "TooLarge", "1 to 4 dimensions: 5"),
        (placed(&[tensor("a", &[u64::MAX, u64::MAX], 0, 0)], 64), "TooLarge", "overflows"),
        (placed(&[tensor("a", &[1 << 52, 1 << 11], 0, 0)], 64), "TooLarge", "overflows"),
        (placed(&[tensor("a", &[33], 2, 0)], 64), "Malformed", "block of 32: 33"),
        (placed(&[tensor("a", &[4], 4, 0)], 64), "Unsupported", "4"),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

#[test]
fn refuses_an_alignment_that_is_no_power_of_two() {
    for value in [0u32, 3, 48] {
        let keys = [key("general.alignment", 4, &value.to_le_bytes())];
        let (code, message) = refused("gguf", &file(&keys, &[tensor("a", &[4], 0, 0)], 64));
        assert_eq!((code, message.ends_with(&format!(": {value}"))), ("Malformed", true), "{message}");
    }
}

#[test]
fn refuses_a_file_cut_off_anywhere() {
    let bytes = fixture("tiny/storage_forms/q8_0.gguf");
    assert!(table("gguf", &bytes).is_ok());
    for length in (0..bytes.len() - 1).step_by(97) {
        assert!(table("gguf", &bytes[..length]).is_err(), "{length}");
    }
}

/// The keys of a small SentencePiece vocabulary.
fn llama(change: impl Fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let scores: Vec<u8> = [0.0f32, 0.0, 0.0, -1.0, -2.0, -3.0].iter().flat_map(|score| score.to_le_bytes()).collect();
    let types: Vec<u8> = [2i32, 3, 3, 1, 1, 1].iter().flat_map(|kind| kind.to_le_bytes()).collect();
    let mut keys = vec![
        key("tokenizer.ggml.model", 8, &string("llama")),
        strings("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>", "▁a", "▁", "a"]),
        array("tokenizer.ggml.scores", 6, 6, &scores),
        array("tokenizer.ggml.token_type", 5, 6, &types),
    ];
    change(&mut keys);
    file(&keys, &[], 0)
}

fn encoded(bytes: &[u8], text: &str) -> Vec<u32> {
    parse("gguf", bytes).unwrap().gguf_tokenizer().unwrap().encode(text, true).unwrap()
}

#[test]
fn builds_the_tokenizer_that_the_keys_describe() {
    assert_eq!(encoded(&llama(|_| {}), "a a"), [1, 3, 3]);
    assert_eq!(encoded(&llama(|keys| keys.push(key("tokenizer.ggml.add_bos_token", 7, &[0]))), "a"), [3]);
    assert_eq!(encoded(&llama(|keys| keys.push(key("tokenizer.ggml.add_eos_token", 7, &[1]))), "a"), [1, 3, 2]);
    assert_eq!(encoded(&llama(|keys| keys.push(key("tokenizer.ggml.add_space_prefix", 7, &[0]))), "a"), [1, 5]);
    assert_eq!(encoded(&llama(|keys| keys.push(key("tokenizer.ggml.bos_token_id", 4, &[2, 0, 0, 0]))), "a"), [2, 3]);
}

#[test]
fn refuses_tokenizers_by_name() {
    let case = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let error = parse("gguf", &llama(change)).unwrap().gguf_tokenizer().err().expect("must be refused");
        (error.code(), error.message().to_owned())
    };
    let gpt2 = |pre: &'static str, merges: &'static [&'static str]| {
        move |keys: &mut Vec<Vec<u8>>| {
            keys[0] = key("tokenizer.ggml.model", 8, &string("gpt2"));
            keys.push(key("tokenizer.ggml.pre", 8, &string(pre)));
            keys.push(strings("tokenizer.ggml.merges", merges));
        }
    };
    let nan = f32::NAN.to_le_bytes().repeat(6);
    let cases = [
        (case(&|keys| keys[0] = key("tokenizer.ggml.model", 8, &string("bert"))), "Unsupported", "bert"),
        (case(&|keys| keys[0] = key("tokenizer.ggml.model", 4, &[0; 4])), "Malformed", "tokenizer.ggml.model"),
        (case(&|keys| drop(keys.remove(0))), "Malformed", "tokenizer.ggml.model"),
        (case(&|keys| drop(keys.remove(1))), "Malformed", "tokenizer.ggml.tokens"),
        (case(&|keys| drop(keys.remove(2))), "Malformed", "scores is 0"),
        (case(&|keys| keys[2] = array("tokenizer.ggml.scores", 6, 6, &nan)), "OutOfRange", "NaN"),
        (case(&|keys| keys[3] = array("tokenizer.ggml.token_type", 5, 1, &[0; 4])), "Malformed", "token_type is 1"),
        (case(&|keys| keys[3] = array("tokenizer.ggml.token_type", 5, 6, &[9; 24])), "OutOfRange", "unknown"),
        (case(&|keys| keys[1] = strings("tokenizer.ggml.tokens", &["a"; 6])), "Duplicate", "\"a\""),
        (
            case(&|keys| keys.push(key("tokenizer.ggml.bos_token_id", 4, &[6, 0, 0, 0]))),
            "OutOfRange",
            "vocabulary of 6: 6",
        ),
        (case(&|keys| keys.push(key("tokenizer.ggml.add_bos_token", 4, &[1, 0, 0, 0]))), "Malformed", "add_bos_token"),
        (case(&gpt2("tekken", &[])), "Unsupported", "tekken"),
        (case(&gpt2("gpt-2", &["▁a"])), "Malformed", "Merge 0"),
        (case(&gpt2("gpt-2", &["a b"])), "OutOfRange", "\"b\""),
        (case(&gpt2("gpt-2", &["▁a a"])), "OutOfRange", "\"▁aa\""),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

proptest! {
    #[test]
    fn survives_any_bytes_behind_the_magic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = table("gguf", &[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    #[test]
    fn survives_damage(at in 0usize..6000, value in any::<u8>()) {
        let mut bytes = fixture("tiny/storage_forms/q8_0.gguf");
        bytes[at] = value;
        if let Ok(parser) = parse("gguf", &bytes) {
            let _ = parser.gguf_tokenizer().map(|tokenizer| tokenizer.encode("Hello", true));
        }
    }
}

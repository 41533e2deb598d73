//! Tokenizers: the seeds of the fuzz targets, hostile files and configs.

mod building;
mod reading;

use building::{build, build_with, document, seed, seeds};
use proptest::prelude::*;
use reading::{parse, table};
use serde_json::{json, Value};
use skein_core::pre_tokenization::LLAMA3_PATTERN;
use skein_core::{index, sentencepiece, tokenizer_json};

fn refused(change: impl FnOnce(&mut Value)) -> (&'static str, String) {
    build(&document(change)).err().expect("the tokenizer must be refused")
}

#[test]
fn the_seeds_of_the_fuzz_targets_are_valid() {
    for format in ["safetensors", "torch", "gguf"] {
        for (name, file) in seeds(format) {
            table(format, &file).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    for (name, file) in seeds("gguf_tokenizer") {
        let tokenizer = parse("gguf", &file).and_then(|parser| parser.gguf_tokenizer());
        assert!(!tokenizer.unwrap_or_else(|error| panic!("{name}: {error}")).encode("ab", true).unwrap().is_empty());
    }
    for (name, file) in seeds("index") {
        index::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, file) in seeds("sentencepiece") {
        sentencepiece::build(&file, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, file) in seeds("tokenizer_json") {
        let mut parts = file.splitn(2, |byte| *byte == 0);
        tokenizer_json::build(parts.next().unwrap(), parts.next()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn encodes_and_decodes() {
    let tokenizer = build(&document(|_| {})).unwrap();
    assert_eq!(tokenizer.encode("abba<s>", true).unwrap(), [2, 1, 0, 3]);
    assert_eq!(tokenizer.decode(&[2, 1, 0, 3], false).unwrap(), "abba<s>");
    assert_eq!((tokenizer.vocab_size(), tokenizer.special_ids()), (4, vec![3]));
}

#[test]
fn refuses_hostile_files_by_name() {
    let regex = |pattern: &str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
    let special = |id: u32| {
        json!({
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [id], "tokens": ["<s>"] } },
        })
    };
    let cases = [
        (refused(|d| d["version"] = json!("2.0")), "Unsupported", "2.0"),
        (refused(|d| d["model"] = json!(null)), "Malformed", "model"),
        (refused(|d| d["model"]["type"] = json!("WordPiece")), "Unsupported", "WordPiece"),
        (refused(|d| d["model"]["vocab"] = json!([["a", 0.0]])), "Malformed", "BPE"),
        (refused(|d| d["model"]["vocab"] = json!({ "a": 0, "b": 0, "ab": 2 })), "Duplicate", ": 0"),
        (refused(|d| d["model"]["vocab"]["b"] = json!(u32::MAX)), "OutOfRange", "4294967295"),
        (refused(|d| d["model"]["vocab"]["b"] = json!(-1)), "Malformed", "-1"),
        (refused(|d| d["model"]["vocab"]["b"] = json!(1u64 << 40)), "Malformed", "1099511627776"),
        (refused(|d| d["model"]["merges"] = json!(["ab ab"])), "OutOfRange", "\"abab\""),
        (refused(|d| d["model"]["merges"] = json!(["a c"])), "OutOfRange", "\"c\""),
        (refused(|d| d["model"]["merges"] = json!(["ab"])), "Malformed", "tokens: \"ab\""),
        (refused(|d| d["model"]["merges"] = json!(["a b c"])), "Malformed", "a b c"),
        (refused(|d| d["model"]["merges"] = json!([["a", "b", "c"]])), "Malformed", "two tokens"),
        (refused(|d| d["model"]["continuing_subword_prefix"] = json!("##")), "Unsupported", "##"),
        (refused(|d| d["model"]["dropout"] = json!(0.1)), "Unsupported", "0.1"),
        (refused(|d| d["added_tokens"][0]["id"] = json!(7)), "Malformed", "id 7"),
        (refused(|d| d["added_tokens"][0]["id"] = json!(0)), "Malformed", "id 0"),
        (refused(|d| d["added_tokens"][0]["content"] = json!("")), "Malformed", "gives it none"),
        (refused(|d| d["added_tokens"] = json!([d["added_tokens"][0], d["added_tokens"][0]])), "Duplicate", "<s>"),
        (refused(|d| d["normalizer"] = json!({ "type": "Nonsense" })), "Unsupported", "Nonsense"),
        (refused(|d| d["normalizer"] = json!({})), "Malformed", "no type"),
        (refused(|d| d["normalizer"] = json!({ "type": "Prepend" })), "Malformed", "Prepend"),
        (refused(|d| d["normalizer"] = json!({ "type": "Prepend", "prepend": "" })), "Unsupported", "prepend"),
        (
            refused(|d| d["normalizer"] = json!({ "type": "Replace", "pattern": { "String": "" }, "content": "x" })),
            "Unsupported",
            "pattern",
        ),
        (
            refused(|d| d["normalizer"] = json!({ "type": "Precompiled", "precompiled_charsmap": "!" })),
            "Malformed",
            "base64",
        ),
        (
            refused(|d| d["normalizer"] = json!({ "type": "Precompiled", "precompiled_charsmap": "/////w==" })),
            "Malformed",
            "trie",
        ),
        (refused(|d| d["pre_tokenizer"] = regex("(")), "Malformed", "("),
        (refused(|d| d["pre_tokenizer"] = regex(&"a".repeat(1 << 20))), "TooLarge", "1048576"),
        (refused(|d| d["pre_tokenizer"] = regex("\\w{1000}{1000}{1000}")), "Malformed", "not valid"),
        (
            refused(|d| d["decoder"] = json!({ "type": "Replace", "pattern": { "Regex": "a" }, "content": "" })),
            "Unsupported",
            "Replace",
        ),
        (refused(|d| d["decoder"] = json!(1)), "Malformed", "no type"),
        (refused(|d| d["post_processor"] = special(4)), "OutOfRange", "vocabulary of 4: 4"),
        (
            refused(|d| {
                d["post_processor"] = special(3);
                d["post_processor"]["special_tokens"] = json!({});
            }),
            "Malformed",
            "<s>",
        ),
        (
            refused(|d| {
                d["post_processor"] = special(3);
                d["post_processor"]["single"] = json!([]);
            }),
            "Malformed",
            "sequence A",
        ),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
    let twice = document(|_| {}).to_string().replace(r#""b":1"#, r#""b":1,"b":4"#);
    assert_eq!(tokenizer_json::build(twice.as_bytes(), None).err().unwrap().code(), "Duplicate");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep =
        document(|_| {}).to_string().replace(r#""version":"1.0""#, &format!(r#""version":"1.0","normalizer":{deep}"#));
    assert_eq!(tokenizer_json::build(deep.as_bytes(), None).err().unwrap().code(), "Malformed");
}

#[test]
fn refuses_configs_by_name() {
    let case = |config: Value| build_with(&document(|_| {}), Some(&config)).err().expect("the config must be refused");
    let cases = [
        (case(json!([])), "Malformed", "config"),
        (case(json!({ "bos_token": 1 })), "Malformed", "bos_token"),
        (case(json!({ "bos_token": "<bos>" })), "OutOfRange", "<bos>"),
        (case(json!({ "add_bos_token": "yes" })), "Malformed", "yes"),
        (case(json!({ "chat_template": 1 })), "Malformed", "chat_template"),
        (case(json!({ "added_tokens_decoder": { "x": {} } })), "OutOfRange", "\"x\""),
        (case(json!({ "added_tokens_decoder": { "9": { "content": "<t>" } } })), "Malformed", "id 9"),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
}

#[test]
fn a_regular_expression_that_runs_away_is_an_error() {
    let evil = json!({ "type": "Replace", "pattern": { "Regex": "(?:(?=a)a|a)+(?<=b)c" }, "content": "x" });
    let tokenizer = build(&document(|d| d["normalizer"] = evil)).unwrap();
    assert_eq!(tokenizer.encode(&"a".repeat(40), true).unwrap_err().code(), "RegexLimit");
    // Every match stays below the limit of one, but not all together.
    let slow = json!({ "type": "Split", "pattern": { "Regex": "(?:(?=a)a|a){12}b|a" }, "behavior": "Isolated", "invert": false });
    let tokenizer_of_slow = build(&document(|d| d["pre_tokenizer"] = slow)).unwrap();
    assert_eq!(tokenizer_of_slow.encode(&"a".repeat(50), true).unwrap().len(), 50);
    let error = tokenizer_of_slow.encode(&"a".repeat(5000), true).err();
    assert_eq!(error.map(|error| error.code()), Some("RegexLimit"));
    // The next text is not blamed for it.
    assert_eq!(tokenizer.encode("ab", true).unwrap(), [2]);
}

/// Found by fuzzing: the library loses count of its characters on a match of no text, and stops at the next step.
#[test]
fn a_replacement_of_no_text_is_an_error() {
    for pattern in [" {0,}", "(?=a)", "b*"] {
        let replace = json!({ "type": "Replace", "pattern": { "Regex": pattern }, "content": " " });
        let strip = json!({ "type": "Strip", "strip_left": true, "strip_right": false });
        let steps = json!({ "type": "Sequence", "normalizers": [replace, strip] });
        let tokenizer = build(&document(|d| d["normalizer"] = steps)).unwrap();
        assert_eq!(tokenizer.encode("é ab 日", true).unwrap_err().code(), "Unsupported", "{pattern}");
    }
}

#[test]
fn long_runs_of_spaces_are_no_runaway() {
    let llama3 =
        json!({ "type": "Split", "pattern": { "Regex": LLAMA3_PATTERN }, "behavior": "Isolated", "invert": false });
    let tokenizer = build(&document(|d| d["pre_tokenizer"] = llama3)).unwrap();
    let text = format!("a{}b", " ".repeat(100_000)).repeat(20);
    assert_eq!(tokenizer.encode(&text, true).unwrap(), [0, 1].repeat(20));
}

#[test]
fn hostile_charsmaps_change_nothing_they_should_not() {
    // A trie whose offsets point anywhere, and values into the middle of a character.
    for byte in [0u8, 1, 0x61, 0xff] {
        let map = [64u32.to_le_bytes().to_vec(), vec![byte; 64], "éé".as_bytes().to_vec()].concat();
        let model = [vec![0x1a, 2 + map.len() as u8, 0x12, map.len() as u8], map].concat();
        let file = [seed("sentencepiece", "unigram.model"), model].concat();
        if let Ok(tokenizer) = sentencepiece::build(&file, None) {
            assert!(tokenizer.encode("aé\u{301}日\0", true).is_ok());
        }
    }
}

#[test]
fn refuses_hostile_sentencepiece_models_by_name() {
    let good = seed("sentencepiece", "bpe.model");
    let case = |bytes: &[u8]| {
        let error = sentencepiece::build(&[bytes, &good].concat(), None).err().expect("the model must be refused");
        (error.code(), error.message().to_owned())
    };
    let cases = [
        (case(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "Truncated", "field"),
        (case(&[0xff; 11]), "Malformed", "10 bytes"),
        (case(&[0x0b]), "Malformed", "wire type 3"),
        (case(&[0x08, 1]), "Malformed", "a piece"),
        (case(&[0x0a, 0]), "Malformed", "piece 0 is empty"),
        (case(&[0x0a, 3, 0x0a, 1, 0xff]), "Malformed", "text of piece 0"),
        (case(&[0x0a, 5, 0x0a, 1, b'z', 0x18, 9]), "Malformed", "unknown type 9"),
        (case(&[0x0a, 8, 0x0a, 1, b'z', 0x15, 0, 0, 0xc0, 0x7f]), "OutOfRange", "NaN"),
        (case(&[0x0a, 3, 0x0a, 1, b'a']), "Duplicate", "\"a\""),
        (case(&[0x12, 3, 0x18, 3, 0]), "Truncated", ""),
    ];
    for ((code, message), expected, part) in cases {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message:?} does not tell {part:?}");
    }
    let after = |bytes: &[u8]| sentencepiece::build(&[&good, bytes].concat(), None).err().expect("refused").code();
    assert_eq!(after(&[0x12, 2, 0x18, 3]), "Unsupported", "a model of words");
    assert_eq!(after(&[0x12, 4, 0xc8, 2, 0xff, 0x7f]), "OutOfRange", "bos_id is 16383");
}

proptest! {
    // Every case compiles regular expressions, which takes its time without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn survives_any_sentencepiece_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = sentencepiece::build(&bytes, None);
    }

    #[test]
    fn survives_damaged_tokenizers(at in 0usize..2000, value in any::<u8>()) {
        for (_, mut file) in seeds("tokenizer_json") {
            let place = at % file.len();
            file[place] = value;
            if let Ok(tokenizer) = tokenizer_json::build(&file, None) {
                let ids = tokenizer.encode("ab <s> 1é", true).unwrap_or_default();
                let _ = tokenizer.decode(&ids, true);
            }
        }
    }
}

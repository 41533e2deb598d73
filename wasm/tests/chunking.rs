//! Texts that are cut up have the ids of the whole.

mod building;

use building::{build, document};
use serde_json::{json, Value};
use skein_core::chunking::Chunking;
use skein_core::pre_tokenization::{GPT2_PATTERN, LLAMA3_PATTERN};
use skein_core::tokenizer::Tokenizer;

/// Two added tokens, the second of which never occurs and forbids cutting texts up unless `cut`.
fn added(id: u32, cut: bool) -> Value {
    let plain = json!({
        "id": id, "content": "<t>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
    });
    let mut never = plain.clone();
    never["id"] = json!(id + 1);
    never["content"] = json!("<never>");
    never["lstrip"] = json!(!cut);
    json!([plain, never])
}

/// A byte-level tokenizer with words.
fn words(pattern: &str, cut: bool) -> Tokenizer {
    let mut vocab: serde_json::Map<String, Value> = serde_json::Map::new();
    for token in ["a", "b", "'", "s", ".", "1", "Ġ", "Ċ", "ab", "Ġa", "Ġab", "ĊĊ", "ĠĠ", "bĊ", "11"] {
        vocab.insert(token.to_owned(), json!(vocab.len()));
    }
    let id = vocab.len();
    let split = json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    build(&document(|d| {
        let merges = json!(["a b", "Ġ a", "Ġa b", "Ċ Ċ", "Ġ Ġ", "b Ċ", "1 1"]);
        d["model"] = json!({ "type": "BPE", "vocab": vocab, "merges": merges });
        d["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [split, bytes] });
        d["added_tokens"] = added(id as u32, cut);
    }))
    .unwrap()
}

/// The same for a tokenizer that spells spaces as U+2581.
fn spaced(prefix: bool, cut: bool) -> Tokenizer {
    build(&document(|d| {
        let vocab = json!({
            "a": 0, "b": 1, "ab": 2, "▁": 3, "▁a": 4, "▁ab": 5, "▁▁": 6, ".": 7, "<unk>": 8,
        });
        let merges = json!(["a b", "▁ a", "▁a b", "▁ ▁"]);
        d["model"] = json!({ "type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>", "fuse_unk": true });
        d["pre_tokenizer"] = json!(null);
        let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
        let prepend = json!({ "type": "Prepend", "prepend": "▁" });
        let steps = if prefix { vec![prepend, replace] } else { vec![replace] };
        d["normalizer"] = json!({ "type": "Sequence", "normalizers": steps });
        d["added_tokens"] = added(9, cut);
    }))
    .unwrap()
}

/// A text that is cut several times, with few places for it. The `seed` drives a linear congruential generator.
fn long_text(mut seed: u32) -> String {
    let parts =
        ["a", "b", "ab", " ", " a", "  ", "\n", "\n\n", " ab", "'s", ".", "1", "11", "é", "<t>", "\u{2581}", "xyz"];
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        parts[(seed >> 16) as usize % parts.len()]
    };
    (0..80_000).map(|_| next()).collect()
}

#[test]
fn a_text_that_is_cut_up_has_the_ids_of_the_whole() {
    let pairs = [
        (words(GPT2_PATTERN, true), words(GPT2_PATTERN, false), Chunking::AfterLetter),
        (words(LLAMA3_PATTERN, true), words(LLAMA3_PATTERN, false), Chunking::AfterLetter),
        (spaced(true, true), spaced(true, false), Chunking::BetweenWords { drop_space: true }),
        (spaced(false, true), spaced(false, false), Chunking::BetweenWords { drop_space: false }),
    ];
    for seed in 0..2 {
        let text =
            long_text(seed).replace(" <never>", "<never>").replace("\n<never>", "<never>").replace(" <never>", "");
        for (cut, whole, chunking) in &pairs {
            assert_eq!((cut.chunking(), whole.chunking()), (*chunking, Chunking::Never));
            assert!(chunking.split(&text).count() > 2, "{chunking:?} does not cut");
            let (cut, whole) = (cut.encode(&text, true).unwrap(), whole.encode(&text, true).unwrap());
            let differs = cut.iter().zip(&whole).position(|(cut, whole)| cut != whole);
            assert_eq!((differs, cut.len()), (None, whole.len()), "{chunking:?} {seed}");
        }
    }
}

#[test]
fn unknown_tokenizers_do_not_cut_texts_up() {
    for pattern in ["(?<=a) ", "[a-z]+ ", "."] {
        let split =
            json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
        assert_eq!(build(&document(|d| d["pre_tokenizer"] = split)).unwrap().chunking(), Chunking::Never);
    }
    let lower = document(|d| d["normalizer"] = json!({ "type": "Lowercase" }));
    assert_eq!(build(&lower).unwrap().chunking(), Chunking::Never);
    let spaced = document(|d| d["added_tokens"][0]["content"] = json!("a b"));
    assert_eq!(build(&spaced).unwrap().chunking(), Chunking::Never);
    let long = build(&lower).unwrap().encode(&"a ".repeat(3 << 20), true);
    assert_eq!(long.unwrap_err().code(), "TooLarge");
}

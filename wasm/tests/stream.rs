//! Decoding one token at a time.

mod building;

use building::{build, document, seed};
use proptest::prelude::*;
use serde_json::json;
use skein_core::stream::DecodeStream;
use skein_core::tokenizer::Tokenizer;
use skein_core::{sentencepiece, tokenizer_json};
use std::rc::Rc;

fn stream(tokenizer: &Rc<Tokenizer>, ids: &[u32]) -> (Vec<String>, String) {
    let mut stream = DecodeStream::new(Rc::clone(tokenizer), false);
    let pieces = ids.iter().map(|id| stream.push(*id)).collect();
    (pieces, stream.flush())
}

/// Every byte is a token of its own.
fn byte_tokenizer(fallback: bool) -> Rc<Tokenizer> {
    if fallback {
        return Rc::new(sentencepiece::build(&seed("sentencepiece", "bpe.model"), None).unwrap());
    }
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let mut vocab = serde_json::Map::new();
    for byte in 0u32..256 {
        let code = if printable(&byte) { byte } else { next };
        next += u32::from(!printable(&byte));
        vocab.insert(char::from_u32(code).unwrap().to_string(), json!(byte));
    }
    let model = json!({ "type": "BPE", "vocab": vocab, "merges": [] });
    Rc::new(
        build(&document(|d| {
            d["model"] = model;
            d["added_tokens"] = json!([]);
        }))
        .unwrap(),
    )
}

#[test]
fn a_stream_gives_a_character_out_with_its_last_byte() {
    let tokenizer = byte_tokenizer(false);
    let (pieces, rest) = stream(&tokenizer, &[0xf0, 0x9f, 0x98, 0x80, 0x61, 0xe6, 0x97, 0x61, 0xff, 0xe6]);
    assert_eq!(pieces, ["", "", "", "😀", "a", "", "", "\u{fffd}a", "\u{fffd}", ""]);
    assert_eq!(rest, "\u{fffd}");
    let fallback = byte_tokenizer(true);
    let id = |byte: u32| byte + 3;
    let (pieces, rest) = stream(&fallback, &[260, id(0xe6), id(0x97), 260, id(0xe6), id(0x97), id(0xa5), id(0xc3)]);
    assert_eq!(pieces, ["a", "", "", "\u{fffd}\u{fffd}a", "", "", "日", ""]);
    assert_eq!(rest, "\u{fffd}");
}

#[test]
fn an_id_without_a_token_adds_no_text() {
    let (pieces, rest) = stream(&byte_tokenizer(false), &[0x61, 70_000, u32::MAX, 0x62]);
    assert_eq!((pieces.concat() + &rest).as_str(), "ab");
}

proptest! {
    // Every case compiles regular expressions, which takes its time without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_byte_level_stream_equals_decoding_at_once(ids in prop::collection::vec(0u32..256, 0..60)) {
        let tokenizer = byte_tokenizer(false);
        let (pieces, rest) = stream(&tokenizer, &ids);
        prop_assert_eq!(pieces.concat() + &rest, tokenizer.decode(&ids, false).unwrap());
    }

    #[test]
    fn a_fallback_stream_equals_decoding_at_once_for_any_text(text in any::<String>()) {
        let tokenizer = byte_tokenizer(true);
        let ids = tokenizer.encode(&text, false).unwrap();
        let (pieces, rest) = stream(&tokenizer, &ids);
        prop_assert_eq!(&rest, "");
        prop_assert_eq!(pieces.concat(), tokenizer.decode(&ids, false).unwrap());
        prop_assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn a_window_stream_equals_decoding_at_once(text in "[ab 1]{0,40}") {
        let tokenizer = Rc::new(tokenizer_json::build(&seed("tokenizer_json", "unigram.json"), None).unwrap());
        let ids = tokenizer.encode(&text, false).unwrap();
        let (pieces, rest) = stream(&tokenizer, &ids);
        prop_assert_eq!(pieces.concat() + &rest, tokenizer.decode(&ids, false).unwrap());
    }
}

//! A grammar of any kind, and a text that random tokens make under it.
//!
//! The first line is the kind, as a letter, and bytes that choose the tokens; what follows it is the grammar.
#![no_main]

use libfuzzer_sys::Corpus;
use skein_grammar::failure::Failure;
use skein_grammar::matcher::Matcher;
use skein_grammar::vocabulary::Vocabulary;
use std::cell::RefCell;
use std::collections::HashSet;

/// Tokens of a text at most.
const MAX_TOKENS: usize = 32;

/// Tokens beside the single bytes: of several characters, of a part of one, and special ones.
const WORDS: [&[u8]; 16] = [
    b"ab",
    b"  ",
    b"\n\t",
    b"\": ",
    b"{\"",
    b"\"}",
    b"},",
    b"true",
    b"null",
    b"12",
    b".5",
    "é".as_bytes(),
    b"\xE6\x97",
    "日本".as_bytes(),
    b"\xFF<tool>",
    b"\xFF<end>",
];

thread_local! {
    static VOCABULARY: Vocabulary = vocabulary();
}

fn vocabulary() -> Vocabulary {
    let mut words: Vec<Vec<u8>> = (0..=254u8).map(|byte| vec![byte]).collect();
    // A token that no grammar allows.
    words.push(Vec::new());
    words.extend(WORDS.iter().map(|word| word.to_vec()));
    let lengths: Vec<u32> = words.iter().map(|word| word.len() as u32).collect();
    let end = words.len() as u32 - 1;
    Vocabulary::new(&words.concat(), &lengths, &[end]).expect("a vocabulary")
}

/// Takes note, once for each, of a panic of llguidance, which this build alone makes a message. In Wasm it ends the module,
/// for which the worker that has it gives an error; tests/grammar has the kinds that were found. Ours are no messages.
fn check<T>(result: Result<T, Failure>) -> Option<T> {
    thread_local! {
        static NOTED: RefCell<HashSet<String>> = RefCell::default();
    }
    let note = |Failure { message, .. }: Failure| {
        // What follows is quoted from the grammar.
        let kind: String = message.chars().take(50).filter(|c| !c.is_control()).collect();
        if kind.starts_with("panic: ") && NOTED.with_borrow_mut(|noted| noted.insert(kind.clone())) {
            eprintln!("note: {kind}");
        }
    };
    result.map_err(note).ok()
}

/// The tokens whose bits are set.
fn allowed(mask: &[u32]) -> Vec<u32> {
    (0..32 * mask.len() as u32).filter(|id| mask[*id as usize / 32] >> (id % 32) & 1 == 1).collect()
}

fn follow(vocabulary: &Vocabulary, kind: &str, source: &str, choices: &[u8]) -> Option<()> {
    let mut matcher = check(Matcher::new(vocabulary, kind, source))?;
    for choice in choices.iter().take(MAX_TOKENS) {
        let ids = allowed(&check(matcher.mask())?);
        if ids.is_empty() {
            assert!(matcher.is_stopped(), "nothing may follow, and it goes on");
            break;
        }
        assert!(ids.iter().all(|id| (*id as usize) < vocabulary.size()), "a token that there is not");
        check(matcher.accept(ids[usize::from(*choice) % ids.len()]))?;
    }
    Some(())
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let Some(([kind, choices @ ..], source)) = parts.next().and_then(|line| Some((line, parts.next()?))) else {
        return Corpus::Reject;
    };
    let kind = match kind {
        b'j' => "jsonSchema",
        b'r' => "regex",
        b'l' => "lark",
        _ => return Corpus::Reject,
    };
    let Ok(source) = std::str::from_utf8(source) else { return Corpus::Reject };
    VOCABULARY.with(|vocabulary| follow(vocabulary, kind, source, choices));
    Corpus::Keep
});

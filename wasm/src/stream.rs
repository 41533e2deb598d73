//! Decodes one token at a time. Every character is given out as soon as its last byte is known, never earlier, and
//! every token costs the same however many came before.

use crate::decoding::DecoderStep;
use crate::tokenizer::Tokenizer;
use std::collections::VecDeque;
use std::rc::Rc;

/// What takes the place of bytes that are no character.
const REPLACEMENT: char = '\u{fffd}';
/// Tokens that the generic way looks back at.
const WINDOW: usize = 16;

enum Way {
    /// Tokens spell bytes.
    Bytes,
    /// Tokens are text, or one byte each. Holds the replacements and the leading characters still to drop.
    Fallback { replace: Vec<(String, String)>, strip: Option<(char, usize)> },
    /// Anything else: decode a window of tokens and give out what it adds.
    Window { context: VecDeque<u32>, pending: Vec<u32> },
}

/// The state between tokens.
pub struct DecodeStream {
    tokenizer: Rc<Tokenizer>,
    skip_special: bool,
    way: Way,
    /// Bytes whose character is not complete.
    bytes: Vec<u8>,
}

impl DecodeStream {
    /// Starts on an empty text.
    pub fn new(tokenizer: Rc<Tokenizer>, skip_special: bool) -> Self {
        let way = choose(&tokenizer);
        Self { tokenizer, skip_special, way, bytes: Vec::new() }
    }

    /// The text that a token completes; empty for an id that has no token, as a padded vocabulary has them.
    pub fn push(&mut self, id: u32) -> String {
        if self.skip_special && self.tokenizer.is_special(id) {
            return String::new();
        }
        let Some(piece) = self.tokenizer.piece(id) else {
            return String::new();
        };
        match &mut self.way {
            Way::Bytes => {
                self.bytes.extend(piece_bytes(&piece));
                take_characters(&mut self.bytes, false)
            }
            Way::Fallback { replace, strip } => {
                let text = match fallback_byte(&piece) {
                    Some(byte) => {
                        self.bytes.push(byte);
                        take_characters(&mut self.bytes, true)
                    }
                    None => {
                        let mut text = lost(&mut self.bytes);
                        let mut piece = piece;
                        for (pattern, content) in replace.iter() {
                            piece = piece.replace(pattern, content);
                        }
                        text.push_str(&piece);
                        text
                    }
                };
                strip_leading(text, strip)
            }
            Way::Window { context, pending } => {
                pending.push(id);
                push_window(&self.tokenizer, context, pending, self.skip_special, false)
            }
        }
    }

    /// The rest of the text: bytes that no token completed become replacement characters.
    pub fn flush(&mut self) -> String {
        match &mut self.way {
            Way::Bytes => {
                let rest = std::mem::take(&mut self.bytes);
                String::from_utf8_lossy(&rest).into_owned()
            }
            Way::Fallback { strip, .. } => {
                let text = lost(&mut self.bytes);
                strip_leading(text, strip)
            }
            Way::Window { context, pending } => push_window(&self.tokenizer, context, pending, self.skip_special, true),
        }
    }
}

fn choose(tokenizer: &Tokenizer) -> Way {
    let window = || Way::Window { context: VecDeque::new(), pending: Vec::new() };
    let Some(decoding) = tokenizer.decoding() else {
        return window();
    };
    if matches!(decoding.steps(), [DecoderStep::Bytes(_)]) {
        return Way::Bytes;
    }
    let mut replace = Vec::new();
    let mut strip = None;
    let mut stage = 0;
    for step in decoding.steps() {
        stage = match (stage, step) {
            (0, DecoderStep::Replace { pattern, content }) if !pattern.is_empty() => {
                replace.push((pattern.clone(), content.clone()));
                0
            }
            (0, DecoderStep::ByteFallback(_)) => 1,
            (1, DecoderStep::Fuse) => 2,
            (2, DecoderStep::Strip { content, start, stop: 0 }) => {
                strip = Some((*content, *start));
                3
            }
            _ => return window(),
        };
    }
    if stage == 2 || stage == 3 {
        Way::Fallback { replace, strip }
    } else {
        window()
    }
}

/// The bytes that a piece of a byte-level vocabulary spells.
fn piece_bytes(piece: &str) -> Vec<u8> {
    let spelled: Option<Vec<u8>> = piece.chars().map(spelled_byte).collect();
    spelled.unwrap_or_else(|| piece.as_bytes().to_vec())
}

/// The byte that a character spells in GPT-2's alphabet: printable Latin-1 is itself, the other bytes follow from
/// U+0100 on in ascending order.
fn spelled_byte(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code.wrapping_sub(0x100)).ok(),
        0x121..=0x142 => u8::try_from(code.wrapping_sub(0x121).wrapping_add(0x7f)).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The byte of a piece such as `<0xE4>`.
fn fallback_byte(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// Takes all complete characters out of `bytes`. What can be no character becomes one replacement character, or
/// with `each` one for every byte.
fn take_characters(bytes: &mut Vec<u8>, each: bool) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..) {
        let (valid, broken) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid.len(), None),
            Err(error) => (error.valid_up_to(), error.error_len()),
        };
        text.push_str(&String::from_utf8_lossy(rest.get(..valid).unwrap_or_default()));
        at = at.saturating_add(valid);
        let Some(broken) = broken else { break };
        text.extend(std::iter::repeat_n(REPLACEMENT, if each { broken } else { 1 }));
        at = at.saturating_add(broken);
    }
    bytes.drain(..at.min(bytes.len()));
    text
}

/// One replacement character for every byte that waited in vain.
fn lost(bytes: &mut Vec<u8>) -> String {
    std::mem::take(bytes).iter().map(|_| REPLACEMENT).collect()
}

/// Drops characters at the start of the whole text.
fn strip_leading(text: String, strip: &mut Option<(char, usize)>) -> String {
    let Some((content, left)) = strip else {
        return text;
    };
    let mut kept = text.as_str();
    while *left > 0 {
        let Some(rest) = kept.strip_prefix(*content) else { break };
        kept = rest;
        *left = left.saturating_sub(1);
    }
    let kept = kept.to_owned();
    if *left == 0 || !kept.is_empty() {
        *strip = None;
    }
    kept
}

fn push_window(
    tokenizer: &Tokenizer,
    context: &mut VecDeque<u32>,
    pending: &mut Vec<u32>,
    skip_special: bool,
    last: bool,
) -> String {
    let before: Vec<u32> = context.iter().copied().collect();
    let known = tokenizer.decode(&before, skip_special).unwrap_or_default();
    let all = tokenizer.decode(&[before, pending.clone()].concat(), skip_special).unwrap_or_default();
    if all.ends_with(REPLACEMENT) && !last && pending.len() < WINDOW {
        return String::new();
    }
    context.extend(pending.drain(..));
    while context.len() > WINDOW {
        context.pop_front();
    }
    all.strip_prefix(&known).unwrap_or_default().to_owned()
}

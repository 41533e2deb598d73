//! SentencePiece's compiled normalization rules: a double-array trie over UTF-8 bytes whose values point at
//! NUL-terminated replacements.
//!
//! The meaning is that of the `spm_precompiled` crate, grapheme by grapheme; that crate indexes its arrays without
//! a check, so that a hostile map would stop the program.

use crate::error::{CoreError, Result};
use tokenizers::NormalizedString;
use unicode_segmentation::UnicodeSegmentation;

/// Graphemes from this length on are looked up character by character.
const LONG_GRAPHEME_BYTES: usize = 6;

/// A compiled table of replacements.
#[derive(Debug)]
pub struct Charsmap {
    trie: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// Reads the length of the trie in bytes, the trie, and the replacements.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let malformed = |what: &str| CoreError::Malformed(format!("Value of precompiled_charsmap {what}"));
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| malformed("has no length"))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (trie, replacements) =
            rest.split_at_checked(length).ok_or_else(|| malformed("is shorter than its trie"))?;
        let replacements = String::from_utf8(replacements.to_vec()).map_err(|_| malformed("is not UTF-8"))?;
        let trie = trie.chunks_exact(4).filter_map(|unit| unit.try_into().ok()).map(u32::from_le_bytes).collect();
        Ok(Self { trie, replacements })
    }

    fn unit(&self, position: u32) -> Option<u32> {
        self.trie.get(usize::try_from(position).ok()?).copied()
    }

    /// The shortest rule that begins `text`, as the reference takes it.
    fn replacement(&self, text: &str) -> Option<&str> {
        let offset = |unit: u32| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut position = offset(self.unit(0)?);
        for &byte in text.as_bytes() {
            if byte == 0 {
                return None;
            }
            position ^= u32::from(byte);
            let unit = self.unit(position)?;
            if unit & ((1 << 31) | 0xff) != u32::from(byte) {
                return None;
            }
            position ^= offset(unit);
            if (unit >> 8) & 1 == 1 {
                let begin = usize::try_from(self.unit(position)? & 0x7fff_ffff).ok()?;
                let rest = self.replacements.get(begin..)?;
                return rest.split('\0').next();
            }
        }
        None
    }

    /// Applies the rules to a text.
    pub fn normalize(&self, text: &mut NormalizedString) {
        let mut changes: Vec<(char, isize)> = Vec::with_capacity(text.get().len());
        let mut changed = false;
        for grapheme in text.get().graphemes(true) {
            if grapheme.len() < LONG_GRAPHEME_BYTES {
                if let Some(replacement) = self.replacement(grapheme) {
                    changed = true;
                    push_replacement(&mut changes, grapheme, replacement);
                    continue;
                }
            }
            for character in grapheme.chars() {
                let mut buffer = [0; 4];
                let part: &str = character.encode_utf8(&mut buffer);
                if let Some(replacement) = self.replacement(part) {
                    changed = true;
                    push_replacement(&mut changes, part, replacement);
                } else {
                    changes.push((character, 0));
                }
            }
        }
        if changed {
            text.transform(changes, 0);
        }
    }
}

/// Records a replacement with the crate's bookkeeping of how many characters came or went.
fn push_replacement(changes: &mut Vec<(char, isize)>, old: &str, new: &str) {
    let signed = |count: usize| isize::try_from(count).unwrap_or(isize::MAX);
    let gained = signed(new.chars().count()).saturating_sub(signed(old.chars().count()));
    changes.extend(new.chars().map(|character| (character, 0)));
    if gained > 0 {
        changes.iter_mut().rev().take(gained.unsigned_abs()).for_each(|(_, change)| *change = 1);
    } else if let Some((_, change)) = changes.last_mut() {
        *change = change.saturating_add(gained);
    }
}

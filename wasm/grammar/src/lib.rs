//! Grammars of Skein: which tokens may come next, by llguidance, under a JSON Schema, a regular expression or a grammar
//! in Lark's notation.
//!
//! This file alone knows JavaScript.

#![deny(missing_docs)]

pub mod failure;
pub mod matcher;
pub mod vocabulary;

use failure::Failure;
use wasm_bindgen::prelude::*;

/// A JavaScript `Error` with the failure's kind as `code`. One without a code has stopped this module in the middle.
fn thrown(failure: Failure) -> JsValue {
    let thrown = js_sys::Error::new(&failure.message);
    // Setting a property of a fresh Error cannot fail.
    let _ = js_sys::Reflect::set(&thrown, &"code".into(), &failure.code().into());
    thrown.into()
}

/// What a model's tokens spell.
#[wasm_bindgen]
pub struct Vocabulary(vocabulary::Vocabulary);

#[wasm_bindgen]
impl Vocabulary {
    /// Takes the bytes of all tokens, one after the other, with the length of each; 0 for a token that no grammar
    /// allows. One that begins with the byte 0xFF is a special token, which a grammar names as `<name>`. `endIds` are
    /// the tokens that end a text: they are allowed where the grammar is complete.
    #[wasm_bindgen(constructor)]
    pub fn new(
        bytes: &[u8],
        lengths: &[u32],
        #[wasm_bindgen(js_name = endIds)] end_ids: &[u32],
    ) -> Result<Vocabulary, JsValue> {
        vocabulary::Vocabulary::new(bytes, lengths, end_ids).map(Vocabulary).map_err(thrown)
    }

    /// Starts on a grammar: `kind` is `jsonSchema`, whose source is JSON, `regex` or `lark`.
    pub fn matcher(
        &self,
        #[wasm_bindgen(unchecked_param_type = "\"jsonSchema\" | \"regex\" | \"lark\"")] kind: &str,
        source: &str,
    ) -> Result<Matcher, JsValue> {
        matcher::Matcher::new(&self.0, kind, source).map(Matcher).map_err(thrown)
    }
}

/// Where a text stands in its grammar.
#[wasm_bindgen]
pub struct Matcher(matcher::Matcher);

#[wasm_bindgen]
impl Matcher {
    /// The tokens that may come next: bit `i % 32` of word `i / 32` for token `i`. All zero where nothing may.
    pub fn mask(&mut self) -> Result<Box<[u32]>, JsValue> {
        self.0.mask().map(Vec::into_boxed_slice).map_err(thrown)
    }

    /// Takes in the token that came next.
    pub fn accept(&mut self, token: u32) -> Result<(), JsValue> {
        self.0.accept(token).map_err(thrown)
    }

    /// Whether the text is complete and nothing may follow.
    #[wasm_bindgen(getter, js_name = isStopped)]
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }
}

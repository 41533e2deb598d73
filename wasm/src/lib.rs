//! The part of Skein that reads untrusted bytes: checkpoint headers, shard indices and tokenizers.
//!
//! This file alone knows JavaScript. Strings, ids and headers cross the border, tensor data never does.

#![deny(missing_docs)]
// What a file says must never reach code that stops the program.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod charsmap;
pub mod chunking;
pub mod component;
pub mod decoding;
pub mod error;
pub mod ggml_types;
pub mod gguf;
pub mod gguf_reader;
pub mod gguf_tokenizer;
pub mod gguf_value;
pub mod header;
pub mod index;
pub mod normalization;
pub mod pattern;
pub mod pickle;
pub mod pickle_value;
pub mod pre_tokenization;
pub mod safetensors_header;
pub mod sentencepiece;
pub mod spm;
pub mod state_dict;
pub mod stream;
pub mod table;
pub mod tokenizer;
pub mod tokenizer_config;
pub mod tokenizer_json;
pub mod torch;
pub mod vocabulary;
pub mod zip;

use error::CoreError;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// A JavaScript `Error` with the variant's name as `code`.
fn thrown(error: CoreError) -> JsValue {
    let thrown = js_sys::Error::new(error.message());
    // Setting a property of a fresh Error cannot fail.
    let _ = js_sys::Reflect::set(&thrown, &"code".into(), &error.code().into());
    thrown.into()
}

/// Reads the header of a checkpoint file. Does no input or output itself: supply the bytes that `wanted` names until
/// it is undefined, then take the table with `finish`.
#[wasm_bindgen]
pub struct HeaderParser(header::HeaderParser);

#[wasm_bindgen]
impl HeaderParser {
    /// Starts on a file of `fileSize` bytes. `format` is `safetensors`, `gguf` or `torch`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "\"safetensors\" | \"gguf\" | \"torch\"")] format: &str,
        #[wasm_bindgen(js_name = fileName)] file_name: &str,
        #[wasm_bindgen(js_name = fileSize)] file_size: f64,
    ) -> Result<HeaderParser, JsValue> {
        let size = format!("{file_size}")
            .parse::<u64>()
            .map_err(|_| thrown(CoreError::Usage(format!("File size must be a count of bytes: {file_size}"))))?;
        header::HeaderParser::new(format, file_name, size).map(HeaderParser).map_err(thrown)
    }

    /// The range of the file that is wanted next, begin and end in bytes; undefined when the header is complete.
    pub fn wanted(&self) -> Option<Box<[f64]>> {
        let range = self.0.wanted()?;
        // Exact: both ends are within the file, whose size came as a number.
        Some(Box::new([range.start as f64, range.end as f64]))
    }

    /// Supplies the bytes of the wanted range, all of them.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.supply(bytes).map_err(thrown)
    }

    /// The table of tensors as JSON: `{tensors: [{name, dtype, shape, begin, end}], metadata}`.
    pub fn finish(&self) -> Result<String, JsValue> {
        self.0.table().and_then(|table| table.to_json()).map_err(thrown)
    }

    /// The tokenizer in a GGUF file's metadata.
    #[wasm_bindgen(js_name = ggufTokenizer)]
    pub fn gguf_tokenizer(&self) -> Result<Tokenizer, JsValue> {
        self.0.gguf_tokenizer().map(Tokenizer::wrap).map_err(thrown)
    }
}

/// Reads a shard index: `{weight_map: {tensor: file}}` as JSON, every file in the index's own folder.
#[wasm_bindgen(js_name = parseIndex)]
pub fn parse_index(json: &[u8]) -> Result<String, JsValue> {
    let index = index::parse(json).map_err(thrown)?;
    serde_json::to_string(&index)
        .map_err(|error| thrown(CoreError::Malformed(format!("Cannot write the index: {error}"))))
}

/// Text to token ids and back.
#[wasm_bindgen]
pub struct Tokenizer(Rc<tokenizer::Tokenizer>);

impl Tokenizer {
    fn wrap(tokenizer: tokenizer::Tokenizer) -> Self {
        Self(Rc::new(tokenizer))
    }
}

#[wasm_bindgen]
impl Tokenizer {
    /// Builds a tokenizer from `tokenizer.json` and, where there is one, `tokenizer_config.json`.
    #[wasm_bindgen(js_name = fromJson)]
    pub fn from_json(
        #[wasm_bindgen(js_name = tokenizerJson)] tokenizer_json: &[u8],
        #[wasm_bindgen(js_name = tokenizerConfig)] tokenizer_config: Option<Box<[u8]>>,
    ) -> Result<Tokenizer, JsValue> {
        tokenizer_json::build(tokenizer_json, tokenizer_config.as_deref()).map(Self::wrap).map_err(thrown)
    }

    /// Builds a tokenizer from SentencePiece's `tokenizer.model` and, where there is one, `tokenizer_config.json`.
    #[wasm_bindgen(js_name = fromSentencePiece)]
    pub fn from_sentence_piece(
        model: &[u8],
        #[wasm_bindgen(js_name = tokenizerConfig)] tokenizer_config: Option<Box<[u8]>>,
    ) -> Result<Tokenizer, JsValue> {
        sentencepiece::build(model, tokenizer_config.as_deref()).map(Self::wrap).map_err(thrown)
    }

    /// The ids of a text, with BOS and EOS as the tokenizer's config says when `addSpecialTokens` is true.
    pub fn encode(
        &self,
        text: &str,
        #[wasm_bindgen(js_name = addSpecialTokens)] add_special_tokens: bool,
    ) -> Result<Box<[u32]>, JsValue> {
        self.0.encode(text, add_special_tokens).map(Vec::into_boxed_slice).map_err(thrown)
    }

    /// The text of some ids.
    pub fn decode(
        &self,
        ids: &[u32],
        #[wasm_bindgen(js_name = skipSpecialTokens)] skip_special_tokens: bool,
    ) -> Result<String, JsValue> {
        self.0.decode(ids, skip_special_tokens).map_err(thrown)
    }

    /// How the vocabulary spells a token; undefined where an id has none.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.0.piece(id)
    }

    /// One more than the highest id.
    #[wasm_bindgen(getter, js_name = vocabSize)]
    pub fn vocab_size(&self) -> u32 {
        self.0.vocab_size()
    }

    /// The id that begins a text.
    #[wasm_bindgen(getter, js_name = bosId)]
    pub fn bos_id(&self) -> Option<u32> {
        self.0.bos_id()
    }

    /// The id that ends a text.
    #[wasm_bindgen(getter, js_name = eosId)]
    pub fn eos_id(&self) -> Option<u32> {
        self.0.eos_id()
    }

    /// The ids of all special tokens, ascending.
    #[wasm_bindgen(getter, js_name = specialIds)]
    pub fn special_ids(&self) -> Box<[u32]> {
        self.0.special_ids().into_boxed_slice()
    }

    /// The Jinja template that turns messages into a prompt.
    #[wasm_bindgen(getter, js_name = chatTemplate)]
    pub fn chat_template(&self) -> Option<String> {
        self.0.chat_template().map(str::to_owned)
    }

    /// Starts decoding one token at a time.
    pub fn stream(&self, #[wasm_bindgen(js_name = skipSpecialTokens)] skip_special_tokens: bool) -> DecodeStream {
        DecodeStream(stream::DecodeStream::new(Rc::clone(&self.0), skip_special_tokens))
    }
}

/// Decodes one token at a time, giving out every character as soon as its last byte is known.
#[wasm_bindgen]
pub struct DecodeStream(stream::DecodeStream);

#[wasm_bindgen]
impl DecodeStream {
    /// The text that a token completes.
    pub fn push(&mut self, id: u32) -> String {
        self.0.push(id)
    }

    /// The rest of the text; bytes that no token completed become replacement characters.
    pub fn flush(&mut self) -> String {
        self.0.flush()
    }
}

//! Text to token ids and back.

use crate::chunking::Chunking;
use crate::component::library_error;
use crate::decoding::Decoding;
use crate::error::{quote, CoreError, Result};
use crate::normalization::Normalization;
use crate::pre_tokenization::PreTokenization;
use crate::vocabulary::{CheckedModel, MAX_IDS};
use std::collections::HashSet;
use tokenizers::models::ModelWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, TokenizerImpl};

/// Longest text that is encoded.
pub const MAX_TEXT_BYTES: usize = 64 << 20;
/// Longest part of a text that is encoded at once, for which the library takes some 300 MB.
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// The library's tokenizer over our checked parts. Its post-processor stays unused: `Frame` does that work.
type Engine = TokenizerImpl<ModelWrapper, Normalization, PreTokenization, ByteLevel, Decoding>;

/// Ids around every encoded text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Ids before the text, such as BOS.
    pub before: Vec<u32>,
    /// Ids after the text, such as EOS.
    pub after: Vec<u32>,
}

/// Everything that a tokenizer is made of.
pub struct Parts {
    /// The vocabulary and its merges.
    pub model: CheckedModel,
    /// What happens to a text first.
    pub normalization: Normalization,
    /// How it is split.
    pub pre_tokenization: PreTokenization,
    /// How tokens become text.
    pub decoding: Option<Decoding>,
    /// Tokens that are matched before anything else, with their ids.
    pub added: Vec<(u32, AddedToken)>,
    /// Ids around every text.
    pub frame: Frame,
    /// Whether special tokens in a text are text.
    pub split_special: bool,
    /// The id that begins a text.
    pub bos_id: Option<u32>,
    /// The id that ends a text.
    pub eos_id: Option<u32>,
    /// The template that turns messages into a prompt.
    pub chat_template: Option<String>,
}

impl Parts {
    /// Parts with nothing beside a model.
    pub fn new(model: CheckedModel) -> Self {
        Self {
            model,
            normalization: Normalization::default(),
            pre_tokenization: PreTokenization::default(),
            decoding: None,
            added: Vec::new(),
            frame: Frame::default(),
            split_special: false,
            bos_id: None,
            eos_id: None,
            chat_template: None,
        }
    }

    /// The id of a token, added or of the model.
    pub fn token_id(&self, content: &str) -> Option<u32> {
        let added = self.added.iter().find(|(_, token)| token.content == content);
        added.map(|(id, _)| *id).or_else(|| self.model.model.token_to_id(content))
    }

    /// Adds a token, or changes how an added one is matched.
    pub fn add(&mut self, id: u32, token: AddedToken) {
        match self.added.iter_mut().find(|(_, known)| known.content == token.content) {
            Some(known) => *known = (id, token),
            None => self.added.push((id, token)),
        }
    }
}

/// A tokenizer.
pub struct Tokenizer {
    engine: Engine,
    chunking: Chunking,
    frame: Frame,
    special_ids: HashSet<u32>,
    vocab_size: u32,
    bos_id: Option<u32>,
    eos_id: Option<u32>,
    chat_template: Option<String>,
}

impl Tokenizer {
    /// Puts a tokenizer together and checks that every id is what its file says.
    pub fn new(parts: Parts) -> Result<Self> {
        let mut vocab_size = parts.model.size;
        let chunking = Chunking::new(&parts.normalization, &parts.pre_tokenization, &parts.model.model, &parts.added);
        let mut engine = Engine::new(parts.model.model);
        if !parts.normalization.is_empty() {
            engine
                .with_normalizer(Some(parts.normalization))
                .map_err(|error| library_error("Cannot set the normalizer", error))?;
        }
        engine.with_pre_tokenizer(Some(parts.pre_tokenization)).with_decoder(parts.decoding);
        let mut added = parts.added;
        added.sort_by_key(|(id, _)| *id);
        let mut special_ids = HashSet::new();
        for (id, token) in &added {
            if *id >= MAX_IDS {
                return Err(CoreError::OutOfRange(format!(
                    "Id of added token {} is above {MAX_IDS}: {id}",
                    quote(&token.content)
                )));
            }
            if token.special {
                special_ids.insert(*id);
            }
            vocab_size = vocab_size.max(id.saturating_add(1));
        }
        engine
            .add_tokens(added.iter().map(|(_, token)| token.clone()))
            .map_err(|error| library_error("Cannot add the added tokens", error))?;
        check_added(&engine, &added)?;
        engine.set_encode_special_tokens(parts.split_special);
        for id in parts.frame.before.iter().chain(&parts.frame.after).chain(&parts.bos_id).chain(&parts.eos_id) {
            if *id >= vocab_size {
                return Err(CoreError::OutOfRange(format!(
                    "Id of a special token is outside of the vocabulary of {vocab_size}: {id}"
                )));
            }
        }
        let tokenizer = Self {
            engine,
            chunking,
            frame: parts.frame,
            special_ids,
            vocab_size,
            bos_id: parts.bos_id,
            eos_id: parts.eos_id,
            chat_template: parts.chat_template,
        };
        tokenizer.check_failure()?;
        Ok(tokenizer)
    }

    fn check_failure(&self) -> Result<()> {
        match self.engine.get_normalizer().and_then(Normalization::take_failure) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The ids of a text, with the frame (BOS and the like) if asked.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(CoreError::TooLarge(format!("Text is above {MAX_TEXT_BYTES} bytes of UTF-8: {}", text.len())));
        }
        let mut ids = Vec::new();
        if add_special_tokens {
            ids.extend(&self.frame.before);
        }
        for chunk in self.chunking.split(text) {
            self.encode_chunk(chunk, &mut ids)?;
        }
        if add_special_tokens {
            ids.extend(&self.frame.after);
        }
        Ok(ids)
    }

    fn encode_chunk(&self, chunk: &str, ids: &mut Vec<u32>) -> Result<()> {
        if chunk.len() > MAX_CHUNK_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Text has more than {MAX_CHUNK_BYTES} bytes of UTF-8 without a place to cut it between words: {}",
                chunk.len()
            )));
        }
        let encoding = self.engine.encode_fast(chunk, false);
        self.check_failure()?;
        let encoding = encoding.map_err(|error| library_error("Cannot encode this text", error))?;
        ids.extend(encoding.get_ids());
        Ok(())
    }

    /// How long texts are cut up.
    pub fn chunking(&self) -> Chunking {
        self.chunking
    }

    /// The text of some ids.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        if let Some(id) = ids.iter().find(|id| !self.has(**id)) {
            return Err(CoreError::OutOfRange(format!(
                "Token id has no token in the vocabulary of {}: {id}",
                self.vocab_size
            )));
        }
        self.engine.decode(ids, skip_special_tokens).map_err(|error| library_error("Cannot decode these ids", error))
    }

    fn has(&self, id: u32) -> bool {
        id < self.vocab_size && self.engine.id_to_token(id).is_some()
    }

    /// How the vocabulary spells a token.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.engine.id_to_token(id)
    }

    /// How tokens become text, for decoding one at a time.
    pub fn decoding(&self) -> Option<&Decoding> {
        self.engine.get_decoder()
    }

    /// Whether an id is a special token's.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// The ids of all special tokens, ascending.
    pub fn special_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.special_ids.iter().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// The id that begins a text, where the tokenizer has one.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The id that ends a text, where the tokenizer has one.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos_id
    }

    /// The Jinja template that turns messages into a prompt, where the tokenizer has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }
}

/// The library numbers added tokens itself; another number than the file's would feed the model wrong ids.
fn check_added(engine: &Engine, added: &[(u32, AddedToken)]) -> Result<()> {
    for (id, token) in added {
        let given = engine.token_to_id(&token.content);
        if given != Some(*id) {
            let given = given.map_or_else(|| "none".to_owned(), |given| given.to_string());
            return Err(CoreError::Malformed(format!(
                "Added token {} has id {id} in the file, but its place gives it {given}",
                quote(&token.content)
            )));
        }
        if let Some(other) = engine.get_model().id_to_token(*id) {
            if other != token.content {
                return Err(CoreError::Duplicate(format!(
                    "Added token {} has the id of token {}: {id}",
                    quote(&token.content),
                    quote(&other)
                )));
            }
        }
    }
    Ok(())
}

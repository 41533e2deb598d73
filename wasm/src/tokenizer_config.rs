//! `tokenizer_config.json`: which tokens are special, whether BOS and EOS are added, the chat template.
//!
//! Follows transformers (tokenization_utils_tokenizers.py): a config that names `add_bos_token` or `add_eos_token`
//! replaces the file's own frame, and every named special token is matched in text.

use crate::component::{parse, shown};
use crate::error::{quote, CoreError, Result};
use crate::tokenizer::{Frame, Parts};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::AddedToken;

/// Fields that name one special token each.
const NAMED_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Longest file that is read.
const MAX_CONFIG_BYTES: usize = 64 << 20;

/// The fields of a `tokenizer_config.json`.
#[derive(Default)]
pub struct TokenizerConfig {
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(default)]
struct TokenFields {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl Default for TokenFields {
    fn default() -> Self {
        Self {
            content: String::new(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: true,
            special: false,
        }
    }
}

impl From<TokenFields> for AddedToken {
    fn from(fields: TokenFields) -> Self {
        AddedToken::from(fields.content, fields.special)
            .single_word(fields.single_word)
            .lstrip(fields.lstrip)
            .rstrip(fields.rstrip)
            .normalized(fields.normalized)
    }
}

impl TokenizerConfig {
    /// Reads the file, where there is one.
    pub fn new(bytes: Option<&[u8]>) -> Result<Self> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Tokenizer config is above {MAX_CONFIG_BYTES} bytes: {}",
                bytes.len()
            )));
        }
        let fields = serde_json::from_slice(bytes)
            .map_err(|error| CoreError::Malformed(format!("Tokenizer config is not valid: {error}")))?;
        Ok(Self { fields })
    }

    /// A field that is true or false; null is neither.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(CoreError::Malformed(format!("Value of {name} must be true or false: {}", shown(other))))
            }
        }
    }

    /// The text of a special token, which is a string or an object with `content`.
    pub fn token(&self, name: &str) -> Result<Option<&str>> {
        let value = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(token)) => token.get("content").unwrap_or(&Value::Null),
            Some(value) => value,
        };
        match value.as_str() {
            Some(content) => Ok(Some(content)),
            None => Err(CoreError::Malformed(format!("Value of {name} is not a token: {}", shown(value)))),
        }
    }

    /// Applies the config to a tokenizer. `file_has_frame` tells whether the tokenizer's file says itself what
    /// surrounds a text; `adds_bos` is what its class does when nobody says.
    pub fn apply(&self, parts: &mut Parts, file_has_frame: bool, adds_bos: bool) -> Result<()> {
        self.add_declared(parts)?;
        self.add_named(parts)?;
        let id = |parts: &Parts, name: &str| -> Result<Option<u32>> {
            let Some(content) = self.token(name)? else {
                return Ok(None);
            };
            let id = parts.token_id(content).ok_or_else(|| {
                CoreError::OutOfRange(format!("Value of {name} is not in the vocabulary: {}", quote(content)))
            })?;
            Ok(Some(id))
        };
        parts.bos_id = id(parts, "bos_token")?.or(parts.bos_id);
        parts.eos_id = id(parts, "eos_token")?.or(parts.eos_id);
        let explicit = self.fields.contains_key("add_bos_token") || self.fields.contains_key("add_eos_token");
        if explicit || !file_has_frame {
            // `"add_bos_token": null` is a choice too: transformers reads it as false.
            let default = adds_bos && !self.fields.contains_key("add_bos_token");
            let add_bos = self.flag("add_bos_token")?.unwrap_or(default);
            let add_eos = self.flag("add_eos_token")?.unwrap_or(false);
            parts.frame = Frame {
                before: parts.bos_id.filter(|_| add_bos).into_iter().collect(),
                after: parts.eos_id.filter(|_| add_eos).into_iter().collect(),
            };
        }
        parts.split_special = self.flag("split_special_tokens")?.unwrap_or(false);
        if let Some(template) = self.chat_template()? {
            parts.chat_template = Some(template);
        }
        Ok(())
    }

    /// `added_tokens_decoder`: ids and how their tokens are matched.
    fn add_declared(&self, parts: &mut Parts) -> Result<()> {
        let Some(Value::Object(declared)) = self.fields.get("added_tokens_decoder") else {
            return Ok(());
        };
        for (id, token) in declared {
            let id: u32 = id.parse().map_err(|_| {
                CoreError::OutOfRange(format!("Id in added_tokens_decoder is not an id: {}", quote(id)))
            })?;
            let fields: TokenFields = parse("added_tokens_decoder", token.clone())?;
            parts.add(id, fields.into());
        }
        Ok(())
    }

    /// Special tokens that the vocabulary has and nothing marks as special yet.
    fn add_named(&self, parts: &mut Parts) -> Result<()> {
        let mut names = Vec::new();
        for name in NAMED_TOKENS {
            names.extend(self.token(name)?.map(str::to_owned));
        }
        for list in ["additional_special_tokens", "extra_special_tokens"] {
            if let Some(Value::Array(tokens)) = self.fields.get(list) {
                let content =
                    |token: &Value| token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned);
                names.extend(tokens.iter().filter_map(content));
            }
        }
        for name in names {
            let special = parts.added.iter().any(|(_, token)| token.content == name && token.special);
            if let (false, Some(id)) = (special, parts.token_id(&name)) {
                parts.add(id, AddedToken::from(name, true));
            }
        }
        Ok(())
    }

    /// A string, or a list of named templates of which `default` is taken.
    fn chat_template(&self) -> Result<Option<String>> {
        match self.fields.get("chat_template") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(template)) => Ok(Some(template.clone())),
            Some(Value::Array(templates)) => {
                let named = templates.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
                Ok(named.and_then(|entry| entry.get("template")?.as_str()).map(str::to_owned))
            }
            Some(other) => {
                Err(CoreError::Malformed(format!("Value of chat_template is not a template: {}", shown(other))))
            }
        }
    }
}

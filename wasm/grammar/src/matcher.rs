//! A text on its way through a grammar.

use crate::failure::{Failure, Kind};
use crate::vocabulary::Vocabulary;
use llguidance::api::{StopReason, TopLevelGrammar};
use serde_json::{json, Value};

/// White space that JSON may have between its parts. Without a bound a model that is unsure never gets past it.
const JSON_SPACE: &str = r"( |\n[ \t]{0,16})";

/// The key at the top of a schema that llguidance takes options from.
const OPTIONS: &str = "x-guidance";

/// See the module's description.
pub struct Matcher {
    matcher: llguidance::Matcher,
    size: usize,
    is_complete: bool,
}

fn schema_grammar(source: &str) -> Result<TopLevelGrammar, Failure> {
    let mut schema: Value = serde_json::from_str(source)
        .map_err(|error| Failure::new(Kind::Invalid, format!("the schema is no JSON that can be read: {error}")))?;
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    if let Some(object) = schema.as_object_mut() {
        let options = json!({ "whitespace_pattern": JSON_SPACE });
        // With options of its own a schema could have keywords passed over.
        if object.insert(OPTIONS.to_owned(), options).is_some() {
            let message =
                format!("the schema has {OPTIONS}, which sets how it is read and is not the caller's; omit it");
            return Err(Failure::new(Kind::Invalid, message));
        }
    }
    Ok(TopLevelGrammar::from_json_schema(schema))
}

fn no_token() -> Failure {
    Failure::new(Kind::NoToken, "no token of the model continues its text")
}

impl Matcher {
    /// Starts on a grammar.
    pub fn new(vocabulary: &Vocabulary, kind: &str, source: &str) -> Result<Self, Failure> {
        let grammar = match kind {
            "jsonSchema" => schema_grammar(source)?,
            "regex" => TopLevelGrammar::from_regex(source),
            "lark" => TopLevelGrammar::from_lark(source.to_owned()),
            _ => return Err(Failure::new(Kind::Invalid, format!("there is no kind of grammar {kind}"))),
        };
        let parser =
            vocabulary.factory().create_parser(grammar).map_err(|error| Failure::told(&format!("{error:#}")))?;
        let matcher = llguidance::Matcher::new(Ok(parser));
        Ok(Self { matcher, size: vocabulary.size(), is_complete: false })
    }

    /// The tokens that may come next, a bit for each; all zero where the text is complete.
    pub fn mask(&mut self) -> Result<Vec<u32>, Failure> {
        let n_words = self.size.div_ceil(32);
        if self.is_stopped() {
            self.check()?;
            return Ok(vec![0; n_words]);
        }
        let is_whole = self.matcher.is_accepting().map_err(|error| Failure::told(&error.to_string()))?;
        let allowed = self.matcher.compute_mask().map_err(|error| match error.to_string() {
            // What llguidance says where nothing follows and the text is not whole, as under a rule that only names itself.
            message if message.starts_with("NoExtension") => no_token(),
            message => Failure::told(&message),
        })?;
        self.check()?;
        let mut words = allowed.as_slice().to_vec();
        words.resize(n_words, 0);
        if let (Some(last), used @ 1..) = (words.last_mut(), self.size % 32) {
            *last &= (1 << used) - 1;
        }
        if words.iter().all(|word| *word == 0) {
            if !is_whole {
                return Err(no_token());
            }
            self.is_complete = true;
        }
        Ok(words)
    }

    /// Takes in the token that came next.
    pub fn accept(&mut self, token: u32) -> Result<(), Failure> {
        self.matcher.consume_token(token).map_err(|error| Failure::told(&error.to_string()))?;
        self.check()
    }

    /// Whether the text is complete and nothing may follow.
    pub fn is_stopped(&self) -> bool {
        self.is_complete || self.matcher.is_stopped()
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(error) = self.matcher.get_error() {
            return Err(Failure::told(&error));
        }
        match self.matcher.stop_reason() {
            StopReason::LexerTooComplex | StopReason::ParserTooComplex => {
                Err(Failure::new(Kind::TooComplex, "what may follow here takes too long to find"))
            }
            StopReason::InternalError => Err(Failure::new(Kind::TooComplex, "it cannot be followed any further")),
            _ => Ok(()),
        }
    }
}

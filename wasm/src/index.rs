//! `model.safetensors.index.json` and `pytorch_model.bin.index.json`: which shard holds which tensor.

use crate::error::{quote, CoreError, Result};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Longest index that is read.
const MAX_INDEX_BYTES: usize = 64 << 20;
/// Most shards of one checkpoint.
const MAX_SHARDS: usize = 10_000;

/// The file of every tensor.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShardIndex {
    /// File names by tensor name.
    pub weight_map: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an index")]
struct Document {
    weight_map: WeightMap,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
}

struct WeightMap {
    entries: BTreeMap<String, String>,
    duplicate: Option<String>,
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WeightMap;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of file names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<WeightMap, A::Error> {
                let mut read = WeightMap { entries: BTreeMap::new(), duplicate: None };
                while let Some((tensor, file)) = map.next_entry::<String, String>()? {
                    if read.entries.insert(tensor.clone(), file).is_some() {
                        read.duplicate.get_or_insert(tensor);
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads an index whose file names all lie in the index's own folder.
pub fn parse(json: &[u8]) -> Result<ShardIndex> {
    if json.len() > MAX_INDEX_BYTES {
        return Err(CoreError::TooLarge(format!("Index is above {MAX_INDEX_BYTES} bytes: {}", json.len())));
    }
    let document: Document =
        serde_json::from_slice(json).map_err(|error| CoreError::Malformed(format!("Index is not valid: {error}")))?;
    let WeightMap { entries, duplicate } = document.weight_map;
    if let Some(tensor) = duplicate {
        return Err(CoreError::Duplicate(format!("Index holds the tensor {} twice", quote(&tensor))));
    }
    if entries.is_empty() {
        return Err(CoreError::Malformed("Index holds no tensors: weight_map is empty".to_owned()));
    }
    let mut shards = HashSet::new();
    for (tensor, file) in &entries {
        if shards.insert(file.as_str()) {
            check_file_name(tensor, file)?;
        }
    }
    if shards.len() > MAX_SHARDS {
        return Err(CoreError::TooLarge(format!("Index names more than {MAX_SHARDS} files: {}", shards.len())));
    }
    Ok(ShardIndex { weight_map: entries })
}

/// Refuses whatever could lead out of the folder on any system.
fn check_file_name(tensor: &str, file: &str) -> Result<()> {
    let forbidden = |character: char| matches!(character, '/' | '\\' | ':') || character.is_control();
    if file.is_empty() || file.len() > 255 || file.starts_with('.') || file.contains(forbidden) {
        return Err(CoreError::OutOfRange(format!(
            "File of tensor {} is not a plain file name in the index's folder: {}",
            quote(tensor),
            quote(file)
        )));
    }
    Ok(())
}

//! The tensors of an unpickled state dict, by name.

use crate::error::{quote, CoreError, Result};
use crate::pickle_value::{Node, NodeId, PickledTensor, Unpickled};
use std::collections::HashSet;

/// Dicts inside of dicts.
const MAX_DEPTH: usize = 8;
/// Values of dicts that are looked at; a dict may occur in many places.
const MAX_VISITS: usize = 1_000_000;
/// Longest name of a tensor.
const MAX_NAME_BYTES: usize = 4096;
/// Names of a dict that holds the whole state dict and adds nothing to its names.
const WRAPPERS: [&str; 2] = ["state_dict", "module"];

/// All tensors of a state dict by name. Dicts inside of dicts join their names with dots, except for one that only
/// wraps the state dict.
pub fn collect(unpickled: &Unpickled) -> Result<Vec<(String, PickledTensor)>> {
    let mut root = unpickled.root;
    let mut visits = 0;
    for _ in 0..MAX_DEPTH {
        match wrapped(unpickled, root) {
            Some(inner) => root = inner,
            None => break,
        }
    }
    if !matches!(unpickled.nodes.get(root), Some(Node::Dict(_))) {
        return Err(CoreError::Malformed("Pickle is no state dict: it does not hold a dict".to_owned()));
    }
    let mut found = Vec::new();
    walk(unpickled, root, "", 0, &mut visits, &mut found)?;
    let mut names = HashSet::new();
    for (name, _) in &found {
        if !names.insert(name.as_str()) {
            return Err(CoreError::Duplicate(format!("State dict holds the tensor {} twice", quote(name))));
        }
    }
    if found.is_empty() {
        return Err(CoreError::Malformed("State dict holds no tensors".to_owned()));
    }
    Ok(found)
}

/// The dict inside of a dict that has no tensor of its own and this one dict under a wrapper's name.
fn wrapped(unpickled: &Unpickled, id: NodeId) -> Option<NodeId> {
    let Node::Dict(items) = unpickled.nodes.get(id)? else {
        return None;
    };
    let mut inner = None;
    for (key, value) in items {
        match (unpickled.nodes.get(*key)?, unpickled.nodes.get(*value)?) {
            (_, Node::Tensor(_)) => return None,
            (Node::Text(key), Node::Dict(_)) if WRAPPERS.contains(&key.as_str()) => inner = Some(*value),
            _ => {}
        }
    }
    inner
}

fn walk(
    unpickled: &Unpickled,
    id: NodeId,
    prefix: &str,
    depth: usize,
    visits: &mut usize,
    found: &mut Vec<(String, PickledTensor)>,
) -> Result<()> {
    let Some(Node::Dict(items)) = unpickled.nodes.get(id) else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err(CoreError::TooLarge(format!(
            "Dicts of the state dict are nested more than {MAX_DEPTH} deep at {}",
            quote(prefix)
        )));
    }
    for (key, value) in items {
        *visits = visits.saturating_add(1);
        if *visits > MAX_VISITS {
            return Err(CoreError::TooLarge(format!("State dict holds more than {MAX_VISITS} values")));
        }
        let key = match unpickled.nodes.get(*key) {
            Some(Node::Text(key)) => key.clone(),
            Some(Node::Int(key)) => key.to_string(),
            _ => continue,
        };
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        if name.len() > MAX_NAME_BYTES {
            return Err(CoreError::TooLarge(format!(
                "Name of a tensor is above {MAX_NAME_BYTES} bytes: {}",
                quote(&name)
            )));
        }
        match unpickled.nodes.get(*value) {
            Some(Node::Tensor(tensor)) => found.push((name, tensor.as_ref().clone())),
            Some(Node::Dict(_)) => walk(unpickled, *value, &name, depth.saturating_add(1), visits, found)?,
            _ => {}
        }
    }
    Ok(())
}

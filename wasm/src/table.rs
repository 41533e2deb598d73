//! What every header parser ends with: where each tensor lies in the file, and the file's metadata.

use crate::error::{quote, CoreError, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// Largest integer that a JavaScript number holds exactly. File sizes come from JavaScript.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorEntry {
    /// The name in the file, unique within it.
    pub name: String,
    /// Element or block type, as safetensors or ggml spells it.
    pub dtype: &'static str,
    /// Dimensions in elements, outermost first.
    pub shape: Vec<u64>,
    /// First byte, counted from the start of the file.
    pub begin: u64,
    /// First byte after the tensor.
    pub end: u64,
}

/// All tensors of a file and what it says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TensorTable {
    /// In the order of the file.
    pub tensors: Vec<TensorEntry>,
    /// Keys and values, in the order of the file.
    pub metadata: Map<String, Value>,
}

impl TensorTable {
    /// The table as JSON text.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| CoreError::Malformed(format!("Cannot write the tensor table: {error}")))
    }
}

/// Number of elements of a shape, or an error that names the tensor when the product overflows.
pub fn element_count(name: &str, shape: &[u64]) -> Result<u64> {
    let product = shape.iter().try_fold(1u64, |count, &size| {
        if size > MAX_SAFE_INTEGER {
            return None;
        }
        count.checked_mul(size)
    });
    product.ok_or_else(|| CoreError::TooLarge(format!("Shape of tensor {} overflows: {shape:?}", quote(name))))
}

/// Checks that no two tensors share a byte and that all lie in `begin..end` of the file.
pub fn check_disjoint(tensors: &[TensorEntry], begin: u64, end: u64) -> Result<()> {
    let mut order: Vec<&TensorEntry> = tensors.iter().collect();
    order.sort_by_key(|tensor| (tensor.begin, tensor.end));
    let mut previous: Option<&TensorEntry> = None;
    for tensor in order {
        if tensor.begin < begin || tensor.begin > tensor.end || tensor.end > end {
            return Err(CoreError::OutOfRange(format!(
                "Tensor {} lies outside of the file: bytes {} to {}, the data is at {begin} to {end}",
                quote(&tensor.name),
                tensor.begin,
                tensor.end
            )));
        }
        if let Some(before) = previous {
            if tensor.begin < before.end {
                return Err(CoreError::Overlap(format!(
                    "Tensors {} and {} overlap: the first ends at byte {}, the second begins at byte {}",
                    quote(&before.name),
                    quote(&tensor.name),
                    before.end,
                    tensor.begin
                )));
            }
        }
        if tensor.end > tensor.begin {
            previous = Some(tensor);
        }
    }
    Ok(())
}

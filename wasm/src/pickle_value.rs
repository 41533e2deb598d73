//! The values that a pickle of tensors is made of, and what torch.save means by them.

use crate::error::{quote, CoreError, Result};

/// Longest key of a storage; torch.save counts them from 0.
const MAX_KEY_BYTES: usize = 128;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// A value, by its position in the list of all.
pub type NodeId = usize;

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.FloatStorage` and the like, with the dtype as safetensors spells it.
    Storage(&'static str),
}

impl Global {
    /// The name of a module's member, or an error that says it.
    pub fn new(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::Storage("F32"),
            ("torch", "HalfStorage") => Self::Storage("F16"),
            ("torch", "BFloat16Storage") => Self::Storage("BF16"),
            ("torch", "DoubleStorage") => Self::Storage("F64"),
            ("torch", "LongStorage") => Self::Storage("I64"),
            ("torch", "IntStorage") => Self::Storage("I32"),
            ("torch", "ShortStorage") => Self::Storage("I16"),
            ("torch", "CharStorage") => Self::Storage("I8"),
            ("torch", "ByteStorage") | ("torch.storage", "UntypedStorage") => Self::Storage("U8"),
            ("torch", "BoolStorage") => Self::Storage("BOOL"),
            _ => {
                return Err(CoreError::Forbidden(format!(
                    "Pickle names {}, which a state dict does not need",
                    quote(&format!("{module}.{name}"))
                )))
            }
        })
    }
}

/// A tensor as the pickle describes it, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickledTensor {
    /// Element type, as safetensors spells it.
    pub dtype: &'static str,
    /// Which file of the archive holds its storage.
    pub storage: String,
    /// Elements of the storage.
    pub storage_elements: u64,
    /// First element in the storage.
    pub offset: u64,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Distance of neighbours in each dimension.
    pub stride: Vec<u64>,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Node {
    /// Something that a state dict may carry and Skein has no use for: none, bools, floats, bytes.
    Other,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A list.
    List(Vec<NodeId>),
    /// A dict, in order.
    Dict(Vec<(NodeId, NodeId)>),
    /// A name.
    Global(Global),
    /// A storage: dtype, key, elements.
    Storage(&'static str, String, u64),
    /// A tensor.
    Tensor(Box<PickledTensor>),
}

/// The values of a pickle and which one is the whole.
pub struct Unpickled {
    /// All values.
    pub nodes: Vec<Node>,
    /// The position of the whole.
    pub root: NodeId,
}

/// The value at a position.
pub fn node(nodes: &[Node], id: NodeId) -> &Node {
    nodes.get(id).unwrap_or(&Node::Other)
}

/// The storage that `("storage", torch.FloatStorage, key, location, elements)` is.
pub fn storage(nodes: &[Node], id: NodeId) -> Option<Node> {
    let Node::Tuple(fields) = node(nodes, id) else {
        return None;
    };
    let [kind, global, key, _, elements] = fields.as_slice() else {
        return None;
    };
    match (node(nodes, *kind), node(nodes, *global), node(nodes, *key), node(nodes, *elements)) {
        (Node::Text(kind), Node::Global(Global::Storage(dtype)), Node::Text(key), Node::Int(elements))
            if kind == "storage" && key.len() <= MAX_KEY_BYTES =>
        {
            Some(Node::Storage(dtype, key.clone(), u64::try_from(*elements).ok()?))
        }
        _ => None,
    }
}

/// The items of an `OrderedDict` made of nothing, or of one list of pairs.
pub fn ordered_items(nodes: &[Node], arguments: &[NodeId]) -> Option<Vec<(NodeId, NodeId)>> {
    let pairs = match arguments {
        [] => return Some(Vec::new()),
        [list] => match node(nodes, *list) {
            Node::List(pairs) | Node::Tuple(pairs) => pairs,
            _ => return None,
        },
        _ => return None,
    };
    let pair = |id: &NodeId| match node(nodes, *id) {
        Node::Tuple(pair) | Node::List(pair) if pair.len() == 2 => Some((*pair.first()?, *pair.last()?)),
        _ => None,
    };
    pairs.iter().map(pair).collect()
}

/// The tensor of `(storage, offset, size, stride, requires_grad, backward_hooks, ...)`.
pub fn tensor(nodes: &[Node], arguments: &[NodeId]) -> Option<PickledTensor> {
    let [storage, offset, shape, stride, ..] = arguments else {
        return None;
    };
    let Node::Storage(dtype, key, elements) = node(nodes, *storage) else {
        return None;
    };
    let number = |id: &NodeId| match node(nodes, *id) {
        Node::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let numbers = |id: &NodeId| match node(nodes, *id) {
        Node::Tuple(ids) if ids.len() <= MAX_DIMENSIONS => ids.iter().map(number).collect::<Option<Vec<u64>>>(),
        _ => None,
    };
    let (shape, stride) = (numbers(shape)?, numbers(stride)?);
    if shape.len() != stride.len() {
        return None;
    }
    Some(PickledTensor {
        dtype,
        storage: key.clone(),
        storage_elements: *elements,
        offset: number(offset)?,
        shape,
        stride,
    })
}

//! Reads the pickle of a torch state dict without running anything: a list of allowed names, no objects, no calls.
//!
//! Follows Python's pickletools for protocols 2 to 5, as far as torch.save uses them. Values live in one list and
//! refer to each other by position, so that a pickle's loops and depth cost nothing. Memory is bounded by `MAX_NODES`.

use crate::error::{CoreError, Result};
use crate::pickle_value::{node, ordered_items, storage, tensor, Global, Node, NodeId, Unpickled};
use std::collections::HashMap;

/// Most values of one pickle; a state dict takes about 20 for a tensor.
const MAX_NODES: usize = 2_000_000;

enum Item {
    Value(NodeId),
    Mark,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Item>,
    memo: HashMap<u64, NodeId>,
    /// Elements copied out of lists that a pickle can repeat at no cost to itself.
    copied: usize,
}

/// Reads a pickle.
pub fn unpickle(bytes: &[u8]) -> Result<Unpickled> {
    let mut machine = Machine { bytes, at: 0, nodes: Vec::new(), stack: Vec::new(), memo: HashMap::new(), copied: 0 };
    let root = machine.run()?;
    Ok(Unpickled { nodes: machine.nodes, root })
}

impl Machine<'_> {
    fn malformed(&self, what: &str) -> CoreError {
        CoreError::Malformed(format!("Pickle is not valid at byte {}: {what}", self.at))
    }

    fn take(&mut self, count: u64) -> Result<&[u8]> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let Some(taken) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(CoreError::Truncated(format!("Pickle ends inside of a value at byte {}", self.at)));
        };
        self.at = self.at.saturating_add(taken.len());
        Ok(taken)
    }

    fn number(&mut self, count: u64) -> Result<u64> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// A number of up to 8 bytes with its sign in the last one.
    fn signed(&mut self, count: u64) -> Result<i64> {
        if count > 8 {
            return Err(self.malformed("a number has more than 8 bytes"));
        }
        let bytes = self.take(count)?;
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut whole = [fill; 8];
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(i64::from_le_bytes(whole))
    }

    fn text(&mut self, count: u64) -> Result<String> {
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.malformed("text is not UTF-8"))
    }

    fn line(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.malformed("a name does not end"));
        };
        let line = self.text(u64::try_from(length).unwrap_or(u64::MAX))?;
        self.take(1)?;
        Ok(line)
    }

    fn add(&mut self, node: Node) -> Result<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            return Err(CoreError::TooLarge(format!("Pickle holds more than {MAX_NODES} values")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len().saturating_sub(1))
    }

    fn push(&mut self, node: Node) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(Item::Value(id));
        Ok(())
    }

    fn pop(&mut self) -> Result<NodeId> {
        match self.stack.pop() {
            Some(Item::Value(id)) => Ok(id),
            _ => Err(self.malformed("the stack is empty")),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.pop()?);
        }
        values.reverse();
        Ok(values)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>> {
        let mut values = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Item::Value(id)) => values.push(id),
                Some(Item::Mark) => break,
                None => return Err(self.malformed("there is no mark on the stack")),
            }
        }
        values.reverse();
        Ok(values)
    }

    fn node(&self, id: NodeId) -> &Node {
        node(&self.nodes, id)
    }

    fn top(&mut self) -> Result<&mut Node> {
        let Some(Item::Value(id)) = self.stack.last() else {
            return Err(self.malformed("the stack is empty"));
        };
        let id = *id;
        let error = self.malformed("the stack is empty");
        self.nodes.get_mut(id).ok_or(error)
    }

    fn run(&mut self) -> Result<NodeId> {
        loop {
            let opcode = self.take(1)?.first().copied().unwrap_or(0);
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => {
                let protocol = self.number(1)?;
                if !(2..=5).contains(&protocol) {
                    return Err(CoreError::Unsupported(format!("Pickle protocol must be 2 to 5: {protocol}")));
                }
                Ok(())
            }
            0x95 => self.number(8).map(drop),
            b'(' => {
                self.stack.push(Item::Mark);
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'}' => self.push(Node::Dict(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            b'J' => self.signed(4).and_then(|number| self.push(Node::Int(number))),
            b'K' => self.number(1).and_then(|number| self.push(Node::Int(i64::try_from(number).unwrap_or(0)))),
            b'M' => self.number(2).and_then(|number| self.push(Node::Int(i64::try_from(number).unwrap_or(0)))),
            0x8a => {
                let count = self.number(1)?;
                self.signed(count).and_then(|number| self.push(Node::Int(number)))
            }
            b'G' => self.number(8).and_then(|_| self.push(Node::Other)),
            b'X' | 0x8c | 0x8d => {
                let count = self.number(match opcode {
                    b'X' => 4,
                    0x8c => 1,
                    _ => 8,
                })?;
                self.text(count).and_then(|text| self.push(Node::Text(text)))
            }
            b'B' | b'C' | 0x8e => {
                let count = self.number(match opcode {
                    b'B' => 4,
                    b'C' => 1,
                    _ => 8,
                })?;
                self.take(count)?;
                self.push(Node::Other)
            }
            b'q' | b'r' => {
                let slot = self.number(if opcode == b'q' { 1 } else { 4 })?;
                self.remember(slot)
            }
            0x94 => self.remember(u64::try_from(self.memo.len()).unwrap_or(u64::MAX)),
            b'h' | b'j' => {
                let slot = self.number(if opcode == b'h' { 1 } else { 4 })?;
                let Some(id) = self.memo.get(&slot).copied() else {
                    return Err(self.malformed(&format!("nothing is remembered as {slot}")));
                };
                self.stack.push(Item::Value(id));
                Ok(())
            }
            0x85..=0x87 => {
                let values = self.pop_many(usize::from(opcode.wrapping_sub(0x84)))?;
                self.push(Node::Tuple(values))
            }
            b't' => self.pop_to_mark().and_then(|values| self.push(Node::Tuple(values))),
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            b'e' => self.pop_to_mark().and_then(|values| self.append(values)),
            b's' => {
                let values = self.pop_many(2)?;
                self.set_items(&values)
            }
            b'u' => self.pop_to_mark().and_then(|values| self.set_items(&values)),
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Node::Global(Global::new(&module, &name)?))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) = (self.node(module), self.node(name)) else {
                    return Err(self.malformed("a name is not text"));
                };
                let global = Global::new(module, name)?;
                self.push(Node::Global(global))
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = storage(&self.nodes, id)
                    .ok_or_else(|| self.malformed("a storage is not described as torch.save does"))?;
                self.push(storage)
            }
            b'R' => self.reduce(),
            b'b' => {
                self.pop()?;
                match self.top()? {
                    // The attributes of a state dict hold versions of modules, which weights do not need.
                    Node::Dict(_) => Ok(()),
                    _ => Err(CoreError::Forbidden("Pickle sets the state of an object that is no dict".to_owned())),
                }
            }
            other => Err(CoreError::Forbidden(format!(
                "Pickle uses the opcode {other:#04x} at byte {}, which a state dict does not need",
                self.at
            ))),
        }
    }

    fn remember(&mut self, slot: u64) -> Result<()> {
        let Some(Item::Value(id)) = self.stack.last() else {
            return Err(self.malformed("there is nothing to remember"));
        };
        self.memo.insert(slot, *id);
        if self.memo.len() > MAX_NODES {
            return Err(CoreError::TooLarge(format!("Pickle remembers more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn append(&mut self, values: Vec<NodeId>) -> Result<()> {
        let error = self.malformed("values are appended to what is no list");
        match self.top()? {
            Node::List(list) => {
                list.extend(values);
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn set_items(&mut self, values: &[NodeId]) -> Result<()> {
        let error = self.malformed("items are set in what is no dict");
        match self.top()? {
            Node::Dict(items) if values.len().is_multiple_of(2) => {
                items.extend(values.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?))));
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Node::Global(callable) = *self.node(callable) else {
            return Err(CoreError::Forbidden("Pickle calls a value that is no name".to_owned()));
        };
        let Node::Tuple(arguments) = self.node(arguments) else {
            return Err(self.malformed("the arguments of a call are no tuple"));
        };
        match callable {
            Global::OrderedDict => {
                let items = ordered_items(&self.nodes, arguments)
                    .ok_or_else(|| self.malformed("an OrderedDict is not made of pairs"))?;
                self.copied = self.copied.saturating_add(items.len());
                if self.copied > MAX_NODES {
                    return Err(CoreError::TooLarge(format!("Pickle copies more than {MAX_NODES} values")));
                }
                self.push(Node::Dict(items))
            }
            Global::RebuildTensor => {
                let tensor = tensor(&self.nodes, arguments)
                    .ok_or_else(|| self.malformed("a tensor is not described as torch.save does"))?;
                self.push(Node::Tensor(Box::new(tensor)))
            }
            Global::RebuildParameter => {
                let tensor = arguments.first().copied().filter(|id| matches!(self.node(*id), Node::Tensor(_)));
                let Some(tensor) = tensor else {
                    return Err(self.malformed("a parameter holds no tensor"));
                };
                self.stack.push(Item::Value(tensor));
                Ok(())
            }
            Global::Storage(dtype) => Err(CoreError::Forbidden(format!("Pickle calls the storage type of {dtype}"))),
        }
    }
}

//! Pickles, as far as they describe dictionaries of tensors.
//!
//! In → out: the bytes of a pickle → its values in one table, without executing anything.
//!
//! Opcodes: Python's `pickletools` (protocols 2 to 5). Values refer to each other by their place in the table, so sharing
//! costs nothing, nothing is dropped recursively, and memory is in proportion to the bytes that were read.

use std::collections::HashMap;

use super::ForeignError;

/// Most values of a pickle: enough for some ten thousand tensors.
const MOST_VALUES: usize = 1 << 18;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// The place of a value in the table.
pub type Handle = usize;

/// The element of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Numbers that lie outside the pickle. How many they are, where they lie says better.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    /// What they are.
    pub element: Element,
    /// Their name.
    pub key: &'a str,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The numbers.
    pub storage: Storage<'a>,
    /// The first element.
    pub offset: usize,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements from one to the next along each axis.
    pub stride: Vec<usize>,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Nothing, or what has no meaning here.
    Opaque,
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(&'a str),
    /// A name of something in a module.
    Global(&'a str, &'a str),
    /// A tuple or list.
    List(Vec<Handle>),
    /// A dictionary, in order.
    Dict(Vec<(Handle, Handle)>),
    /// Numbers outside.
    Storage(Storage<'a>),
    /// A tensor.
    Tensor(View<'a>),
}

/// A pickle that was read.
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The value that it is of.
    pub root: Handle,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that begins at `at`, and moves `at` behind it.
    pub fn read(bytes: &'a [u8], at: &mut usize) -> Result<Self, ForeignError> {
        let mut machine = Machine {
            bytes,
            at: *at,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        };
        let root = machine.run()?;
        *at = machine.at;
        Ok(Self { values: machine.values, root })
    }

    /// Bytes of an element of each storage, by the name of the storage.
    pub fn storages(&self) -> HashMap<&'a str, usize> {
        let storages = self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some((storage.key, storage.element.size())),
            _ => None,
        });
        storages.collect()
    }

    /// The value at a place.
    pub fn value(&self, handle: Handle) -> &Value<'a> {
        &self.values[handle]
    }
}

fn damaged(what: &str) -> ForeignError {
    ForeignError::Damaged(format!("pickle: {what}"))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Handle>,
    marks: Vec<usize>,
    memo: HashMap<u32, Handle>,
    copied: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ForeignError> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let part = &self.bytes[self.at..end.ok_or_else(|| damaged("it ends too early"))?];
        self.at += length;
        Ok(part)
    }

    fn number<const N: usize>(&mut self) -> Result<usize, ForeignError> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| damaged("a length is beyond all bounds"))
    }

    fn line(&mut self) -> Result<&'a str, ForeignError> {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| damaged("a line has no end"))?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| damaged("a name is not UTF-8"))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), ForeignError> {
        if self.values.len() >= MOST_VALUES {
            return Err(damaged(&format!("more than {MOST_VALUES} values")));
        }
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
        Ok(())
    }

    fn pop(&mut self) -> Result<Handle, ForeignError> {
        // What lies below a mark belongs to someone else.
        if self.marks.last().is_some_and(|&mark| self.stack.len() <= mark) {
            return Err(damaged("its stack is empty"));
        }
        self.stack.pop().ok_or_else(|| damaged("its stack is empty"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Handle>, ForeignError> {
        let mark = self.marks.pop().ok_or_else(|| damaged("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Handle, ForeignError> {
        self.stack.last().copied().ok_or_else(|| damaged("its stack is empty"))
    }

    fn push_tuple(&mut self, length: usize) -> Result<(), ForeignError> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::List(items))
    }

    fn push_text(&mut self, length: usize) -> Result<(), ForeignError> {
        let bytes = self.take(length)?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Opaque, Value::Text))
    }

    fn append(&mut self, mut items: Vec<Handle>) -> Result<(), ForeignError> {
        let list = self.top()?;
        if let Value::List(list) = &mut self.values[list] {
            list.append(&mut items);
        }
        Ok(())
    }

    fn set(&mut self, items: &[Handle]) -> Result<(), ForeignError> {
        let dict = self.top()?;
        if let Value::Dict(dict) = &mut self.values[dict] {
            dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Result<(), ForeignError> {
        let index = u32::try_from(index).map_err(|_| damaged("a reference is beyond all bounds"))?;
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), ForeignError> {
        let found = u32::try_from(index).ok().and_then(|index| self.memo.get(&index));
        let found = *found.ok_or_else(|| damaged("a reference leads nowhere"))?;
        if self.stack.len() >= MOST_VALUES {
            return Err(damaged(&format!("more than {MOST_VALUES} values")));
        }
        self.stack.push(found);
        Ok(())
    }

    fn run(&mut self) -> Result<Handle, ForeignError> {
        loop {
            match self.take(1)?[0] {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => {
                    if self.marks.len() >= MOST_VALUES {
                        return Err(damaged("too many marks"));
                    }
                    self.marks.push(self.stack.len());
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_mark()?),
                b'2' => {
                    let top = self.top()?;
                    self.stack.push(top);
                }
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b']' | b')' => self.push(Value::List(Vec::new()))?,
                b'q' => {
                    let index = self.number::<1>()?;
                    self.remember(index)?;
                }
                b'r' => {
                    let index = self.number::<4>()?;
                    self.remember(index)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' => {
                    let index = self.number::<1>()?;
                    self.recall(index)?;
                }
                b'j' => {
                    let index = self.number::<4>()?;
                    self.recall(index)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(module, name))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let value = match (&self.values[module], &self.values[name]) {
                        (Value::Text(module), Value::Text(name)) => Value::Global(module, name),
                        _ => return Err(damaged("a name is no text")),
                    };
                    self.push(value)?;
                }
                b'X' | b'T' => {
                    let length = self.number::<4>()?;
                    self.push_text(length)?;
                }
                0x8c | b'U' => {
                    let length = self.number::<1>()?;
                    self.push_text(length)?;
                }
                0x8d => {
                    let length = self.number::<8>()?;
                    self.push_text(length)?;
                }
                b'B' => {
                    let length = self.number::<4>()?;
                    self.take(length)?;
                    self.push(Value::Opaque)?;
                }
                b'C' => {
                    let length = self.number::<1>()?;
                    self.take(length)?;
                    self.push(Value::Opaque)?;
                }
                b'K' => {
                    let value = self.number::<1>()? as i64;
                    self.push(Value::Whole(value))?;
                }
                b'M' => {
                    let value = self.number::<2>()? as i64;
                    self.push(Value::Whole(value))?;
                }
                b'J' => {
                    let value = self.number::<4>()? as u32 as i32;
                    self.push(Value::Whole(i64::from(value)))?;
                }
                0x8a => {
                    let length = self.number::<1>()?;
                    let value = self.long(length)?;
                    self.push(value)?;
                }
                0x8b => {
                    let length = self.number::<4>()?;
                    let value = self.long(length)?;
                    self.push(value)?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Opaque)?;
                }
                b'N' | 0x88 | 0x89 => self.push(Value::Opaque)?,
                b't' | b'l' => {
                    let items = self.pop_mark()?;
                    self.push(Value::List(items))?;
                }
                0x85 => self.push_tuple(1)?,
                0x86 => self.push_tuple(2)?,
                0x87 => self.push_tuple(3)?,
                b'd' => {
                    let items = self.pop_mark()?;
                    self.push(Value::Dict(Vec::new()))?;
                    self.set(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set(&items)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_mark()?;
                    self.append(items)?;
                }
                b'R' | 0x81 => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    self.call(callable, arguments)?;
                }
                // Attributes of what was built: of no meaning here.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let identity = self.pop()?;
                    let storage = self.storage(identity)?;
                    self.push(Value::Storage(storage))?;
                }
                other => return Err(damaged(&format!("opcode 0x{other:02x} is not supported"))),
            }
        }
    }

    /// A whole number of any length; one that is too long has no meaning here.
    fn long(&mut self, length: usize) -> Result<Value<'a>, ForeignError> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Ok(Value::Opaque);
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        Ok(Value::Whole(i64::from_le_bytes(wide)))
    }

    fn list(&self, handle: Handle) -> &[Handle] {
        match &self.values[handle] {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// What a call of a known function gives; of any other, a value without meaning.
    fn call(&mut self, callable: Handle, arguments: Handle) -> Result<(), ForeignError> {
        let Value::Global(module, name) = self.values[callable] else {
            return self.push(Value::Opaque);
        };
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                let view = self.view(arguments).ok_or_else(|| damaged("a tensor makes no sense"))?;
                self.push(Value::Tensor(view))
            }
            ("torch._utils", "_rebuild_parameter") => {
                let inner = self.list(arguments).first().copied();
                self.stack.push(inner.ok_or_else(|| damaged("a parameter makes no sense"))?);
                Ok(())
            }
            ("collections", "OrderedDict") => {
                // Old Pythons hand the items over at once.
                let items = self.list(arguments).first().map_or(&[][..], |&items| self.list(items));
                let pairs = items.iter().filter_map(|&pair| match self.list(pair) {
                    &[key, value] => Some((key, value)),
                    _ => None,
                });
                let pairs: Vec<_> = pairs.collect();
                // One list may be handed to many calls.
                self.copied += pairs.len();
                if self.copied > MOST_VALUES {
                    return Err(damaged(&format!("more than {MOST_VALUES} values")));
                }
                self.push(Value::Dict(pairs))
            }
            _ => self.push(Value::Opaque),
        }
    }

    fn whole(&self, handle: Handle) -> Option<usize> {
        match self.values[handle] {
            Value::Whole(value) => usize::try_from(value).ok(),
            _ => None,
        }
    }

    fn view(&self, arguments: Handle) -> Option<View<'a>> {
        let [storage, offset, shape, stride, ..] = *self.list(arguments) else { return None };
        let Value::Storage(storage) = self.values[storage] else { return None };
        let numbers = |handle: Handle| -> Option<Vec<usize>> {
            if !matches!(&self.values[handle], Value::List(items) if items.len() <= MOST_DIMENSIONS) {
                return None;
            }
            self.list(handle).iter().map(|&item| self.whole(item)).collect()
        };
        let (shape, stride) = (numbers(shape)?, numbers(stride)?);
        Some(View { storage, offset: self.whole(offset)?, shape, stride })
    }

    fn storage(&self, identity: Handle) -> Result<Storage<'a>, ForeignError> {
        let items = self.list(identity);
        let &[kind, of, key, ..] = items else {
            return Err(damaged("a storage makes no sense"));
        };
        match (&self.values[kind], &self.values[of], &self.values[key]) {
            (Value::Text("storage"), Value::Global(_, of), Value::Text(key)) => {
                let element = Element::of_storage(of)
                    .ok_or_else(|| damaged(&format!("tensors of {of} are not supported")))?;
                Ok(Storage { element, key })
            }
            _ => Err(damaged("a storage makes no sense")),
        }
    }
}

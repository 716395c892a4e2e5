//! Python's pickle machine, as far as it notes down what it is told and does nothing.
//!
//! A pickle is a program: it puts values on a stack, joins them to containers, and asks for functions, named by texts, to
//! be called. Here a name stays a text and a call stays a note of what would be called with what ([`Value::Call`]); the
//! one exception are the containers of the standard library, which become containers. Names that no weights need and that
//! attacks use are refused where they occur (`refused.rs`).
//!
//! Values lie in one list and refer to each other by number, so that nothing here recurses, however deep a file nests,
//! and a value that a file repeats costs a number.
//!
//! # Source
//! The opcodes of protocols 0 to 5 in Python's `Lib/pickletools.py`.

mod call;
mod input;
mod opcode;
mod refused;
mod text;
mod value;

use std::collections::HashMap;

use crate::error::WeightsError;
use input::Input;
use opcode as op;
pub(crate) use value::{Id, Value, Values};

/// Most values, places of the stack and memorised values of one pickle: a file of weights has some ten thousand.
const MOST: usize = 1 << 22;
/// The newest protocol.
const PROTOCOL: u8 = 5;

/// What a pickle left.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// All its values.
    pub(crate) values: Values<'a>,
    /// The value it ends with.
    pub(crate) root: Id,
    /// Bytes it takes.
    pub(crate) length: usize,
}

/// Reads the pickle at the beginning of `bytes`.
///
/// # Errors
/// [`WeightsError::Format`] if it is damaged, cut short or too large, [`WeightsError::Refused`] for a name that no weights
/// need.
pub(crate) fn parse(bytes: &[u8]) -> Result<Pickle<'_>, WeightsError> {
    let mut machine = Machine {
        input: Input::new(bytes),
        values: Values::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    loop {
        let opcode = machine.input.byte()?;
        if opcode == op::STOP {
            let root = machine.pop()?;
            return Ok(Pickle { values: machine.values, root, length: machine.input.position() });
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a> {
    input: Input<'a>,
    values: Values<'a>,
    stack: Vec<Id>,
    /// Heights of the stack that were marked.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// Pairs that were copied from lists into dictionaries.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), WeightsError> {
        match opcode {
            op::PROTO => {
                let found = self.input.byte()?;
                if found > PROTOCOL {
                    return self.fail(format!("expected a protocol up to {PROTOCOL}, found {found}"));
                }
            }
            op::FRAME => {
                // The length of a frame helps who reads from a pipe.
                self.input.u64()?;
            }
            op::MARK => {
                if self.marks.len() >= MOST {
                    return self.fail(format!("it has more than {MOST} open marks"));
                }
                self.marks.push(self.stack.len());
            }
            op::POP => {
                // Python pops a mark where nothing lies upon it.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            op::NONE => self.push(Value::None)?,
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
            op::EMPTY_LIST => self.push(Value::List(Vec::new()))?,
            op::EMPTY_TUPLE => self.push(Value::Tuple(Vec::new()))?,
            op::EMPTY_SET => self.push(Value::Set(Vec::new()))?,
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))?;
            }
            op::LIST => {
                let items = self.pop_mark()?;
                self.push(Value::List(items))?;
            }
            op::FROZENSET => {
                let items = self.pop_mark()?;
                self.push(Value::Set(items))?;
            }
            op::DICT => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(&items)?;
                self.push(Value::Dict(pairs))?;
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let mut items = Vec::new();
                for _ in 0..=opcode - op::TUPLE1 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Value::Tuple(items))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS | op::ADDITEMS => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[(key, value)])?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(&items)?;
                self.set_items(&pairs)?;
            }
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => {
                let key = match opcode {
                    op::PUT => self.memo_key()?,
                    op::BINPUT => self.input.byte()?.into(),
                    op::LONG_BINPUT => self.input.u32()?.into(),
                    _ => self.memo.len() as u64,
                };
                let top = self.top()?;
                if self.memo.len() >= MOST && !self.memo.contains_key(&key) {
                    return self.fail(format!("it memorises more than {MOST} values"));
                }
                self.memo.insert(key, top);
            }
            op::GET | op::BINGET | op::LONG_BINGET => {
                let key = match opcode {
                    op::GET => self.memo_key()?,
                    op::BINGET => self.input.byte()?.into(),
                    _ => self.input.u32()?.into(),
                };
                match self.memo.get(&key) {
                    Some(&id) => self.push_id(id)?,
                    None => {
                        return self.fail(format!("it refers to value {key}, which it has not memorised"));
                    }
                }
            }
            op::GLOBAL
            | op::STACK_GLOBAL
            | op::REDUCE
            | op::NEWOBJ
            | op::NEWOBJ_EX
            | op::OBJ
            | op::INST
            | op::BUILD
            | op::BINPERSID
            | op::PERSID => self.call_step(opcode)?,
            op::EXT1 | op::EXT2 | op::EXT4 => {
                return self
                    .fail("it names a class by a number of Python's extension registry, which is not read");
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                return self
                    .fail("parts of it are kept outside of it (out-of-band buffers), which is not read");
            }
            _ => {
                let Some(value) = self.input.literal(opcode)? else {
                    return self.fail(format!("expected an opcode of pickle, found the byte {opcode:#04x}"));
                };
                self.push(value)?;
            }
        }
        Ok(())
    }

    fn fail<T>(&self, problem: impl std::fmt::Display) -> Result<T, WeightsError> {
        Err(self.input.damaged(problem))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), WeightsError> {
        if self.values.len() >= MOST {
            return self.fail(format!("it has more than {MOST} values"));
        }
        let id = self.values.add(value);
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), WeightsError> {
        if self.stack.len() >= MOST {
            return self.fail(format!("it has more than {MOST} values on the stack"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id, WeightsError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return self.fail("expected a value on the stack, found none");
        }
        self.stack.last().copied().map_or_else(|| self.fail("expected a value on the stack, found none"), Ok)
    }

    fn pop(&mut self) -> Result<Id, WeightsError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// All that lies upon the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, WeightsError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => self.fail("expected a mark on the stack, found none"),
        }
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, WeightsError> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return self.fail("expected pairs of keys and values, found a key without value");
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), WeightsError> {
        let top = self.top()?;
        match self.values.get_mut(top) {
            Value::List(list) | Value::Set(list) => list.extend_from_slice(items),
            // An object of an unknown class that is a list as well.
            Value::Call { .. } => {}
            _ => return self.fail("expected a list to append to"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[(Id, Id)]) -> Result<(), WeightsError> {
        let top = self.top()?;
        match self.values.get_mut(top) {
            Value::Dict(dict) => dict.extend_from_slice(items),
            // An object of an unknown class that is a dictionary as well.
            Value::Call { .. } => {}
            _ => return self.fail("expected a dictionary to put items into"),
        }
        Ok(())
    }

    fn memo_key(&mut self) -> Result<u64, WeightsError> {
        let line = self.input.line()?;
        match std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok()) {
            Some(key) => Ok(key),
            None => self.fail("expected the number of a memorised value"),
        }
    }
}

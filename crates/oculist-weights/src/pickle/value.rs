//! What a pickle says, as data.

use std::borrow::Cow;

/// Names a value of one pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A longer integer, if 128 bits hold it.
    Long(Option<Box<i128>>),
    /// A float.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A set.
    Set(Vec<Id>),
    /// A dictionary in order of insertion; keys may repeat, the last one counts.
    Dict(Vec<(Id, Id)>),
    /// Full name of a function or class: module, dot, name.
    Global(Box<str>),
    /// A call that was asked for: of what, with which arguments, and the state that the object shall have.
    Call { callee: Id, args: Id, state: Option<Id> },
    /// Something kept outside of the pickle.
    Persistent(Id),
}

/// The values of one pickle.
#[derive(Debug, Default)]
pub(crate) struct Values<'a>(Vec<Value<'a>>);

impl<'a> Values<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All values.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..u32::try_from(self.0.len()).unwrap_or(u32::MAX)).map(Id)
    }

    /// Adds a value; the machine keeps their number far below what an id can count.
    pub(super) fn add(&mut self, value: Value<'a>) -> Id {
        let id = Id(u32::try_from(self.0.len()).expect("the machine bounds the number of values"));
        self.0.push(value);
        id
    }

    pub(crate) fn get(&self, id: Id) -> &Value<'a> {
        &self.0[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Value<'a> {
        &mut self.0[id.0 as usize]
    }

    /// The text of a value that is one.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        if let Value::Text(text) = self.get(id) { Some(text) } else { None }
    }

    /// The name of a value that is a function or class.
    pub(crate) fn global(&self, id: Id) -> Option<&str> {
        if let Value::Global(name) = self.get(id) { Some(name) } else { None }
    }

    /// The integer of a value that is one.
    pub(crate) fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    /// The parts of a value that is a tuple or a list.
    pub(crate) fn sequence(&self, id: Id) -> Option<&[Id]> {
        if let Value::Tuple(items) | Value::List(items) = self.get(id) { Some(items) } else { None }
    }

    /// The items of a value that is a dictionary.
    pub(crate) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Value::Dict(items) = self.get(id) { Some(items) } else { None }
    }

    /// The value of a text key in a dictionary.
    pub(crate) fn item(&self, dict: Id, key: &str) -> Option<Id> {
        let items = self.dict(dict)?;
        items.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// What a value is, for messages.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "nothing (None)".into(),
            Value::Bool(_) => "a truth value".into(),
            Value::Int(_) | Value::Long(_) | Value::Float(_) => "a number".into(),
            Value::Text(_) => "a text".into(),
            Value::Bytes(_) => "bytes".into(),
            Value::Tuple(_) => "a tuple".into(),
            Value::List(_) => "a list".into(),
            Value::Set(_) => "a set".into(),
            Value::Dict(_) => "a dictionary".into(),
            Value::Global(name) => format!("the name `{}`", oculist_text::name(name)),
            Value::Call { callee, .. } => match self.global(*callee) {
                Some(name) => format!("an object of `{}`", oculist_text::name(name)),
                None => "an object of an unnamed class".into(),
            },
            Value::Persistent(_) => "a storage".into(),
        }
    }
}

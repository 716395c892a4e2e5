//! Reads attributes by name and type, and remembers which were read.

use crate::proto::{AttributeProto, AttributeType, TensorProto};

/// The attributes of one node.
pub(super) struct Attributes<'a> {
    all: &'a [AttributeProto],
    read: Vec<bool>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(all: &'a [AttributeProto]) -> Self {
        Self { all, read: vec![false; all.len()] }
    }

    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.find(name, AttributeType::Int)?.map(|a| a.i.unwrap_or(0)))
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, String> {
        Ok(self.find(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    pub(super) fn float(&mut self, name: &str) -> Result<Option<f32>, String> {
        let value = self.find(name, AttributeType::Float)?.map(|a| a.f.unwrap_or(0.0));
        match value {
            Some(v) if !v.is_finite() => Err(format!("attribute `{name}` is {v}")),
            value => Ok(value),
        }
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, String> {
        Ok(self.find(name, AttributeType::Floats)?.map(|a| a.floats.clone()))
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<&'a str>, String> {
        let Some(attribute) = self.find(name, AttributeType::String)? else { return Ok(None) };
        match std::str::from_utf8(attribute.s.as_deref().unwrap_or_default()) {
            Ok(text) => Ok(Some(text)),
            Err(e) => Err(format!("attribute `{name}` is no text: {e}")),
        }
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<&'a TensorProto>, String> {
        Ok(self.find(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
    }

    /// Marks an attribute as one that makes no difference.
    pub(super) fn skip(&mut self, name: &str) {
        for (attribute, read) in self.all.iter().zip(&mut self.read) {
            *read |= attribute.name.as_deref() == Some(name);
        }
    }

    /// Name of an attribute that was not read.
    pub(super) fn unread(&self) -> Option<&'a str> {
        let position = self.read.iter().position(|read| !read)?;
        Some(self.all[position].name.as_deref().unwrap_or_default())
    }

    fn find(&mut self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, String> {
        let Some(position) = self.all.iter().position(|a| a.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        self.read[position] = true;
        let attribute = &self.all[position];
        // Very old writers leave the type out.
        let found = attribute.r#type.unwrap_or(0);
        if found == 0 || found == i32::from(kind) {
            Ok(Some(attribute))
        } else {
            let found = AttributeType::try_from(found);
            Err(format!("attribute `{name}` must be of type {kind:?}, found {found:?}"))
        }
    }
}

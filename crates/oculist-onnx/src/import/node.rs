//! One node of the file while it is translated.

use crate::error::OnnxError;
use crate::import::attributes::Attributes;
use crate::proto::NodeProto;

/// A node's name, operator, inputs and attributes.
pub(super) struct NodeContext<'a> {
    pub(super) name: String,
    pub(super) proto: &'a NodeProto,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> NodeContext<'a> {
    pub(super) fn new(name: String, proto: &'a NodeProto) -> Self {
        Self { attributes: Attributes::new(&proto.attribute), name, proto }
    }

    /// The operator's name; empty if there is none.
    pub(super) fn op(&self) -> &'a str {
        self.proto.op_type.as_deref().unwrap_or_default()
    }

    /// Name of input `i` if it is given: optional inputs may be missing or empty.
    pub(super) fn input(&self, i: usize) -> Option<&'a str> {
        self.proto.input.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of input `i`.
    pub(super) fn required(&self, i: usize) -> Result<&'a str, OnnxError> {
        self.input(i).ok_or_else(|| self.error(format!("input {i} is missing")))
    }

    /// Refuses more inputs than `most`.
    pub(super) fn at_most(&self, most: usize) -> Result<(), OnnxError> {
        let found = self.proto.input.len();
        if found <= most {
            Ok(())
        } else {
            Err(self.error(format!("expected at most {most} inputs, found {found}")))
        }
    }

    /// Name of the output.
    pub(super) fn output(&self) -> Result<&'a str, OnnxError> {
        let name = self.proto.output.first().map(String::as_str).filter(|name| !name.is_empty());
        name.ok_or_else(|| self.error("it has no output"))
    }

    /// An error that names this node.
    pub(super) fn error(&self, problem: impl Into<String>) -> OnnxError {
        OnnxError::Node { node: self.name.clone(), op: self.op().to_owned(), problem: problem.into() }
    }

    /// Turns a problem in an attribute into an error that names this node.
    pub(super) fn explain<T>(&self, result: Result<T, String>) -> Result<T, OnnxError> {
        result.map_err(|problem| self.error(problem))
    }

    /// An integer attribute.
    pub(super) fn int(&mut self, name: &str, default: i64) -> Result<i64, OnnxError> {
        let value = self.attributes.int(name);
        Ok(self.explain(value)?.unwrap_or(default))
    }

    /// A list of integers, if given.
    pub(super) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, OnnxError> {
        let value = self.attributes.ints(name);
        self.explain(value)
    }

    /// A float attribute.
    pub(super) fn float(&mut self, name: &str, default: f32) -> Result<f32, OnnxError> {
        let value = self.attributes.float(name);
        Ok(self.explain(value)?.unwrap_or(default))
    }

    /// A string attribute, if given.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<&'a str>, OnnxError> {
        let value = self.attributes.string(name);
        self.explain(value)
    }

    /// Refuses an integer attribute that differs from the only value that is supported.
    pub(super) fn expect_int(&mut self, name: &str, default: i64, supported: i64) -> Result<(), OnnxError> {
        let found = self.int(name, default)?;
        if found == supported {
            Ok(())
        } else {
            Err(self.error(format!("attribute `{name}` is {found}, supported is {supported}")))
        }
    }

    /// Refuses attributes that nothing asked for.
    pub(super) fn finish(&self) -> Result<(), OnnxError> {
        match self.attributes.unread() {
            Some(name) => Err(self.error(format!("the attribute `{name}` is not supported"))),
            None => Ok(()),
        }
    }
}

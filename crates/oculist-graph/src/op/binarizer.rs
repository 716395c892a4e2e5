//! A threshold: the operator of ONNX's domain of classic machine learning.

use super::attributes::{AttributeList, Attributes};
use super::layout::axes_stay;
use super::prune::Ties;
use super::quantization::Quantization;
use super::schema::{Fact, Given, Operator, Read, Role, Written};
use crate::shape::Shape;
use crate::tensor::DataType;

/// 1 where `x > threshold`, 0 elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binarizer {
    /// The threshold.
    pub threshold: f32,
}

impl Operator for Binarizer {
    fn name(&self) -> &'static str {
        "Binarizer"
    }

    fn domain(&self) -> &'static str {
        "ai.onnx.ml"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        if self.threshold == 0.0 { Vec::new() } else { vec![("threshold", self.threshold.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[DataType::F32, DataType::F64, DataType::I64, DataType::I32])?;
        Ok(vec![Fact::new(given.dtype(0)?, given.shape(0)?.clone())])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Float
    }
}

impl Read for Binarizer {
    const NAMES: &'static [(&'static str, &'static str)] = &[("ai.onnx.ml", "Binarizer")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { threshold: attributes.float_or("threshold", 0.0)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { threshold: 0.5 }]
    }
}

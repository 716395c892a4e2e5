//! Attention whose scores and probabilities a model may change; without such changes.

use super::attention::Attention;
use super::attributes::{AttributeList, Attributes};
use super::precision;
use super::schema::{Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::Shape;
use crate::tensor::DataType;

/// `softmax(scale * q * k^T) * v` for each head; inputs `q, k, v` of four dimensions. The graphs `score_mod` and
/// `prob_mod` that a file may hold are not supported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlexAttention {
    /// Factor of the products; `1 / sqrt(d)` unless given.
    pub scale: Option<f32>,
    /// Type in which the softmax is computed; f32, or f64 for `q` of f64, unless given.
    pub softmax: Option<DataType>,
}

impl FlexAttention {
    /// The attention that it is.
    pub fn attention(self) -> Attention {
        Attention { scale: self.scale, softmax: self.softmax, ..Attention::PLAIN }
    }
}

impl Operator for FlexAttention {
    fn name(&self) -> &'static str {
        "FlexAttention"
    }

    fn domain(&self) -> &'static str {
        "ai.onnx.preview"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if let Some(scale) = self.scale {
            all.push(("scale", scale.into()));
        }
        if let Some(dtype) = self.softmax {
            all.push(("softmax_precision", dtype.code().into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let q = given.shape(0)?;
        if q.rank() != 4 {
            return Err(format!("expected q of shape [N, heads, L, d], found {q}"));
        }
        self.attention().infer(given)
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        self.attention().cost(given, outputs)
    }
}

impl Read for FlexAttention {
    const NAMES: &'static [(&'static str, &'static str)] = &[("ai.onnx.preview", "FlexAttention")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        for name in ["score_mod", "prob_mod"] {
            if attributes.has(name) {
                return Err(format!("the attribute `{name}` is a graph, which is not supported"));
            }
        }
        Ok(Self {
            scale: attributes.float("scale")?,
            softmax: precision::read(attributes, "softmax_precision")?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { scale: None, softmax: None }]
    }
}

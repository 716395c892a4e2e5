//! Softmax and its relatives.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written, axis};

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoftmaxKind {
    /// `exp(x) / sum exp(x)`.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
    /// 1 at the first maximum, 0 elsewhere.
    Hardmax,
}

/// Softmax, its logarithm or hardmax along an axis.
///
/// # Source
/// ONNX, opset 13; before, all axes from `axis` on were one (`flatten`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// Which function.
    pub kind: SoftmaxKind,
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// Whether the axis and all behind it are one.
    pub flatten: bool,
}

impl Softmax {
    /// Softmax along `axis`.
    pub fn along(axis: i64) -> Self {
        Self { kind: SoftmaxKind::Softmax, axis, flatten: false }
    }

    /// The first axis and the number of axes that are normalised over, for a value of this rank.
    ///
    /// # Errors
    /// If the axis lies outside.
    pub fn axes(&self, rank: usize) -> Result<std::ops::Range<usize>, String> {
        // Flattened, an axis behind the last one is allowed: every element is then a row of its own.
        if self.flatten && usize::try_from(self.axis) == Ok(rank) {
            return Ok(rank..rank);
        }
        let first = axis(self.axis, rank)?;
        Ok(if self.flatten { first..rank } else { first..first + 1 })
    }
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        match self.kind {
            SoftmaxKind::Softmax => "Softmax",
            SoftmaxKind::LogSoftmax => "LogSoftmax",
            SoftmaxKind::Hardmax => "Hardmax",
        }
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
        vec![("axis", self.axis.into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let shape = given.shape(0)?;
        self.axes(shape.rank())?;
        Ok(vec![Fact::new(given.dtype(0)?, shape.clone())])
    }
}

impl Read for Softmax {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "Softmax"), ("", "LogSoftmax"), ("", "Hardmax")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let kind = match written.name {
            "Softmax" => SoftmaxKind::Softmax,
            "LogSoftmax" => SoftmaxKind::LogSoftmax,
            _ => SoftmaxKind::Hardmax,
        };
        let flatten = written.opset < 13;
        Ok(Self { kind, axis: attributes.int_or("axis", if flatten { 1 } else { -1 })?, flatten })
    }

    fn examples() -> Vec<Self> {
        [SoftmaxKind::Softmax, SoftmaxKind::LogSoftmax, SoftmaxKind::Hardmax]
            .map(|kind| Self { kind, axis: 1, flatten: false })
            .to_vec()
    }
}

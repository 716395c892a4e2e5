//! Patterns within matrices and along axes: OneHot, EyeLike, Trilu, ReverseSequence, and the determinant.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written, axis};
use super::types::{NUMBERS, coded, expect_scalar};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// One value at the position of an index along a new axis, another elsewhere; inputs `indices, depth, [off, on]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneHot {
    /// The new axis; negative ones count from the back of the result.
    pub axis: i64,
}

impl Operator for OneHot {
    fn name(&self) -> &'static str {
        "OneHot"
    }

    fn since(&self) -> i64 {
        if self.axis < -1 { 11 } else { 9 }
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.axis == -1 { Vec::new() } else { vec![("axis", self.axis.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        given.expect(1, NUMBERS)?;
        expect_scalar(given, 1, "the depth")?;
        given.vector(2, "off and on", Dim::Fixed(2))?;
        let indices = given.shape(0)?;
        let at = axis(self.axis, indices.rank() + 1)?;
        let depth = match given.get(1).and_then(|d| d.tensor) {
            // Floats are allowed, too; what is behind the point is cut off.
            Some(tensor) => Dim::of(tensor.to_f64s().first().map(|&d| d.max(0.0) as usize)),
            None => {
                given.items(1).and_then(|items| items.first().copied()).map_or(Dim::Unknown, super::Item::dim)
            }
        };
        let mut dims = indices.dims().to_vec();
        dims.insert(at, depth);
        Ok(vec![Fact::new(given.dtype(2)?, Shape::new(dims))])
    }
}

impl Read for OneHot {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "OneHot")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int_or("axis", -1)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -1 }]
    }
}

/// A matrix of the input's shape with ones on a diagonal and zeros elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EyeLike {
    /// The element type, the input's if there is none.
    pub dtype: Option<DataType>,
    /// The diagonal: 0 is the main one, positive ones lie above.
    pub k: i64,
}

impl Operator for EyeLike {
    fn name(&self) -> &'static str {
        "EyeLike"
    }

    fn since(&self) -> i64 {
        9
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = self.dtype.map(|t| ("dtype", t.code().into())).into_iter().collect();
        if self.k != 0 {
            all.push(("k", self.k.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        if x.rank() != 2 {
            return Err(format!("expected a matrix, found {x}"));
        }
        Ok(vec![Fact::new(self.dtype.unwrap_or(given.dtype(0)?), x.clone())])
    }
}

impl Read for EyeLike {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "EyeLike")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let dtype = attributes.int("dtype")?.map(|code| coded("dtype", code)).transpose()?;
        Ok(Self { dtype, k: attributes.int_or("k", 0)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { dtype: None, k: 0 }]
    }
}

/// The upper or lower triangle of matrices, zero elsewhere; inputs `x` and, if it is not the main one, the diagonal `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trilu {
    /// Whether the upper triangle stays.
    pub upper: bool,
}

impl Operator for Trilu {
    fn name(&self) -> &'static str {
        "Trilu"
    }

    fn since(&self) -> i64 {
        14
    }

    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.upper { Vec::new() } else { vec![("upper", self.upper.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        expect_scalar(given, 1, "k")?;
        let x = given.shape(0)?;
        if x.rank() < 2 {
            return Err(format!("expected at least 2 dimensions, found {x}"));
        }
        Ok(vec![Fact::new(given.dtype(0)?, x.clone())])
    }
}

impl Read for Trilu {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Trilu")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { upper: attributes.flag("upper", true)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { upper: true }, Self { upper: false }]
    }
}

/// The first elements of each sequence of a batch in reverse order; inputs `x` and the lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReverseSequence {
    /// The axis of the batch, 0 or 1.
    pub batch_axis: i64,
    /// The axis of the sequence, the other of 0 and 1.
    pub time_axis: i64,
}

impl ReverseSequence {
    /// Whether the batch is the first axis.
    ///
    /// # Errors
    /// If the axes are not 0 and 1, in one order or the other.
    pub fn batch_first(&self) -> Result<bool, String> {
        match (self.batch_axis, self.time_axis) {
            (0, 1) => Ok(true),
            (1, 0) => Ok(false),
            (batch, time) => {
                Err(format!("expected the axes 0 and 1, found batch_axis {batch} and time_axis {time}"))
            }
        }
    }
}

impl Operator for ReverseSequence {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }

    fn since(&self) -> i64 {
        10
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.batch_axis != 1 {
            all.push(("batch_axis", self.batch_axis.into()));
        }
        if self.time_axis != 0 {
            all.push(("time_axis", self.time_axis.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        let x = given.shape(0)?;
        if x.rank() < 2 {
            return Err(format!("expected at least 2 dimensions, found {x}"));
        }
        let batch = x.dims()[usize::from(!self.batch_first()?)];
        given.vector(1, "the lengths", batch)?;
        Ok(vec![Fact::new(given.dtype(0)?, x.clone())])
    }
}

impl Read for ReverseSequence {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ReverseSequence")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let op = Self {
            batch_axis: attributes.int_or("batch_axis", 1)?,
            time_axis: attributes.int_or("time_axis", 0)?,
        };
        op.batch_first()?;
        Ok(op)
    }

    fn examples() -> Vec<Self> {
        vec![Self { batch_axis: 0, time_axis: 1 }]
    }
}

/// The determinant of square matrices, which the last two axes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Det;

impl Operator for Det {
    fn name(&self) -> &'static str {
        "Det"
    }

    fn since(&self) -> i64 {
        11
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let x = given.shape(0)?;
        match x.dims() {
            [batch @ .., rows, columns] if rows.may_equal(*columns) => {
                Ok(vec![Fact::new(given.dtype(0)?, Shape::new(batch.to_vec()))])
            }
            _ => Err(format!("expected square matrices, found {x}")),
        }
    }
}

impl Read for Det {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Det")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

//! Gated and biased activations.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::Dim;

/// `a * sigmoid(alpha * a) * b` of two values of one shape.
///
/// # Source
/// Shazeer, "GLU Variants Improve Transformer", 2020.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwiGlu {
    /// Factor within the sigmoid.
    pub alpha: f32,
}

/// The Gaussian error unit of a value and a bias along its last axis, of `com.microsoft`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BiasGelu {
    /// `0.5 * x * (1 + erf(x / sqrt(2)))` with the bias added before.
    Exact,
    /// The approximation by tanh; the bias may be left out.
    Tanh,
}

impl Operator for SwiGlu {
    fn name(&self) -> &'static str {
        "SwiGLU"
    }

    fn since(&self) -> i64 {
        28
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        if self.alpha == 1.0 { Vec::new() } else { vec![("alpha", self.alpha.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1])?;
        let (a, b) = (given.shape(0)?, given.shape(1)?);
        if a.rank() != b.rank() || !a.dims().iter().zip(b.dims()).all(|(x, y)| x.may_equal(*y)) {
            return Err(format!("expected two values of one shape, found {a} and {b}"));
        }
        let dims: Vec<Dim> = a.dims().iter().zip(b.dims()).map(|(x, y)| x.or(*y)).collect();
        Ok(vec![Fact::new(dtype, crate::shape::Shape::new(dims))])
    }
}

impl Read for SwiGlu {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "SwiGLU")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { alpha: attributes.float_or("alpha", 1.0)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { alpha: 1.0 }]
    }
}

impl Operator for BiasGelu {
    fn name(&self) -> &'static str {
        match self {
            Self::Exact => "BiasGelu",
            Self::Tanh => "FastGelu",
        }
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        match self {
            Self::Exact => (2, 2),
            Self::Tanh => (1, 2),
        }
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1])?;
        let x = given.shape(0)?;
        if given.get(1).is_some() {
            let Some(&last) = x.dims().last() else {
                return Err(format!("expected a value of at least one dimension, found {x}"));
            };
            given.vector(1, "a bias", last)?;
        }
        Ok(vec![Fact::new(dtype, x.clone())])
    }
}

impl Read for BiasGelu {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("com.microsoft", "BiasGelu"), ("com.microsoft", "FastGelu")];

    fn read(written: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(if written.name == "BiasGelu" { Self::Exact } else { Self::Tanh })
    }

    fn examples() -> Vec<Self> {
        vec![Self::Exact, Self::Tanh]
    }
}

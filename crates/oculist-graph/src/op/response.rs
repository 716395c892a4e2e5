//! Normalisation without parameters: by a p-norm, by neighbouring channels, to mean 0 and variance 1.

use super::attributes::{AttributeList, Attributes};
use super::layout::axes_stay;
use super::prune::Ties;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written, axis};
use crate::shape::Shape;

/// `x / (sum |x|^p)^(1/p)` with the sum along an axis; 0 where the sum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LpNormalization {
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// The exponent, 1 or 2.
    pub p: i64,
}

/// `x / (bias + alpha / size * sum x^2)^beta` with the sum over `size` neighbouring channels.
///
/// # Shapes
/// `[N, C, ...]`.
///
/// # Source
/// Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 3.3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lrn {
    /// Factor of the sum.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Added to the sum.
    pub bias: f32,
    /// Number of channels that are summed over.
    pub size: usize,
}

/// `(x - mean) / (sqrt(var) + 1e-9)` with mean and variance over some axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeanVarianceNormalization {
    /// The axes; negative ones count from the back.
    pub axes: Vec<i64>,
}

fn same(given: &Given) -> Result<Vec<Fact>, String> {
    given.expect(0, FLOATS)?;
    Ok(vec![Fact::new(given.dtype(0)?, given.shape(0)?.clone())])
}

impl Operator for LpNormalization {
    fn name(&self) -> &'static str {
        "LpNormalization"
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
        let mut all: AttributeList = Vec::new();
        if self.axis != -1 {
            all.push(("axis", self.axis.into()));
        }
        if self.p != 2 {
            all.push(("p", self.p.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        axis(self.axis, given.shape(0)?.rank())?;
        same(given)
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for LpNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "LpNormalization")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let p = attributes.int_or("p", 2)?;
        if p != 1 && p != 2 {
            return Err(format!("the attribute `p` is {p}, supported are 1 and 2"));
        }
        Ok(Self { axis: attributes.int_or("axis", -1)?, p })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -1, p: 2 }]
    }
}

impl Operator for Lrn {
    fn name(&self) -> &'static str {
        "LRN"
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
        vec![
            ("alpha", self.alpha.into()),
            ("beta", self.beta.into()),
            ("bias", self.bias.into()),
            ("size", self.size.into()),
        ]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        if x.rank() < 2 {
            return Err(format!("expected [N, C, ...], found {x}"));
        }
        if self.size == 0 {
            return Err("the sum is over 0 channels, expected at least 1".to_owned());
        }
        same(given)
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        OpCost { macs: 0, reads: self.size as u64 }
    }
}

impl Read for Lrn {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "LRN")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let size = attributes.size("size")?.ok_or("the attribute `size` is missing")?;
        Ok(Self {
            alpha: attributes.float_or("alpha", 1e-4)?,
            beta: attributes.float_or("beta", 0.75)?,
            bias: attributes.float_or("bias", 1.0)?,
            size,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { alpha: 1e-4, beta: 0.75, bias: 1.0, size: 5 }]
    }
}

impl Operator for MeanVarianceNormalization {
    fn name(&self) -> &'static str {
        "MeanVarianceNormalization"
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
        if self.axes == [0, 2, 3] { Vec::new() } else { vec![("axes", self.axes.clone().into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let rank = given.shape(0)?.rank();
        for &a in &self.axes {
            axis(a, rank)?;
        }
        same(given)
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for MeanVarianceNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "MeanVarianceNormalization")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axes: attributes.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]) })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axes: vec![0, 2, 3] }]
    }
}

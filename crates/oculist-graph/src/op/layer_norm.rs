//! Normalisation over the last axes of each sample.

use super::attributes::{AttributeList, Attributes};
use super::binary::broadcast;
use super::precision;
use super::prune::{Port, Tie, Ties};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// `gamma * (x - mean) / sqrt(var + epsilon) + beta` with mean and variance over the axes from `axis` on; inputs
/// `x, gamma` and an optional `beta`, which are broadcast to `x`. Further outputs are the mean and `1 / sqrt(var +
/// epsilon)`, with those axes of size 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNormalization {
    /// The first axis that is normalised over; negative ones count from the back.
    pub axis: i64,
    /// Added to the variance.
    pub epsilon: f32,
    /// Type in which mean and variance are computed.
    pub stash: DataType,
}

/// `gamma * x / sqrt(mean(x^2) + epsilon)` with the mean over the axes from `axis` on; inputs `x, gamma`.
///
/// # Source
/// Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsNormalization {
    /// The first axis that is normalised over; negative ones count from the back.
    pub axis: i64,
    /// Added to the mean.
    pub epsilon: f32,
    /// Type in which the mean is computed.
    pub stash: DataType,
}

/// Refuses an input that is not broadcast to the shape.
fn fits_into(given: &Given, i: usize, what: &str, x: &Shape) -> Result<(), String> {
    let Some(seen) = given.get(i) else { return Ok(()) };
    let fits = seen.shape.rank() <= x.rank() && {
        let behind = &x.dims()[x.rank() - seen.shape.rank()..];
        let one_way = |(d, &to): (&Dim, &Dim)| *d == Dim::Fixed(1) || d.may_equal(to);
        seen.shape.dims().iter().zip(behind).all(one_way) && broadcast(seen.shape, x).is_ok()
    };
    if fits { Ok(()) } else { Err(format!("expected {what} that is broadcast to {x}, found {}", seen.shape)) }
}

fn attributes(first: i64, epsilon: f32, stash: DataType) -> AttributeList {
    let mut all: AttributeList = vec![("axis", first.into()), ("epsilon", epsilon.into())];
    if stash != DataType::F32 {
        all.push(("stash_type", stash.code().into()));
    }
    all
}

/// All axes stay where they are; gamma and beta lose the indices that theirs lose.
fn ties(given: &Given, first: i64) -> Ties {
    let Ok(x) = given.shape(0) else { return Ties::Unknown };
    let Ok(first) = axis(first, x.rank()) else { return Ties::Unknown };
    let mut ties: Vec<Tie> =
        (0..x.rank()).map(|a| Tie::Same(Port::Input(0, a), Port::Output(0, a))).collect();
    for i in 1..given.len() {
        let Some(seen) = given.get(i) else { continue };
        let rank = seen.shape.rank();
        if rank > x.rank() - first {
            return Ties::Unknown;
        }
        for a in 0..rank {
            let at = x.rank() - rank + a;
            match (seen.shape.get(a), x.get(at)) {
                (Some(1), Some(n)) if n != 1 => {}
                (own, of_x) if own == of_x => ties.push(Tie::Same(Port::Output(0, at), Port::Input(i, a))),
                _ => return Ties::Unknown,
            }
        }
    }
    Ties::Known(ties)
}

impl Operator for LayerNormalization {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn since(&self) -> i64 {
        17
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.epsilon, self.stash)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1, 2])?;
        let x = given.shape(0)?;
        let first = axis(self.axis, x.rank())?;
        fits_into(given, 1, "gamma", x)?;
        fits_into(given, 2, "beta", x)?;
        let mut facts = vec![Fact::new(dtype, x.clone())];
        let mut dims = x.dims()[..first].to_vec();
        dims.resize(x.rank(), Dim::Fixed(1));
        facts.resize(given.outputs.max(1), Fact::new(self.stash, Shape::new(dims)));
        Ok(facts)
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        if outputs.len() == 1 { ties(given, self.axis) } else { Ties::Unknown }
    }
}

impl Read for LayerNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "LayerNormalization")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.int_or("axis", -1)?,
            epsilon: attributes.float_or("epsilon", 1e-5)?,
            stash: precision::read(attributes, "stash_type")?.unwrap_or(DataType::F32),
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -1, epsilon: 1e-5, stash: DataType::F32 }]
    }
}

impl Operator for RmsNormalization {
    fn name(&self) -> &'static str {
        "RMSNormalization"
    }

    fn since(&self) -> i64 {
        23
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.epsilon, self.stash)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.expect(1, FLOATS)?;
        let x = given.shape(0)?;
        axis(self.axis, x.rank())?;
        fits_into(given, 1, "gamma", x)?;
        // The result has gamma's type, which may be wider than that of `x`.
        Ok(vec![Fact::new(given.dtype(1)?, x.clone())])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        ties(given, self.axis)
    }
}

impl Read for RmsNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("", "RMSNormalization"),
        ("", "SimplifiedLayerNormalization"),
        ("com.microsoft", "SimplifiedLayerNormalization"),
    ];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        if written.outputs > 1 {
            return Err(format!("{} outputs are asked for, supported is 1", written.outputs));
        }
        Ok(Self {
            axis: attributes.int_or("axis", -1)?,
            epsilon: attributes.float_or("epsilon", 1e-5)?,
            stash: precision::read(attributes, "stash_type")?.unwrap_or(DataType::F32),
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -1, epsilon: 1e-5, stash: DataType::F32 }]
    }
}

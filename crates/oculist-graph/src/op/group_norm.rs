//! Normalisation over groups of channels and over single channels of one sample.

use super::attributes::{AttributeList, Attributes};
use super::precision;
use super::prune::{Port, Tie, Ties};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// `gamma * (x - mean) / sqrt(var + epsilon) + beta` with mean and variance of each channel of each sample; inputs
/// `x, gamma, beta`.
///
/// # Shapes
/// `x` `[N, C, ...]`, `gamma` and `beta` `[C]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

/// The same with mean and variance of each group of channels of each sample.
///
/// # Shapes
/// `x` `[N, C, ...]`, `gamma` and `beta` `[C]`, or `[groups]` with `per_group`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNormalization {
    /// Number of groups.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Type in which mean and variance are computed.
    pub stash: DataType,
    /// Whether gamma and beta have one element a group, as before opset 21.
    pub per_group: bool,
}

/// Type and shape of the result, which are those of `[N, C, ...]`.
fn over_channels(given: &Given) -> Result<Fact, String> {
    given.expect(0, FLOATS)?;
    let dtype = given.same_type(0, [1, 2])?;
    let x = given.shape(0)?;
    if x.rank() < 2 {
        return Err(format!("expected [N, C, ...], found {x}"));
    }
    Ok(Fact::new(dtype, x.clone()))
}

impl Operator for InstanceNormalization {
    fn name(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn since(&self) -> i64 {
        6
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        vec![("epsilon", self.epsilon.into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let fact = over_channels(given)?;
        given.vector(1, "gamma", fact.shape.dims()[1])?;
        given.vector(2, "beta", fact.shape.dims()[1])?;
        Ok(vec![fact])
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        let out = Port::Output(0, 1);
        Ties::Known(vec![
            Tie::Same(Port::Input(0, 1), out),
            Tie::Same(out, Port::Input(1, 0)),
            Tie::Same(out, Port::Input(2, 0)),
        ])
    }
}

impl Read for InstanceNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "InstanceNormalization")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["consumed_inputs"]);
        Ok(Self { epsilon: attributes.float_or("epsilon", 1e-5)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { epsilon: 1e-5 }]
    }
}

impl Operator for GroupNormalization {
    fn name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn since(&self) -> i64 {
        if self.per_group { 18 } else { 21 }
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList =
            vec![("epsilon", self.epsilon.into()), ("num_groups", self.groups.into())];
        if self.stash != DataType::F32 {
            all.push(("stash_type", self.stash.code().into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let fact = over_channels(given)?;
        let channels = fact.shape.dims()[1];
        if self.groups == 0 || channels.size().is_some_and(|c| c % self.groups != 0) {
            return Err(format!("{} groups cannot share {channels} channels equally", self.groups));
        }
        let len = if self.per_group { Dim::Fixed(self.groups) } else { channels };
        given.vector(1, "gamma", len)?;
        given.vector(2, "beta", len)?;
        Ok(vec![fact])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Some(channels) = given.shape(0).ok().and_then(|s| s.get(1)) else { return Ties::Unknown };
        if self.per_group {
            return Ties::Unknown;
        }
        // Every group loses the same positions, so that groups stay equal.
        let out = Port::Output(0, 1);
        Ties::Known(vec![
            Tie::Same(Port::Input(0, 1), out),
            Tie::Same(out, Port::Input(1, 0)),
            Tie::Same(out, Port::Input(2, 0)),
            Tie::Modulo(out, out, channels / self.groups.max(1)),
        ])
    }
}

impl Read for GroupNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "GroupNormalization")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            groups: attributes.size("num_groups")?.ok_or("the attribute `num_groups` is missing")?,
            epsilon: attributes.float_or("epsilon", 1e-5)?,
            stash: precision::read(attributes, "stash_type")?.unwrap_or(DataType::F32),
            per_group: written.opset < 21,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { groups: 2, epsilon: 1e-5, stash: DataType::F32, per_group: false }]
    }
}

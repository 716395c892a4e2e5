//! Elements written by index.

use super::attributes::{AttributeList, Attributes};
use super::gather::{INDICES, within};
use super::schema::{Fact, Given, Operator, Read, Role, Written, axis};
use crate::shape::Shape;
use crate::tensor::DataType;

/// What becomes of an element that is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The update takes its place.
    None,
    /// The update is added.
    Add,
    /// The update is multiplied with it.
    Mul,
    /// The larger one stays.
    Max,
    /// The smaller one stays.
    Min,
}

impl Reduction {
    const NAMES: &'static [&'static str] = &["none", "add", "mul", "max", "min"];
    const ALL: &'static [Self] = &[Self::None, Self::Add, Self::Mul, Self::Max, Self::Min];

    fn read(attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self::ALL[attributes.choice("reduction", Self::NAMES)?])
    }

    fn attribute(self) -> AttributeList {
        match self {
            Self::None => Vec::new(),
            Self::Add => vec![("reduction", "add".into())],
            Self::Mul => vec![("reduction", "mul".into())],
            Self::Max => vec![("reduction", "max".into())],
            Self::Min => vec![("reduction", "min".into())],
        }
    }

    fn since(self) -> i64 {
        match self {
            Self::None => 11,
            Self::Add | Self::Mul => 16,
            Self::Max | Self::Min => 18,
        }
    }

    /// Refuses what numbers are needed for.
    fn check(self, dtype: DataType) -> Result<(), String> {
        if self != Self::None && matches!(dtype, DataType::Bool | DataType::U4 | DataType::I4) {
            return Err(format!("elements of {} cannot be reduced", dtype.name()));
        }
        Ok(())
    }
}

/// A copy of `data` with `updates` written to it, each at its own position but for the axis, where its index says it.
///
/// # Shapes
/// `data`, `indices` and `updates` of one rank, the latter two of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScatterElements {
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// What becomes of an element that is written to.
    pub reduction: Reduction,
}

/// A copy of `data` with `updates` written to it at tuples of indices, which stand along the last axis of `indices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScatterND {
    /// What becomes of an element that is written to.
    pub reduction: Reduction,
}

/// A cache with `update` written to it along an axis, from the index on that input 2 names for each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorScatter {
    /// The axis of the sequence; negative ones count from the back.
    pub axis: i64,
    /// Whether writing goes on at the front where the cache ends.
    pub circular: bool,
}

impl Operator for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    fn since(&self) -> i64 {
        self.reduction.since()
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 1 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.axis != 0 {
            all.push(("axis", self.axis.into()));
        }
        all.extend(self.reduction.attribute());
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let dtype = given.same_type(0, [2])?;
        self.reduction.check(dtype)?;
        let (data, indices, updates) = (given.shape(0)?, given.shape(1)?, given.shape(2)?);
        let along = axis(self.axis, data.rank())?;
        within(indices, data, along)?;
        let same = indices.rank() == updates.rank()
            && indices.dims().iter().zip(updates.dims()).all(|(a, &b)| a.may_equal(b));
        if !same {
            return Err(format!("expected as many updates as indices, found {updates} and {indices}"));
        }
        Ok(vec![Fact::new(dtype, data.clone())])
    }
}

impl Read for ScatterElements {
    // The older name says the same.
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ScatterElements"), ("", "Scatter")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int_or("axis", 0)?, reduction: Reduction::read(attributes)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 1, reduction: Reduction::None }, Self { axis: 0, reduction: Reduction::Add }]
    }
}

impl Operator for ScatterND {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    fn since(&self) -> i64 {
        self.reduction.since()
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 1 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        self.reduction.attribute()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let dtype = given.same_type(0, [2])?;
        self.reduction.check(dtype)?;
        let (data, indices, updates) = (given.shape(0)?, given.shape(1)?, given.shape(2)?);
        let Some((tuple, front)) = indices.dims().split_last() else {
            return Err("indices without an axis hold no tuples".to_owned());
        };
        let len = tuple.size().ok_or("the length of the tuples must be known")?;
        if len == 0 || len > data.rank() {
            return Err(format!("tuples of {len} do not index {data}"));
        }
        let expected = Shape::new([front, &data.dims()[len..]].concat());
        let same = expected.rank() == updates.rank()
            && expected.dims().iter().zip(updates.dims()).all(|(a, &b)| a.may_equal(b));
        if !same {
            return Err(format!("expected updates of shape {expected}, found {updates}"));
        }
        Ok(vec![Fact::new(dtype, data.clone())])
    }
}

impl Read for ScatterND {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ScatterND")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { reduction: Reduction::read(attributes)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { reduction: Reduction::None }]
    }
}

impl Operator for TensorScatter {
    fn name(&self) -> &'static str {
        "TensorScatter"
    }

    fn since(&self) -> i64 {
        24
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 2 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.axis != -2 {
            all.push(("axis", self.axis.into()));
        }
        if self.circular {
            all.push(("mode", "circular".into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(2, &[DataType::I64])?;
        let dtype = given.same_type(0, [1])?;
        let (cache, update) = (given.shape(0)?, given.shape(1)?);
        let along = axis(self.axis, cache.rank())?;
        if along == 0 {
            return Err("the axis is 0, which holds the samples".to_owned());
        }
        let same = cache.rank() == update.rank()
            && (0..cache.rank()).all(|a| a == along || cache.dims()[a].may_equal(update.dims()[a]));
        if !same {
            return Err(format!(
                "expected an update that differs from {cache} only in axis {along}, found {update}"
            ));
        }
        if matches!((update.get(along), cache.get(along)), (Some(u), Some(c)) if u > c) {
            return Err(format!("the update {update} is longer than the cache {cache}"));
        }
        if given.get(2).is_some() {
            given.vector(2, "an index for each sample,", cache.dims()[0])?;
        }
        Ok(vec![Fact::new(dtype, cache.clone())])
    }
}

impl Read for TensorScatter {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "TensorScatter")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let circular = attributes.choice("mode", &["linear", "circular"])? == 1;
        Ok(Self { axis: attributes.int_or("axis", -2)?, circular })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -2, circular: false }]
    }
}

//! Positions by size: ArgMax, ArgMin, TopK, Unique.

use super::attributes::{AttributeList, Attributes};
use super::layout::product;
use super::prune::{Port, Tie, Ties};
use super::schema::{Fact, Given, Operator, Read, Role, Written, axis};
use super::types::{INDICES, NUMBERS, expect_scalar};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// The index of the largest or smallest element along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgReduce {
    /// Whether the largest is meant, otherwise the smallest.
    pub largest: bool,
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// Whether the axis stays, with size 1.
    pub keepdims: bool,
    /// Whether the last of equal elements counts, otherwise the first.
    pub last: bool,
}

impl Operator for ArgReduce {
    fn name(&self) -> &'static str {
        if self.largest { "ArgMax" } else { "ArgMin" }
    }

    fn since(&self) -> i64 {
        match (self.last, self.axis) {
            (true, _) => 12,
            (false, ..0) => 11,
            (false, _) => 1,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.axis != 0 {
            all.push(("axis", self.axis.into()));
        }
        if !self.keepdims {
            all.push(("keepdims", self.keepdims.into()));
        }
        if self.last {
            all.push(("select_last_index", self.last.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        let x = given.shape(0)?;
        let along = axis(self.axis, x.rank())?;
        let mut dims = x.dims().to_vec();
        if dims[along] == Dim::Fixed(0) {
            return Err(format!("axis {along} of {x} has no element to choose"));
        }
        if self.keepdims {
            dims[along] = Dim::Fixed(1);
        } else {
            dims.remove(along);
        }
        Ok(vec![Fact::new(DataType::I64, Shape::new(dims))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let rank = given.shape(0).map_or(0, Shape::rank);
        let Ok(along) = axis(self.axis, rank) else { return Ties::Unknown };
        let to = |a: usize| if a > along && !self.keepdims { a - 1 } else { a };
        let kept = (0..rank).filter(|&a| a != along);
        Ties::Known(kept.map(|a| Tie::Same(Port::Input(0, a), Port::Output(0, to(a)))).collect())
    }
}

impl Read for ArgReduce {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ArgMax"), ("", "ArgMin")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            largest: written.name == "ArgMax",
            axis: attributes.int_or("axis", 0)?,
            keepdims: attributes.flag("keepdims", true)?,
            last: attributes.flag("select_last_index", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        [true, false].map(|largest| Self { largest, axis: 1, keepdims: true, last: false }).to_vec()
    }
}

/// The `k` largest or smallest elements along an axis and their indices; inputs `x, k`.
///
/// Of equal elements the first comes first. Where no order is asked for, there is one all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// Whether the largest are meant, otherwise the smallest.
    pub largest: bool,
    /// Whether the result must be in order.
    pub sorted: bool,
}

impl Operator for TopK {
    fn name(&self) -> &'static str {
        "TopK"
    }

    fn since(&self) -> i64 {
        if self.largest && self.sorted { 1 } else { 11 }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.axis != -1 {
            all.push(("axis", self.axis.into()));
        }
        if !self.largest {
            all.push(("largest", self.largest.into()));
        }
        if !self.sorted {
            all.push(("sorted", self.sorted.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        given.expect(1, INDICES)?;
        expect_scalar(given, 1, "k")?;
        let x = given.shape(0)?;
        let along = axis(self.axis, x.rank())?;
        let k = given.items(1).and_then(|items| items.first().copied());
        let len = x.dims()[along];
        if let Some(k) = k.and_then(super::Item::known)
            && usize::try_from(k).map_or(true, |k| len.size().is_some_and(|len| k > len))
        {
            return Err(format!("k is {k}, axis {along} of {x} has {len} elements"));
        }
        let mut dims = x.dims().to_vec();
        dims[along] = k.map_or(Dim::Unknown, super::Item::dim);
        let shape = Shape::new(dims);
        Ok(vec![Fact::new(given.dtype(0)?, shape.clone()), Fact::new(DataType::I64, shape)])
    }
}

impl Read for TopK {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "TopK")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.int_or("axis", -1)?,
            largest: attributes.flag("largest", true)?,
            sorted: attributes.flag("sorted", true)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: -1, largest: true, sorted: true }]
    }
}

/// The different elements, or the different slices along an axis; further outputs are the index of the first of each,
/// for each element the index of its like in the result, and how many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// The axis of the slices; without one the input is flattened.
    pub axis: Option<i64>,
    /// Whether the result is in ascending order, otherwise in the order of the first of each.
    pub sorted: bool,
}

impl Operator for Unique {
    fn name(&self) -> &'static str {
        "Unique"
    }

    fn since(&self) -> i64 {
        11
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 4)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = self.axis.map(|a| ("axis", a.into())).into_iter().collect();
        if !self.sorted {
            all.push(("sorted", self.sorted.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let (dims, len) = match self.axis {
            None => (vec![Dim::Unknown], product(x.dims())),
            Some(a) => {
                let a = axis(a, x.rank())?;
                let mut dims = x.dims().to_vec();
                let len = std::mem::replace(&mut dims[a], Dim::Unknown);
                (dims, len)
            }
        };
        let vector = |dim: Dim| Fact::new(DataType::I64, Shape::new(vec![dim]));
        let values = Fact::new(given.dtype(0)?, Shape::new(dims));
        Ok(vec![values, vector(Dim::Unknown), vector(len), vector(Dim::Unknown)])
    }
}

impl Read for Unique {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Unique")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int("axis")?, sorted: attributes.flag("sorted", true)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: None, sorted: true }]
    }
}

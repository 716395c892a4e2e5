//! Shapes and sizes as values.

use super::attributes::{AttributeList, Attributes};
use super::layout::product;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// ONNX's Shape: the dimensions `start..end` of a value as a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeOf {
    /// The first dimension; negative ones count from the back.
    pub start: i64,
    /// The dimension behind the last one; all to the end if there is none.
    pub end: Option<i64>,
}

impl ShapeOf {
    /// The whole shape.
    pub const ALL: Self = Self { start: 0, end: None };

    /// The dimensions of a value of this rank; what lies outside is cut off.
    pub fn range(&self, rank: usize) -> std::ops::Range<usize> {
        let limit = i64::try_from(rank).unwrap_or(i64::MAX);
        let place = |at: i64| {
            let from_front = if at < 0 { at.saturating_add(limit) } else { at };
            usize::try_from(from_front.clamp(0, limit)).unwrap_or(rank)
        };
        let (start, end) = (place(self.start), self.end.map_or(rank, place));
        start..end.max(start)
    }
}

impl Operator for ShapeOf {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn since(&self) -> i64 {
        if *self == Self::ALL { 1 } else { 15 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.start != 0 {
            all.push(("start", self.start.into()));
        }
        all.extend(self.end.map(|end| ("end", end.into())));
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let items: Vec<Item> = x.dims()[self.range(x.rank())].iter().copied().map(Item::of).collect();
        Ok(vec![Fact::new(DataType::I64, Shape::fixed(&[items.len()])).with_items(Some(items))])
    }
}

impl Read for ShapeOf {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Shape")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { start: attributes.int_or("start", 0)?, end: attributes.int("end")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self::ALL]
    }
}

/// ONNX's Size: the number of elements of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeOf;

impl Operator for SizeOf {
    fn name(&self) -> &'static str {
        "Size"
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
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let size: Dim = product(given.shape(0)?.dims());
        Ok(vec![Fact::new(DataType::I64, Shape::fixed(&[])).with_items(Some(vec![Item::of(size)]))])
    }
}

impl Read for SizeOf {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Size")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_beyond_the_rank_are_cut_off() {
        // ONNX: start and end are clamped to the rank, negative ones count from the back.
        let range = |start, end| ShapeOf { start, end }.range(3);
        assert_eq!(range(0, None), 0..3);
        assert_eq!(range(-1, None), 2..3);
        assert_eq!(range(0, Some(-1)), 0..2);
        assert_eq!(range(-9, Some(9)), 0..3);
        assert_eq!(range(2, Some(1)), 2..2);
        assert_eq!(range(i64::MIN, Some(i64::MAX)), 0..3);
    }
}

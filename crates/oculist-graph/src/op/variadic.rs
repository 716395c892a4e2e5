//! Functions of any number of elements, with broadcasting.

use super::attributes::{AttributeList, Attributes};
use super::binary::{broadcast, broadcast_ties};
use super::prune::Ties;
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, Item, Operator, Read, Role, Written};
use super::types::NUMBERS;
use crate::shape::Shape;

/// A function of any number of elements; shapes are broadcast as NumPy does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// Sum of all.
    Sum,
    /// Sum of all over their number.
    Mean,
    /// The smallest; a NaN is smaller than any number.
    Min,
    /// The largest; a NaN is larger than any number.
    Max,
}

impl Variadic {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sum, Self::Mean, Self::Min, Self::Max];

    fn items(self, given: &Given) -> Option<Vec<Item>> {
        let all: Vec<Vec<Item>> = (0..given.len()).map(|i| given.items(i)).collect::<Option<_>>()?;
        let len = all.iter().map(Vec::len).find(|&n| n != 1).unwrap_or(1);
        let at = |items: &Vec<Item>, i: usize| items.get(if items.len() == 1 { 0 } else { i }).copied();
        (0..len)
            .map(|i| {
                let each: Vec<Item> = all.iter().map(|items| at(items, i)).collect::<Option<_>>()?;
                let known: Option<Vec<i64>> = each.iter().map(|item| item.known()).collect();
                let value = known
                    .and_then(|v| if self == Self::Min { v.into_iter().min() } else { v.into_iter().max() });
                // Of one and the same size, it is that size.
                let same = each.first().copied().filter(|first| each.iter().all(|item| item == first));
                Some(value.map(Item::Known).or(same).unwrap_or(Item::UNKNOWN))
            })
            .collect()
    }
}

impl Operator for Variadic {
    fn name(&self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Mean => "Mean",
            Self::Min => "Min",
            Self::Max => "Max",
        }
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let ordered = matches!(self, Self::Min | Self::Max);
        given.expect(0, if ordered { NUMBERS } else { FLOATS })?;
        let dtype = given.same_type(0, 1..given.len())?;
        let mut shape = given.shape(0)?.clone();
        for i in 1..given.len() {
            shape = broadcast(&shape, given.shape(i)?)?;
        }
        let items = if ordered { self.items(given) } else { None };
        Ok(vec![Fact::new(dtype, shape).with_items(items)])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        broadcast_ties(given, outputs, 0..given.len())
    }

    fn quantization(&self) -> Quantization {
        match self {
            Self::Sum | Self::Mean => Quantization::Arithmetic,
            Self::Min | Self::Max => Quantization::Float,
        }
    }
}

impl Read for Variadic {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "Sum"), ("", "Mean"), ("", "Min"), ("", "Max")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["consumed_inputs"]);
        let found = Self::ALL.iter().find(|op| op.name() == written.name);
        found.copied().ok_or_else(|| format!("`{}` is no function of many elements", written.name))
    }

    fn examples() -> Vec<Self> {
        Self::ALL.to_vec()
    }
}

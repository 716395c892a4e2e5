//! Elements chosen by conditions: Where, Compress, NonZero.

use super::attributes::{AttributeList, Attributes};
use super::binary::{broadcast, broadcast_ties};
use super::prune::Ties;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// `x` where the condition holds, `y` elsewhere; inputs `condition, x, y` are broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Where;

fn chosen(given: &Given) -> Option<Vec<Item>> {
    let (c, x, y) = (given.items(0)?, given.items(1)?, given.items(2)?);
    let len = [&c, &x, &y].iter().map(|v| v.len()).find(|&n| n != 1).unwrap_or(1);
    let at = |items: &[Item], i: usize| items.get(if items.len() == 1 { 0 } else { i }).copied();
    (0..len)
        .map(|i| {
            let (c, x, y) = (at(&c, i)?, at(&x, i)?, at(&y, i)?);
            Some(match c.known() {
                Some(0) => y,
                Some(_) => x,
                None if x == y => x,
                None => Item::UNKNOWN,
            })
        })
        .collect()
}

impl Operator for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn since(&self) -> i64 {
        9
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[DataType::Bool])?;
        let dtype = given.same_type(1, [2])?;
        let shape = broadcast(&broadcast(given.shape(1)?, given.shape(2)?)?, given.shape(0)?)?;
        Ok(vec![Fact::new(dtype, shape).with_items(chosen(given))])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        broadcast_ties(given, outputs, 0..3)
    }
}

impl Read for Where {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Where")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

/// The slices along an axis whose condition holds; without an axis, elements of the flattened input.
///
/// Slices behind the end of the condition are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compress {
    /// The axis; negative ones count from the back.
    pub axis: Option<i64>,
}

impl Operator for Compress {
    fn name(&self) -> &'static str {
        "Compress"
    }

    fn since(&self) -> i64 {
        if self.axis.is_some_and(|a| a < 0) { 11 } else { 9 }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        self.axis.map(|a| ("axis", a.into())).into_iter().collect()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::Bool])?;
        let (x, condition) = (given.shape(0)?, given.shape(1)?);
        if condition.rank() != 1 {
            return Err(format!("the condition must have 1 dimension, found {condition}"));
        }
        let (before, len, behind) = match self.axis {
            None => (&[][..], super::layout::product(x.dims()), &[][..]),
            Some(a) => {
                let a = axis(a, x.rank())?;
                (&x.dims()[..a], x.dims()[a], &x.dims()[a + 1..])
            }
        };
        // The condition may be longer than the axis, as long as what is behind the end is false.
        let ints = given.ints(1);
        let kept = ints.as_ref().map(|c| c.iter().filter(|&&v| v != 0).count());
        let last = ints.as_ref().and_then(|c| c.iter().rposition(|&v| v != 0));
        if let (Some(last), Some(len)) = (last, len.size())
            && last >= len
        {
            return Err(format!("the condition chooses index {last}, there are {len}"));
        }
        let dims = [before, &[Dim::of(kept)], behind].concat();
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }
}

impl Read for Compress {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Compress")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int("axis")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: Some(0) }]
    }
}

/// The indices of all elements that are not zero, row-major: a matrix `[rank, number]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonZero;

impl Operator for NonZero {
    fn name(&self) -> &'static str {
        "NonZero"
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
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let rank = given.shape(0)?.rank();
        Ok(vec![Fact::new(DataType::I64, Shape::new(vec![Dim::Fixed(rank), Dim::Unknown]))])
    }
}

impl Read for NonZero {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "NonZero")];

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
    use crate::op::Seen;

    fn seen<'a>(dtype: DataType, shape: &'a Shape, items: &'a [Item]) -> Seen<'a> {
        Seen { name: "", dtype, shape, items: Some(items), tensor: None }
    }

    #[test]
    fn what_is_chosen_by_a_known_condition_is_followed() {
        // As exporters write Expand: where(shape == -1, 1, shape) for [N, -1, ?].
        let shape = Shape::fixed(&[3]);
        let items = [Item::Size(Dim::Batch), Item::Known(-1), Item::UNKNOWN];
        let condition = [Item::Known(0), Item::Known(1), Item::UNKNOWN];
        let ones = [Item::Known(1); 3];
        let inputs = vec![
            Some(seen(DataType::Bool, &shape, &condition)),
            Some(seen(DataType::I64, &shape, &ones)),
            Some(seen(DataType::I64, &shape, &items)),
        ];
        let facts = Where.infer(&Given { inputs, outputs: 1 }).unwrap();
        assert_eq!(facts[0].items, Some(vec![Item::Size(Dim::Batch), Item::Known(1), Item::UNKNOWN]));
    }
}

//! Other element types: by value (Cast, CastLike) and by bits (BitCast).

use super::attributes::{AttributeList, Attributes};
use super::layout::axes_stay;
use super::prune::Ties;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written};
use super::types::coded;
use crate::shape::Shape;
use crate::tensor::DataType;

/// The values in another element type.
///
/// `saturate` says something of 8-bit floats only, which no tensor here holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// The element type of the result.
    pub to: DataType,
}

/// What is known of small integers in another element type.
fn items(given: &Given, to: DataType) -> Option<Vec<Item>> {
    if !given.dtype(0).is_ok_and(|t| !t.is_float()) || to.is_float() {
        return None;
    }
    if given.dtype(0) == Ok(to) {
        return given.items(0);
    }
    let bits = 8 * to.size();
    let keep = |item: Item| match (item, to) {
        (Item::Known(v), DataType::Bool) => Item::Known((v != 0).into()),
        (Item::Size(_), DataType::Bool) => Item::UNKNOWN,
        // A size is far smaller than what 32 bits hold, or the model does not run.
        (Item::Size(_), _) => item,
        (Item::Known(v), DataType::I64 | DataType::I32 | DataType::I16 | DataType::I8) => {
            let limit = i64::MAX >> (64 - bits);
            if (-limit..=limit).contains(&v) { item } else { Item::UNKNOWN }
        }
        (Item::Known(v), _) => {
            let limit = if to.size() == 8 { i64::MAX } else { (1 << bits) - 1 };
            if (0..=limit).contains(&v) { item } else { Item::UNKNOWN }
        }
    };
    (!matches!(to, DataType::U4 | DataType::I4))
        .then(|| given.items(0))?
        .map(|all| all.into_iter().map(keep).collect())
}

/// The first opset that casts to a type.
fn since(to: DataType) -> i64 {
    match to {
        DataType::BF16 => 13,
        DataType::U4 | DataType::I4 => 21,
        _ => 1,
    }
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn since(&self) -> i64 {
        since(self.to)
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        vec![("to", self.to.code().into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        Ok(vec![Fact::new(self.to, given.shape(0)?.clone()).with_items(items(given, self.to))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for Cast {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Cast")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["saturate", "round_mode"]);
        // Before opset 6 the type was a text.
        let to = match attributes.take("to") {
            None => return Err("the attribute `to` is missing".to_owned()),
            Some(super::Attribute::Int(code)) => coded("to", code)?,
            Some(super::Attribute::Text(name)) => DataType::of_proto_name(&name).ok_or_else(|| {
                format!("the attribute `to` is `{name}`, which is no supported element type")
            })?,
            Some(other) => return Err(format!("the attribute `to` must be an integer, found {other}")),
        };
        Ok(Self { to })
    }

    fn examples() -> Vec<Self> {
        vec![Self { to: DataType::F32 }, Self { to: DataType::I64 }]
    }
}

/// The values of the first input in the element type of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CastLike;

impl Operator for CastLike {
    fn name(&self) -> &'static str {
        "CastLike"
    }

    fn since(&self) -> i64 {
        15
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let to = given.dtype(1)?;
        Ok(vec![Fact::new(to, given.shape(0)?.clone()).with_items(items(given, to))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for CastLike {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "CastLike")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["saturate", "round_mode"]);
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

/// The same bits in another element type of the same width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitCast {
    /// The element type of the result.
    pub to: DataType,
}

/// Bits of an element in a file.
fn bits(dtype: DataType) -> usize {
    if matches!(dtype, DataType::U4 | DataType::I4) { 4 } else { 8 * dtype.size() }
}

impl Operator for BitCast {
    fn name(&self) -> &'static str {
        "BitCast"
    }

    fn since(&self) -> i64 {
        26
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        vec![("to", self.to.code().into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let from = given.dtype(0)?;
        if bits(from) != bits(self.to) {
            let (a, b) = (bits(self.to), bits(from));
            return Err(format!("{} has {a} bits, the input is {} of {b}", self.to.name(), from.name()));
        }
        Ok(vec![Fact::new(self.to, given.shape(0)?.clone())])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for BitCast {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "BitCast")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { to: coded("to", attributes.int("to")?.ok_or("the attribute `to` is missing")?)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { to: DataType::I32 }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Seen;
    use crate::shape::Dim;

    fn seen<'a>(dtype: DataType, shape: &'a Shape, items: &'a [Item]) -> Seen<'a> {
        Seen { name: "", dtype, shape, items: Some(items), tensor: None }
    }

    #[test]
    fn small_integers_are_followed_where_they_fit() {
        let shape = Shape::fixed(&[3]);
        let items = [Item::Size(Dim::Batch), Item::Known(-2), Item::Known(300)];
        let to = |to: DataType| {
            let given = Given { inputs: vec![Some(seen(DataType::I64, &shape, &items))], outputs: 1 };
            Cast { to }.infer(&given).unwrap().remove(0).items
        };
        assert_eq!(to(DataType::I32), Some(items.to_vec()));
        assert_eq!(to(DataType::U8), Some(vec![items[0], Item::UNKNOWN, Item::UNKNOWN]));
        assert_eq!(to(DataType::Bool), Some(vec![Item::UNKNOWN, Item::Known(1), Item::Known(1)]));
        assert_eq!(to(DataType::F32), None);
    }

    #[test]
    fn types_have_the_numbers_of_the_format() {
        assert_eq!((DataType::of_code(1), DataType::of_code(8)), (Some(DataType::F32), None));
        assert!(DataType::ALL.iter().all(|&t| DataType::of_code(t.code()) == Some(t)));
    }
}

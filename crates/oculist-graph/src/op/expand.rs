//! Elements repeated.

use super::attributes::{AttributeList, Attributes};
use super::binary::broadcast;
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, MAX_ITEMS, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// The value broadcast to the shape that input 1 names; a size of 1 in it leaves the value's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expand;

/// The value repeated along each axis as often as input 1 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile;

/// The numbers of input 1 as far as they are known.
fn target(given: &Given) -> Result<Vec<Item>, String> {
    given.expect(1, &[DataType::I64])?;
    let shape = given.shape(1)?;
    if shape.rank() != 1 {
        return Err(format!("expected a vector of sizes, found {shape}"));
    }
    if let Some(items) = given.items(1) {
        if let Some(negative) = items.iter().filter_map(|i| i.known()).find(|&n| n < 0) {
            return Err(format!("a size is {negative}, expected at least 0"));
        }
        return Ok(items);
    }
    let len = shape.get(0).filter(|&n| n <= MAX_ITEMS).ok_or("the number of sizes must be known")?;
    Ok(vec![Item::UNKNOWN; len])
}

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn since(&self) -> i64 {
        8
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let target = Shape::new(target(given)?.into_iter().map(Item::dim).collect());
        let shape = broadcast(x, &target)?;
        let len = shape.sizes().filter(|s| s.len() <= 1).map(|s| s.iter().product::<usize>());
        let items = match (given.items(0), len) {
            (Some(items), Some(len)) if items.len() == 1 && len <= MAX_ITEMS => Some(vec![items[0]; len]),
            (items, _) => items,
        };
        Ok(vec![Fact::new(given.dtype(0)?, shape).with_items(items)])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let Ok(x) = given.shape(0) else { return Ties::Unknown };
        let out = outputs[0];
        let missing = out.rank() - x.rank().min(out.rank());
        let stays = |a: &usize| x.dims()[*a] == out.dims()[a + missing] && x.dims()[*a] != Dim::Unknown;
        // A size in the target would have to change with the axis, a 1 in it need not.
        let items = given.items(1).unwrap_or_default();
        let free = |a: &usize| {
            let behind = x.rank() - a;
            items.len() < behind || items[items.len() - behind] == Item::Known(1)
        };
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, a + missing));
        Ties::Known((0..x.rank()).filter(stays).filter(free).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for Expand {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Expand")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }

    fn since(&self) -> i64 {
        6
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let repeats = target(given)?;
        if repeats.len() != x.rank() {
            return Err(format!(
                "{} repeats are given, the value has {} dimensions",
                repeats.len(),
                x.rank()
            ));
        }
        let dim = |(&dim, repeat): (&Dim, &Item)| match (dim, repeat.dim()) {
            (dim, Dim::Fixed(1)) => dim,
            (Dim::Fixed(size), Dim::Fixed(n)) => Dim::Fixed(size.saturating_mul(n)),
            (Dim::Fixed(1), n) => n,
            (_, Dim::Fixed(0)) => Dim::Fixed(0),
            _ => Dim::Unknown,
        };
        let dims: Vec<Dim> = x.dims().iter().zip(&repeats).map(dim).collect();
        let items = match (given.items(0), &repeats[..]) {
            (items, []) => items,
            (Some(items), [Item::Known(n)]) => {
                let len =
                    usize::try_from(*n).unwrap_or(0).checked_mul(items.len()).filter(|&n| n <= MAX_ITEMS);
                len.map(|len| items.iter().copied().cycle().take(len).collect())
            }
            _ => None,
        };
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(items)])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let items = given.items(1).unwrap_or_default();
        let once = |a: &usize| items.get(*a) == Some(&Item::Known(1));
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, a));
        Ties::Known((0..outputs[0].rank()).filter(once).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for Tile {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Tile")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

//! Axes in another order.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::reshape::axes_of;
use super::schema::{Fact, Given, Operator, Read, Role, Written};
use crate::shape::Shape;

/// Axis `i` of the result is axis `order[i]` of the input; all axes are reversed without an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpose {
    /// The input's axes in the order of the result; negative ones count from the back.
    pub order: Option<Vec<i64>>,
}

impl Transpose {
    /// An order of axes.
    pub fn new(order: &[i64]) -> Self {
        Self { order: Some(order.to_vec()) }
    }

    /// The input's axes in the order of the result.
    ///
    /// # Errors
    /// If the order does not name each axis once.
    pub fn axes(&self, rank: usize) -> Result<Vec<usize>, String> {
        match &self.order {
            None => Ok((0..rank).rev().collect()),
            Some(order) if order.len() != rank => {
                Err(format!("the order {order:?} names {} axes, the value has {rank}", order.len()))
            }
            Some(order) => axes_of(order, rank),
        }
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        self.order.iter().map(|order| ("perm", order.clone().into())).collect()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let dims = self.axes(x.rank())?.into_iter().map(|a| x.dims()[a]).collect();
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(given.items(0))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Ok(x) = given.shape(0) else { return Ties::Unknown };
        let Ok(axes) = self.axes(x.rank()) else { return Ties::Unknown };
        let same = |(to, from)| Tie::Same(Port::Input(0, from), Port::Output(0, to));
        Ties::Known(axes.into_iter().enumerate().map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for Transpose {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Transpose")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { order: attributes.ints("perm")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { order: None }, Self::new(&[0, 2, 3, 1])]
    }
}

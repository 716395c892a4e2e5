//! Pooling by a p-norm.

use super::attributes::{AttributeList, Attributes};
use super::pool::{channels_stay, pooled};
use super::prune::Ties;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::window::Window;
use crate::shape::Shape;

/// `(sum |x|^p)^(1/p)` over a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LpPool {
    /// The window.
    pub window: Window,
    /// Whether the last window may hang over the end.
    pub ceil_mode: bool,
    /// The exponent.
    pub p: i64,
}

impl Operator for LpPool {
    fn name(&self) -> &'static str {
        "LpPool"
    }

    fn since(&self) -> i64 {
        if self.ceil_mode || self.window.dilation.iter().any(|&d| d != 1) { 18 } else { 2 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.window.attributes();
        if self.ceil_mode {
            all.push(("ceil_mode", true.into()));
        }
        if self.p != 2 {
            all.push(("p", self.p.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        Ok(vec![Fact::new(given.dtype(0)?, pooled(&self.window, self.ceil_mode, given.shape(0)?)?)])
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        OpCost { macs: 0, reads: self.window.taps() as u64 }
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        channels_stay()
    }
}

impl Read for LpPool {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "LpPool")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            p: attributes.int_or("p", 2)?,
            ceil_mode: attributes.flag("ceil_mode", false)?,
            window: Window::read(attributes, None)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { window: Window::square(2, 2, 0), ceil_mode: false, p: 2 }]
    }
}

//! Bounds that are inputs.

use super::attributes::{AttributeList, Attributes};
use super::layout::axes_stay;
use super::prune::Ties;
use super::schema::{Fact, Given, Operator, Read, Role, Written};
use super::types::{NUMBERS, expect_scalar};
use crate::shape::Shape;

/// `min(max(x, min), max)`; inputs `x` and, if there is a bound, `min` and `max`.
///
/// With constant float bounds it is `Unary::Clip`, which kernels fuse and tables hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip;

impl Operator for Clip {
    fn name(&self) -> &'static str {
        "Clip"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        let dtype = given.same_type(0, [1, 2])?;
        expect_scalar(given, 1, "the lower bound")?;
        expect_scalar(given, 2, "the upper bound")?;
        Ok(vec![Fact::new(dtype, given.shape(0)?.clone())])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }
}

impl Read for Clip {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Clip")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["consumed_inputs"]);
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

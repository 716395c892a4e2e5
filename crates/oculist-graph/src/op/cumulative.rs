//! Running sums and products along an axis.

use super::attributes::{AttributeList, Attributes};
use super::schema::{Fact, Given, Operator, Read, Role, Written, axis};
use super::types::{INDICES, SUMMED, expect_scalar, scalar};

/// Which running value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CumulativeKind {
    /// `y_i = x_0 + ... + x_i`.
    Sum,
    /// `y_i = x_0 * ... * x_i`.
    Prod,
}

/// A running sum or product; inputs `x, axis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cumulative {
    /// Which running value.
    pub kind: CumulativeKind,
    /// Whether an element itself is left out of its result.
    pub exclusive: bool,
    /// Whether it runs from the end to the start.
    pub reverse: bool,
}

impl Operator for Cumulative {
    fn name(&self) -> &'static str {
        match self.kind {
            CumulativeKind::Sum => "CumSum",
            CumulativeKind::Prod => "CumProd",
        }
    }

    fn since(&self) -> i64 {
        match self.kind {
            CumulativeKind::Sum => 11,
            CumulativeKind::Prod => 26,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.exclusive {
            all.push(("exclusive", self.exclusive.into()));
        }
        if self.reverse {
            all.push(("reverse", self.reverse.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, SUMMED)?;
        given.expect(1, INDICES)?;
        expect_scalar(given, 1, "the axis")?;
        let x = given.shape(0)?;
        if let Some(along) = scalar(given, 1) {
            axis(along, x.rank())?;
        }
        Ok(vec![Fact::new(given.dtype(0)?, x.clone())])
    }
}

impl Read for Cumulative {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "CumSum"), ("", "CumProd")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let kind = if written.name == "CumSum" { CumulativeKind::Sum } else { CumulativeKind::Prod };
        Ok(Self {
            kind,
            exclusive: attributes.flag("exclusive", false)?,
            reverse: attributes.flag("reverse", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        [CumulativeKind::Sum, CumulativeKind::Prod]
            .map(|kind| Self { kind, exclusive: false, reverse: false })
            .to_vec()
    }
}

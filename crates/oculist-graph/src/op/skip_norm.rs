//! Sums that are normalised over their last axis.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// `norm(x + skip + bias)` over the last axis, of `com.microsoft`; inputs `x, skip, gamma, beta, bias`, the last two
/// optional, and without `beta` where the mean is kept. Outputs are the result, mean and `1 / sqrt(var + epsilon)`, and
/// the sum.
///
/// # Shapes
/// `x` `[N, L, C]` or `[N, C]`, `skip` the same or without (or with 1 for) the first axis, the others `[C]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkipLayerNormalization {
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether the mean is kept: the root mean square is divided by.
    pub simplified: bool,
}

impl SkipLayerNormalization {
    /// Number of the input `bias`.
    pub fn bias(&self) -> usize {
        if self.simplified { 3 } else { 4 }
    }
}

impl Operator for SkipLayerNormalization {
    fn name(&self) -> &'static str {
        if self.simplified { "SkipSimplifiedLayerNormalization" } else { "SkipLayerNormalization" }
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (3, self.bias() + 1)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i < 2 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        vec![("epsilon", self.epsilon.into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, 1..5)?;
        let (x, skip) = (given.shape(0)?, given.shape(1)?);
        let Some(&last) = x.dims().last() else {
            return Err(format!("expected a value of at least one dimension, found {x}"));
        };
        let missing = x.rank().saturating_sub(skip.rank());
        let fits = skip.rank() > 0
            && skip.rank() <= x.rank()
            && skip.dims().iter().zip(&x.dims()[missing..]).enumerate().all(|(i, (&a, &b))| {
                // Only the first axis may be the same for all samples.
                a.may_equal(b) || (i == 0 && missing == 0 && a == Dim::Fixed(1))
            });
        if !fits || missing > 1 {
            return Err(format!("expected a sum of {x} and a value of its shape, found {skip}"));
        }
        let names = ["gamma", if self.simplified { "a bias" } else { "beta" }, "a bias"];
        for (i, what) in (2..=self.bias()).zip(names) {
            if given.get(i).is_some() {
                given.vector(i, what, last)?;
            }
        }
        let mut reduced = x.dims().to_vec();
        reduced.pop();
        reduced.push(Dim::Fixed(1));
        let statistic = Fact::new(DataType::F32, Shape::new(reduced));
        let mut facts =
            vec![Fact::new(dtype, x.clone()), statistic.clone(), statistic, Fact::new(dtype, x.clone())];
        facts.truncate(given.outputs.max(1));
        Ok(facts)
    }
}

impl Read for SkipLayerNormalization {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("com.microsoft", "SkipLayerNormalization"), ("com.microsoft", "SkipSimplifiedLayerNormalization")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            epsilon: attributes.float_or("epsilon", 1e-12)?,
            simplified: written.name == "SkipSimplifiedLayerNormalization",
        })
    }

    fn examples() -> Vec<Self> {
        [false, true].map(|simplified| Self { epsilon: 1e-5, simplified }).to_vec()
    }
}

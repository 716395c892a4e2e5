//! Fully connected layers and matrix products.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::Shape;
use crate::tensor::DataType;

/// `alpha * a * b + beta * c`, `a` and `b` transposed as asked.
///
/// # Shapes
/// `a` `[N, in]`, `b` `[in, out]` (`[out, in]` with `trans_b`), `c` broadcast to `[N, out]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the addend.
    pub beta: f32,
    /// Whether `a` is transposed.
    pub trans_a: bool,
    /// Whether `b` is transposed.
    pub trans_b: bool,
}

impl Gemm {
    /// A fully connected layer `x * w^T + b` with `w` of shape `[out, in]`.
    pub const LINEAR: Self = Self { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true };
}

impl Operator for Gemm {
    fn name(&self) -> &'static str {
        "Gemm"
    }

    fn since(&self) -> i64 {
        7
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.alpha != 1.0 {
            all.push(("alpha", self.alpha.into()));
        }
        if self.beta != 1.0 {
            all.push(("beta", self.beta.into()));
        }
        if self.trans_a {
            all.push(("transA", true.into()));
        }
        if self.trans_b {
            all.push(("transB", true.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let dtype = given.same_type(0, [1, 2])?;
        if dtype == DataType::Bool {
            return Err("the inputs must be numbers, found bool".to_owned());
        }
        let (a, b) = (given.shape(0)?, given.shape(1)?);
        if a.rank() != 2 || b.rank() != 2 {
            return Err(format!("expected [N, in] and a weight [out, in], found {a} and {b}"));
        }
        let (rows, inner) = (a.dims()[usize::from(self.trans_a)], a.dims()[usize::from(!self.trans_a)]);
        let (also_inner, columns) =
            (b.dims()[usize::from(self.trans_b)], b.dims()[usize::from(!self.trans_b)]);
        if !inner.may_equal(also_inner) {
            return Err(format!("expected [N, in] and a weight [out, in], found {a} and {b}"));
        }
        let shape = Shape::new(vec![rows, columns]);
        // A size that is open may be that of the result when the graph runs.
        let fits = |c: &Shape| {
            let behind = &shape.dims()[2usize.saturating_sub(c.rank())..];
            c.rank() <= 2
                && c.dims().iter().zip(behind).all(|(d, of)| d.size() == Some(1) || d.may_equal(*of))
        };
        if let Some(c) = given.get(2)
            && !fits(c.shape)
        {
            return Err(format!("expected a bias that is broadcast to {shape}, found {}", c.shape));
        }
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let inner = given.shape(1).ok().and_then(|w| w.get(usize::from(self.trans_b))).unwrap_or(0);
        OpCost { macs: (outputs[0].elements_per_sample() as u64).saturating_mul(inner as u64), reads: 1 }
    }

    fn is_layer(&self) -> bool {
        true
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let (inner, rows) = (usize::from(self.trans_b), usize::from(!self.trans_b));
        let out = Port::Output(0, 1);
        let x = Port::Input(0, usize::from(!self.trans_a));
        let mut ties = vec![Tie::Same(out, Port::Input(1, rows)), Tie::Same(x, Port::Input(1, inner))];
        match given.get(2).map(|c| c.shape.rank()) {
            None => {}
            Some(1) => ties.push(Tie::Same(out, Port::Input(2, 0))),
            Some(_) => return Ties::Unknown,
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Layer
    }

    fn has_weight_rows(&self) -> bool {
        *self == Self::LINEAR
    }
}

impl Read for Gemm {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Gemm")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            alpha: attributes.float_or("alpha", 1.0)?,
            beta: attributes.float_or("beta", 1.0)?,
            trans_a: attributes.flag("transA", false)?,
            trans_b: attributes.flag("transB", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::LINEAR]
    }
}

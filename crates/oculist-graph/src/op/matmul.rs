//! Matrix products.

use super::attributes::{AttributeList, Attributes};
use super::binary::broadcast;
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::types::NUMBERS;
use crate::shape::{Dim, Shape};

/// Matrix product over the last two axes, those before are broadcast.
///
/// # Shapes
/// `[..., m, k]` and `[..., k, n]` to `[..., m, n]`. A vector in front counts as `[1, k]`, one behind as `[k, 1]`; the
/// axis of size 1 is left out of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMul;

/// `alpha * a * b` with `a` and `b` transposed as asked: the product of `com.microsoft`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedMatMul {
    /// Factor of the product.
    pub alpha: f32,
    /// Whether the last two axes of `a` are exchanged.
    pub trans_a: bool,
    /// Whether the last two axes of `b` are exchanged.
    pub trans_b: bool,
    /// Whether the first axis of `a` comes behind all others but the last, before anything else.
    pub trans_batch_a: bool,
    /// The same of `b`.
    pub trans_batch_b: bool,
}

/// Shape of the product of two values whose last two axes are matrices, and the common size.
pub(super) fn product(a: &Shape, b: &Shape) -> Result<(Shape, Dim), String> {
    let (Some((&k, a_rest)), false) = (a.dims().split_last(), b.rank() == 0) else {
        return Err(format!("expected [..., m, k] and [..., k, n], found {a} and {b}"));
    };
    let k_at = b.rank().saturating_sub(2);
    let also_k = b.dims()[k_at];
    if !k.may_equal(also_k) {
        return Err(format!("expected [..., m, k] and [..., k, n], found {a} and {b}"));
    }
    let (m, a_batch) = match a_rest.split_last() {
        None => (None, a_rest),
        Some((&m, batch)) => (Some(m), batch),
    };
    let n = (b.rank() > 1).then(|| b.dims()[k_at + 1]);
    let batch = broadcast(&Shape::new(a_batch.to_vec()), &Shape::new(b.dims()[..k_at].to_vec()))
        .map_err(|_| format!("the axes before the matrices differ: {a} and {b}"))?;
    let mut dims = batch.dims().to_vec();
    dims.extend(m);
    dims.extend(n);
    Ok((Shape::new(dims), k.or(also_k)))
}

/// Multiply-adds of a product with the common size `k`.
fn macs(output: Option<&&Shape>, k: Option<usize>) -> OpCost {
    let out = output.map_or(0, |s| s.elements_per_sample()) as u64;
    OpCost { macs: out.saturating_mul(k.unwrap_or(1) as u64), reads: 1 }
}

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        let dtype = given.same_type(0, [1])?;
        Ok(vec![Fact::new(dtype, product(given.shape(0)?, given.shape(1)?)?.0)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let k = given.shape(0).and_then(|a| product(a, given.shape(1)?)).ok().and_then(|(_, k)| k.size());
        macs(outputs.first(), k)
    }

    fn is_layer(&self) -> bool {
        true
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let (Ok(a), Ok(b), Some(out)) = (given.shape(0), given.shape(1), outputs.first()) else {
            return Ties::Unknown;
        };
        // With a weight of rank 2, all axes of `a` but the last are those of the result.
        if b.rank() != 2 || a.rank() == 0 || out.rank() != a.rank() {
            return Ties::Unknown;
        }
        let last = a.rank() - 1;
        let mut ties: Vec<Tie> =
            (0..last).map(|i| Tie::Same(Port::Input(0, i), Port::Output(0, i))).collect();
        ties.push(Tie::Same(Port::Input(0, last), Port::Input(1, 0)));
        ties.push(Tie::Same(Port::Output(0, last), Port::Input(1, 1)));
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Layer
    }
}

impl Read for MatMul {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "MatMul")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

impl FusedMatMul {
    /// The order in which the axes of `a` (or `b`) are read, for one of this rank.
    pub fn order(self, b: bool, rank: usize) -> Vec<usize> {
        let (trans, batch) =
            if b { (self.trans_b, self.trans_batch_b) } else { (self.trans_a, self.trans_batch_a) };
        let mut order: Vec<usize> = (0..rank).collect();
        if batch && rank > 2 {
            // [b_0, b_1, ..., m, k] is written as [m, b_0, b_1, ..., k].
            order[..rank - 1].rotate_left(1);
        }
        if trans && rank > 1 {
            order.swap(rank - 1, rank - 2);
        }
        order
    }

    fn turned(self, b: bool, shape: &Shape) -> Shape {
        Shape::new(self.order(b, shape.rank()).into_iter().map(|i| shape.dims()[i]).collect())
    }
}

impl Operator for FusedMatMul {
    fn name(&self) -> &'static str {
        "FusedMatMul"
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.alpha != 1.0 {
            all.push(("alpha", self.alpha.into()));
        }
        let flags = [
            ("transA", self.trans_a),
            ("transB", self.trans_b),
            ("transBatchA", self.trans_batch_a),
            ("transBatchB", self.trans_batch_b),
        ];
        all.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, on)| (name, on.into())));
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1])?;
        let (a, b) = (self.turned(false, given.shape(0)?), self.turned(true, given.shape(1)?));
        Ok(vec![Fact::new(dtype, product(&a, &b)?.0)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let (Ok(a), Ok(b)) = (given.shape(0), given.shape(1)) else { return OpCost { macs: 0, reads: 1 } };
        let common = product(&self.turned(false, a), &self.turned(true, b));
        macs(outputs.first(), common.ok().and_then(|(_, k)| k.size()))
    }
}

impl Read for FusedMatMul {
    const NAMES: &'static [(&'static str, &'static str)] = &[("com.microsoft", "FusedMatMul")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            alpha: attributes.float_or("alpha", 1.0)?,
            trans_a: attributes.flag("transA", false)?,
            trans_b: attributes.flag("transB", false)?,
            trans_batch_a: attributes.flag("transBatchA", false)?,
            trans_batch_b: attributes.flag("transBatchB", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { alpha: 0.5, trans_a: false, trans_b: true, trans_batch_a: false, trans_batch_b: false }]
    }
}

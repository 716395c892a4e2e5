//! Reductions along axes.

use super::attributes::{AttributeList, Attributes};
use super::layout::product;
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written, axis};
use super::types::{INDICES, NUMBERS, SUMMED};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// What becomes of the elements along the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReduceKind {
    /// `sum x / n`.
    Mean,
    /// `sum x`.
    Sum,
    /// The largest; of truth values, whether any holds.
    Max,
    /// The smallest; of truth values, whether all hold.
    Min,
    /// The product.
    Prod,
    /// `sum |x|`.
    L1,
    /// `sqrt(sum x^2)`.
    L2,
    /// `sum x^2`.
    SumSquare,
    /// `ln(sum x)`.
    LogSum,
    /// `ln(sum exp(x))`.
    LogSumExp,
}

impl ReduceKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Mean,
        Self::Sum,
        Self::Max,
        Self::Min,
        Self::Prod,
        Self::L1,
        Self::L2,
        Self::SumSquare,
        Self::LogSum,
        Self::LogSumExp,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Mean => "ReduceMean",
            Self::Sum => "ReduceSum",
            Self::Max => "ReduceMax",
            Self::Min => "ReduceMin",
            Self::Prod => "ReduceProd",
            Self::L1 => "ReduceL1",
            Self::L2 => "ReduceL2",
            Self::SumSquare => "ReduceSumSquare",
            Self::LogSum => "ReduceLogSum",
            Self::LogSumExp => "ReduceLogSumExp",
        }
    }

    /// What a vector of small integers is reduced to.
    fn item(self, items: &[Item]) -> Item {
        let known: Option<Vec<i64>> = items.iter().map(|i| i.known()).collect();
        match (self, known) {
            (Self::Sum, Some(v)) => v.iter().try_fold(0i64, |s, &x| s.checked_add(x)).map(Item::Known),
            (Self::Prod, Some(v)) => v.iter().try_fold(1i64, |s, &x| s.checked_mul(x)).map(Item::Known),
            (Self::Max, Some(v)) => v.into_iter().max().map(Item::Known),
            (Self::Min, Some(v)) => v.into_iter().min().map(Item::Known),
            // The size of a batch times ones is that of the batch.
            (Self::Prod, None) => Some(Item::of(product(&items.iter().map(|i| i.dim()).collect::<Vec<_>>()))),
            _ => None,
        }
        .unwrap_or(Item::UNKNOWN)
    }
}

/// A reduction; inputs `x` and, if not all axes are meant, `axes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduce {
    /// Which reduction.
    pub kind: ReduceKind,
    /// Whether reduced axes stay, with size 1.
    pub keepdims: bool,
    /// Whether empty axes mean none; otherwise they mean all.
    pub noop_with_empty_axes: bool,
}

impl Reduce {
    /// Per axis of a value, whether it is reduced.
    ///
    /// # Errors
    /// If an axis lies outside or is given twice.
    pub fn mask(&self, axes: &[i64], rank: usize) -> Result<Vec<bool>, String> {
        if axes.is_empty() {
            return Ok(vec![!self.noop_with_empty_axes; rank]);
        }
        let mut mask = vec![false; rank];
        for &a in axes {
            if std::mem::replace(&mut mask[axis(a, rank)?], true) {
                return Err(format!("the axis {a} is given twice"));
            }
        }
        Ok(mask)
    }

    /// The axes of a node, if they are known.
    fn known(self, given: &Given) -> Result<Option<Vec<bool>>, String> {
        let rank = given.shape(0)?.rank();
        let axes = if given.get(1).is_some() { given.ints(1) } else { Some(Vec::new()) };
        axes.map(|axes| self.mask(&axes, rank)).transpose()
    }
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn since(&self) -> i64 {
        if self.noop_with_empty_axes { 18 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if !self.keepdims {
            all.push(("keepdims", self.keepdims.into()));
        }
        if self.noop_with_empty_axes {
            all.push(("noop_with_empty_axes", self.noop_with_empty_axes.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        match self.kind {
            ReduceKind::Max | ReduceKind::Min => given.expect(0, &[NUMBERS, &[DataType::Bool]].concat())?,
            _ => given.expect(0, SUMMED)?,
        }
        given.expect(1, INDICES)?;
        let (dtype, x) = (given.dtype(0)?, given.shape(0)?);
        let Some(mask) = self.known(given)? else {
            // Axes that are computed: how many are left may be known, their sizes are not.
            let rank = match given.shape(1)?.get(0) {
                _ if self.keepdims => x.rank(),
                Some(n) if n > 0 => {
                    x.rank().checked_sub(n).ok_or_else(|| format!("{n} axes are given, found {x}"))?
                }
                _ => return Err("the number of axes must be known to tell the rank of the result".to_owned()),
            };
            return Ok(vec![Fact::new(dtype, Shape::new(vec![Dim::Unknown; rank]))]);
        };
        let mut dims = Vec::with_capacity(x.rank());
        for (&dim, &reduced) in x.dims().iter().zip(&mask) {
            match (reduced, self.keepdims) {
                (false, _) => dims.push(dim),
                (true, true) => dims.push(Dim::Fixed(1)),
                (true, false) => {}
            }
        }
        let items = if mask == [true] && !dtype.is_float() {
            given.items(0).map(|items| vec![self.kind.item(&items)])
        } else {
            None
        };
        Ok(vec![Fact::new(dtype, Shape::new(dims)).with_items(items)])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Ok(Some(mask)) = self.known(given) else { return Ties::Unknown };
        let mut to = 0;
        let mut ties = Vec::new();
        for (a, &reduced) in mask.iter().enumerate() {
            if !reduced {
                ties.push(Tie::Same(Port::Input(0, a), Port::Output(0, to)));
            }
            to += usize::from(!reduced || self.keepdims);
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        if self.kind == ReduceKind::Mean { Quantization::Arithmetic } else { Quantization::Float }
    }
}

impl Read for Reduce {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("", "ReduceMean"),
        ("", "ReduceSum"),
        ("", "ReduceMax"),
        ("", "ReduceMin"),
        ("", "ReduceProd"),
        ("", "ReduceL1"),
        ("", "ReduceL2"),
        ("", "ReduceSumSquare"),
        ("", "ReduceLogSum"),
        ("", "ReduceLogSumExp"),
    ];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let kind = ReduceKind::ALL.iter().find(|kind| kind.name() == written.name).copied();
        Ok(Self {
            kind: kind.ok_or_else(|| format!("`{}` is no reduction", written.name))?,
            keepdims: attributes.flag("keepdims", true)?,
            noop_with_empty_axes: attributes.flag("noop_with_empty_axes", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        ReduceKind::ALL
            .iter()
            .map(|&kind| Self { kind, keepdims: true, noop_with_empty_axes: false })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Seen;
    use crate::tensor::Tensor;

    fn infer(op: Reduce, x: &Shape, items: Option<&[Item]>, axes: Option<Vec<i64>>) -> Result<Fact, String> {
        let axes = axes.map(Tensor::ints);
        let length = axes.as_ref().map(|t| Shape::fixed(t.shape()));
        let dtype = if items.is_some() { DataType::I64 } else { DataType::F32 };
        let seen = |dtype, shape, items, tensor| Seen { name: "", dtype, shape, items, tensor };
        let mut inputs = vec![Some(seen(dtype, x, items, None))];
        inputs.extend(length.as_ref().map(|shape| Some(seen(DataType::I64, shape, None, axes.as_ref()))));
        op.infer(&Given { inputs, outputs: 1 }).map(|mut facts| facts.remove(0))
    }

    #[test]
    fn reduced_axes_go_or_become_one() {
        let mut op = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };
        let x = Shape::nchw(8, 7, 5);
        assert_eq!(infer(op, &x, None, Some(vec![2, -1])).unwrap().shape, Shape::nchw(8, 1, 1));
        op.keepdims = false;
        assert_eq!(infer(op, &x, None, Some(vec![2, 3])).unwrap().shape, Shape::nc(8));
        assert_eq!(infer(op, &x, None, None).unwrap().shape, Shape::fixed(&[]));
        let problem = infer(op, &x, None, Some(vec![4])).unwrap_err();
        assert_eq!(problem, "the axis is 4, the value has 4 dimensions");
        assert_eq!(infer(op, &x, None, Some(vec![1, -3])).unwrap_err(), "the axis -3 is given twice");
    }

    #[test]
    fn the_product_of_a_shape_keeps_the_batch() {
        let op = Reduce { kind: ReduceKind::Prod, keepdims: false, noop_with_empty_axes: false };
        let items = [Item::Size(Dim::Batch), Item::Known(1)];
        let fact = infer(op, &Shape::fixed(&[2]), Some(&items), None).unwrap();
        assert_eq!(fact.items, Some(vec![Item::Size(Dim::Batch)]));
    }
}

//! Operators of com.microsoft that take and give quantised values.

use super::Op;
use super::attributes::{AttributeList, Attributes};
use super::binary::Binary;
use super::layout::Concat;
use super::pool::{AveragePool, GlobalPool};
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Seen, Written};
use super::softmax::{Softmax, SoftmaxKind};
use super::transpose::Transpose;
use super::unary::Unary;
use crate::shape::Shape;
use crate::tensor::DataType;

/// An operator between dequantisation and quantisation.
///
/// Every value is followed by its scale and zero point (0 if it is left out); those of the result come last, but first
/// for [`QLinear::Concat`].
#[derive(Debug, Clone, PartialEq)]
pub enum QLinear {
    /// Sum.
    Add,
    /// Product.
    Mul,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x` where positive, `alpha * x` elsewhere.
    LeakyRelu {
        /// Slope of the negative side.
        alpha: f32,
    },
    /// Concatenation along an axis.
    Concat {
        /// The axis; negative ones count from the back.
        axis: i64,
    },
    /// Softmax.
    Softmax {
        /// The axis; negative ones count from the back.
        axis: i64,
        /// Opset of the softmax: before 13, the axis and all behind it are one.
        opset: i64,
    },
    /// Mean over a window.
    AveragePool {
        /// The pooling.
        pool: AveragePool,
        /// Whether channels come last.
        channels_last: bool,
    },
    /// Mean over all spatial axes.
    GlobalAveragePool {
        /// Whether channels come last.
        channels_last: bool,
    },
}

impl QLinear {
    /// The operator on floats.
    pub fn float(&self) -> Op {
        match self {
            Self::Add => Binary::Add.into(),
            Self::Mul => Binary::Mul.into(),
            Self::Sigmoid => Unary::Sigmoid.into(),
            Self::LeakyRelu { alpha } => Unary::LeakyRelu { alpha: *alpha }.into(),
            Self::Concat { axis } => Concat { axis: *axis }.into(),
            Self::Softmax { axis, opset } => {
                Softmax { kind: SoftmaxKind::Softmax, axis: *axis, flatten: *opset < 13 }.into()
            }
            Self::AveragePool { pool, .. } => pool.clone().into(),
            Self::GlobalAveragePool { .. } => GlobalPool::Average.into(),
        }
    }

    /// The inputs that hold values, of `count` inputs; each is followed by its scale and its zero point.
    pub fn values(&self, count: usize) -> Vec<usize> {
        match self {
            Self::Add | Self::Mul => vec![0, 3],
            Self::Concat { .. } => (2..count).step_by(3).collect(),
            Self::Sigmoid
            | Self::LeakyRelu { .. }
            | Self::Softmax { .. }
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool { .. } => vec![0],
        }
    }

    /// The input that is the scale of the result; its zero point follows.
    pub fn scale(&self) -> usize {
        match self {
            Self::Add | Self::Mul => 6,
            Self::Concat { .. } => 0,
            Self::Sigmoid
            | Self::LeakyRelu { .. }
            | Self::Softmax { .. }
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool { .. } => 3,
        }
    }

    /// The orders of axes before and behind the operator on floats, where channels come last.
    pub fn channels_last(&self, rank: usize) -> Option<(Transpose, Transpose)> {
        let last = match self {
            Self::AveragePool { channels_last, .. } | Self::GlobalAveragePool { channels_last } => {
                *channels_last
            }
            Self::Add
            | Self::Mul
            | Self::Sigmoid
            | Self::LeakyRelu { .. }
            | Self::Concat { .. }
            | Self::Softmax { .. } => false,
        };
        if !last || rank < 2 {
            return None;
        }
        let rank = i64::try_from(rank).ok()?;
        let to_front: Vec<i64> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let to_back: Vec<i64> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        Some((Transpose::new(&to_front), Transpose::new(&to_back)))
    }
}

/// The shape of a transposed value.
fn turned(shape: &Shape, order: &Transpose) -> Result<Shape, String> {
    Ok(Shape::new(order.axes(shape.rank())?.into_iter().map(|a| shape.dims()[a]).collect()))
}

impl Operator for QLinear {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "QLinearAdd",
            Self::Mul => "QLinearMul",
            Self::Sigmoid => "QLinearSigmoid",
            Self::LeakyRelu { .. } => "QLinearLeakyRelu",
            Self::Concat { .. } => "QLinearConcat",
            Self::Softmax { .. } => "QLinearSoftmax",
            Self::AveragePool { .. } => "QLinearAveragePool",
            Self::GlobalAveragePool { .. } => "QLinearGlobalAveragePool",
        }
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        match self {
            Self::Add | Self::Mul => (7, 8),
            Self::Concat { .. } => (4, usize::MAX),
            Self::GlobalAveragePool { .. } | Self::Softmax { .. } => (5, 5),
            Self::Sigmoid | Self::LeakyRelu { .. } | Self::AveragePool { .. } => (4, 5),
        }
    }

    fn role(&self, i: usize) -> Role {
        let value = match self {
            Self::Add | Self::Mul => i == 0 || i == 3,
            Self::Concat { .. } => i >= 2 && i % 3 == 2,
            _ => i == 0,
        };
        if value { Role::Data } else { Role::Quantization }
    }

    fn attributes(&self) -> AttributeList {
        let last = |all: &mut AttributeList, channels_last: bool| {
            if channels_last {
                all.push(("channels_last", true.into()));
            }
        };
        let mut all: AttributeList = Vec::new();
        match self {
            Self::Add | Self::Mul | Self::Sigmoid => {}
            Self::LeakyRelu { alpha } => all.push(("alpha", (*alpha).into())),
            Self::Concat { axis } => all.push(("axis", (*axis).into())),
            Self::Softmax { axis, opset } => {
                all.push(("axis", (*axis).into()));
                all.push(("opset", (*opset).into()));
            }
            Self::AveragePool { pool, channels_last } => {
                all = pool.attributes();
                last(&mut all, *channels_last);
            }
            Self::GlobalAveragePool { channels_last } => last(&mut all, *channels_last),
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let values = self.values(given.len());
        let first = *values.first().ok_or("there is no value")?;
        let dtype = given.same_type(first, values.iter().copied())?;
        given.expect(first, &[DataType::U8, DataType::I8])?;
        given.expect(self.scale(), FLOATS)?;
        given.same_type(first, [self.scale() + 1])?;
        let mut shapes = Vec::with_capacity(values.len());
        for &i in &values {
            given.expect(i + 1, FLOATS)?;
            given.seen(i + 1)?;
            given.same_type(i, [i + 2])?;
            let shape = given.shape(i)?;
            shapes.push(match self.channels_last(shape.rank()) {
                Some((before, _)) => turned(shape, &before)?,
                None => shape.clone(),
            });
        }
        let seen = |shape| Some(Seen { name: "", dtype: DataType::F32, shape, items: None, tensor: None });
        let floats = Given { inputs: shapes.iter().map(seen).collect(), outputs: 1 };
        let fact = self.float().infer(&floats)?.into_iter().next().ok_or("the operator has no result")?;
        let shape = match self.channels_last(fact.shape.rank()) {
            Some((_, behind)) => turned(&fact.shape, &behind)?,
            None => fact.shape,
        };
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        let reads = if let Self::AveragePool { pool, .. } = self { pool.window.taps() as u64 } else { 1 };
        OpCost { macs: 0, reads }
    }
}

impl Read for QLinear {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("com.microsoft", "QLinearAdd"),
        ("com.microsoft", "QLinearMul"),
        ("com.microsoft", "QLinearSigmoid"),
        ("com.microsoft", "QLinearLeakyRelu"),
        ("com.microsoft", "QLinearConcat"),
        ("com.microsoft", "QLinearSoftmax"),
        ("com.microsoft", "QLinearAveragePool"),
        ("com.microsoft", "QLinearGlobalAveragePool"),
    ];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(match written.name {
            "QLinearAdd" => Self::Add,
            "QLinearMul" => Self::Mul,
            "QLinearSigmoid" => Self::Sigmoid,
            "QLinearLeakyRelu" => Self::LeakyRelu { alpha: attributes.float_or("alpha", 0.01)? },
            "QLinearConcat" => {
                Self::Concat { axis: attributes.int("axis")?.ok_or("the attribute `axis` is missing")? }
            }
            "QLinearSoftmax" => {
                let opset = attributes.int("opset")?.ok_or("the attribute `opset` is missing")?;
                Self::Softmax { axis: attributes.int_or("axis", if opset < 13 { 1 } else { -1 })?, opset }
            }
            "QLinearAveragePool" => Self::AveragePool {
                channels_last: attributes.flag("channels_last", false)?,
                pool: AveragePool::read(written, attributes)?,
            },
            "QLinearGlobalAveragePool" => {
                Self::GlobalAveragePool { channels_last: attributes.flag("channels_last", false)? }
            }
            name => return Err(format!("`{name}` is no operator between quantised values")),
        })
    }

    fn examples() -> Vec<Self> {
        vec![
            Self::Add,
            Self::Mul,
            Self::Sigmoid,
            Self::LeakyRelu { alpha: 0.1 },
            Self::Concat { axis: 1 },
            Self::Softmax { axis: -1, opset: 13 },
            Self::AveragePool { pool: AveragePool::square(2, 2, 0, false), channels_last: false },
            Self::GlobalAveragePool { channels_last: false },
        ]
    }
}

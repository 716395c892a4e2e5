//! Functions of one element: the result has the shape of the input.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, Item, Operator, Read, Role, Written};
use crate::shape::Shape;
use crate::tensor::DataType;

/// A function of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, min), max)` with constant bounds; ReLU6 is `Clip { min: 0, max: 6 }`. See also `Op::Clip`.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `x` where positive, `alpha * x` elsewhere.
    LeakyRelu {
        /// Slope of the negative side.
        alpha: f32,
    },
    /// `x` where above `alpha`, 0 elsewhere.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// `x` where positive, `alpha * (exp(x) - 1)` elsewhere.
    Elu {
        /// Limit for small `x`, negated.
        alpha: f32,
    },
    /// `gamma * x` where positive, `gamma * alpha * (exp(x) - 1)` elsewhere.
    Selu {
        /// Limit for small `x`, negated, before scaling.
        alpha: f32,
        /// Scale.
        gamma: f32,
    },
    /// `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`.
    Celu {
        /// Limit for small `x`, negated.
        alpha: f32,
    },
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `x * P(X <= x)` for a normal `X`, exactly by the error function or approximately by a tanh.
    Gelu {
        /// Whether the tanh approximation is meant.
        tanh: bool,
    },
    /// `x * sigmoid(alpha * x)`; SiLU with `alpha` 1.
    Swish {
        /// Slope within the sigmoid.
        alpha: f32,
    },
    /// `x + bias` below `-lambd`, `x - bias` above `lambd`, 0 between.
    Shrink {
        /// Half of the width of the flat part.
        lambd: f32,
        /// What is taken off outside of it.
        bias: f32,
    },
    /// The error function.
    Erf,
    /// Square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// `e^x`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Rounded down.
    Floor,
    /// Rounded up.
    Ceil,
    /// Rounded to nearest, halves to even.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Inverse sine.
    Asin,
    /// Inverse cosine.
    Acos,
    /// Inverse tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// Logical negation of truth values.
    Not,
    /// Bitwise negation of integers.
    BitwiseNot,
    /// Whether it is no number.
    IsNaN,
    /// Whether it is infinite.
    IsInf {
        /// Whether minus infinity counts.
        negative: bool,
        /// Whether plus infinity counts.
        positive: bool,
    },
}

impl Unary {
    /// Whether it is a nonlinearity of networks that the integer stages may turn into a table.
    pub fn is_activation(self) -> bool {
        self.row().1
    }

    /// Whether it gives floats of floats: tests and functions of bits do not.
    pub fn is_of_floats(self) -> bool {
        !matches!(self, Self::Not | Self::BitwiseNot | Self::IsNaN | Self::IsInf { .. })
    }

    /// Name, whether it is an activation, first opset, and whether integers are allowed.
    fn row(self) -> (&'static str, bool, i64, bool) {
        match self {
            Self::Relu => ("Relu", true, 1, true),
            Self::Clip { .. } => ("Clip", true, 1, false),
            Self::LeakyRelu { .. } => ("LeakyRelu", true, 1, false),
            Self::ThresholdedRelu { .. } => ("ThresholdedRelu", true, 10, false),
            Self::Elu { .. } => ("Elu", true, 1, false),
            Self::Selu { .. } => ("Selu", true, 1, false),
            Self::Celu { .. } => ("Celu", true, 12, false),
            Self::HardSigmoid { .. } => ("HardSigmoid", true, 1, false),
            Self::HardSwish => ("HardSwish", true, 14, false),
            Self::Sigmoid => ("Sigmoid", true, 1, false),
            Self::Tanh => ("Tanh", true, 1, false),
            Self::Softplus => ("Softplus", true, 1, false),
            Self::Softsign => ("Softsign", true, 1, false),
            Self::Mish => ("Mish", true, 18, false),
            Self::Gelu { .. } => ("Gelu", true, 20, false),
            Self::Swish { .. } => ("Swish", true, 24, false),
            Self::Shrink { .. } => ("Shrink", true, 9, true),
            Self::Erf => ("Erf", false, 9, true),
            Self::Sqrt => ("Sqrt", false, 1, false),
            Self::Reciprocal => ("Reciprocal", false, 1, false),
            Self::Neg => ("Neg", false, 1, true),
            Self::Abs => ("Abs", false, 1, true),
            Self::Exp => ("Exp", false, 1, false),
            Self::Log => ("Log", false, 1, false),
            Self::Floor => ("Floor", false, 1, false),
            Self::Ceil => ("Ceil", false, 1, false),
            Self::Round => ("Round", false, 11, false),
            Self::Sign => ("Sign", false, 9, true),
            Self::Sin => ("Sin", false, 7, false),
            Self::Cos => ("Cos", false, 7, false),
            Self::Tan => ("Tan", false, 7, false),
            Self::Asin => ("Asin", false, 7, false),
            Self::Acos => ("Acos", false, 7, false),
            Self::Atan => ("Atan", false, 7, false),
            Self::Sinh => ("Sinh", false, 9, false),
            Self::Cosh => ("Cosh", false, 9, false),
            Self::Asinh => ("Asinh", false, 9, false),
            Self::Acosh => ("Acosh", false, 9, false),
            Self::Atanh => ("Atanh", false, 9, false),
            Self::Not => ("Not", false, 1, true),
            Self::BitwiseNot => ("BitwiseNot", false, 18, true),
            Self::IsNaN => ("IsNaN", false, 9, false),
            Self::IsInf { .. } => ("IsInf", false, 10, false),
        }
    }

    /// All of them, with the defaults of their attributes.
    pub const ALL: &[Self] = &[
        Self::Relu,
        Self::Clip { min: 0.0, max: 6.0 },
        Self::LeakyRelu { alpha: 0.01 },
        Self::ThresholdedRelu { alpha: 1.0 },
        Self::Elu { alpha: 1.0 },
        Self::Selu { alpha: SELU_ALPHA, gamma: SELU_GAMMA },
        Self::Celu { alpha: 1.0 },
        Self::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Self::HardSwish,
        Self::Sigmoid,
        Self::Tanh,
        Self::Softplus,
        Self::Softsign,
        Self::Mish,
        Self::Gelu { tanh: false },
        Self::Swish { alpha: 1.0 },
        Self::Shrink { lambd: 0.5, bias: 0.0 },
        Self::Erf,
        Self::Sqrt,
        Self::Reciprocal,
        Self::Neg,
        Self::Abs,
        Self::Exp,
        Self::Log,
        Self::Floor,
        Self::Ceil,
        Self::Round,
        Self::Sign,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Asin,
        Self::Acos,
        Self::Atan,
        Self::Sinh,
        Self::Cosh,
        Self::Asinh,
        Self::Acosh,
        Self::Atanh,
        Self::Not,
        Self::BitwiseNot,
        Self::IsNaN,
        Self::IsInf { negative: true, positive: true },
    ];
}

/// Defaults of ONNX's Selu.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

impl Operator for Unary {
    fn name(&self) -> &'static str {
        self.row().0
    }

    fn since(&self) -> i64 {
        self.row().2
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        match *self {
            Self::Clip { min, max } => {
                // A bound that no float exceeds is none; left out, it means the same.
                let mut all: AttributeList = Vec::new();
                if min > f32::MIN {
                    all.push(("min", min.into()));
                }
                if max < f32::MAX {
                    all.push(("max", max.into()));
                }
                all
            }
            Self::LeakyRelu { alpha }
            | Self::ThresholdedRelu { alpha }
            | Self::Elu { alpha }
            | Self::Celu { alpha }
            | Self::Swish { alpha } => vec![("alpha", alpha.into())],
            Self::Selu { alpha, gamma } => vec![("alpha", alpha.into()), ("gamma", gamma.into())],
            Self::HardSigmoid { alpha, beta } => vec![("alpha", alpha.into()), ("beta", beta.into())],
            Self::Gelu { tanh: true } => vec![("approximate", "tanh".into())],
            Self::Shrink { lambd, bias } => vec![("lambd", lambd.into()), ("bias", bias.into())],
            Self::IsInf { negative, positive } => {
                vec![("detect_negative", negative.into()), ("detect_positive", positive.into())]
            }
            Self::Relu
            | Self::HardSwish
            | Self::Sigmoid
            | Self::Tanh
            | Self::Softplus
            | Self::Softsign
            | Self::Mish
            | Self::Gelu { tanh: false }
            | Self::Erf
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Neg
            | Self::Abs
            | Self::Exp
            | Self::Log
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Sign
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Sinh
            | Self::Cosh
            | Self::Asinh
            | Self::Acosh
            | Self::Atanh
            | Self::Not
            | Self::BitwiseNot
            | Self::IsNaN => Vec::new(),
        }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let dtype = given.dtype(0)?;
        let mut out = dtype;
        match self {
            Self::Not => given.expect(0, &[DataType::Bool])?,
            Self::BitwiseNot if !dtype.is_integer() => {
                return Err(format!("input 0 must be of integers, found {}", dtype.name()));
            }
            Self::IsNaN | Self::IsInf { .. } => {
                given.expect(0, FLOATS)?;
                out = DataType::Bool;
            }
            _ if self.row().3 && dtype.is_integer() => {}
            _ => given.expect(0, FLOATS)?,
        }
        let fact = Fact::new(out, given.shape(0)?.clone());
        let items = match self {
            Self::Neg => given.items(0).map(|items| {
                items
                    .iter()
                    .map(|i| i.known().and_then(i64::checked_neg).map_or(Item::UNKNOWN, Item::Known))
                    .collect()
            }),
            _ => None,
        };
        Ok(vec![fact.with_items(items)])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let rank = given.shape(0).map_or(0, Shape::rank);
        Ties::Known((0..rank).map(|a| Tie::Same(Port::Input(0, a), Port::Output(0, a))).collect())
    }

    fn quantization(&self) -> Quantization {
        if self.is_activation() { Quantization::Table } else { Quantization::Float }
    }

    fn clamp(&self) -> Option<(f32, f32)> {
        match *self {
            Self::Relu => Some((0.0, f32::MAX)),
            Self::Clip { min, max } => Some((min, max)),
            _ => None,
        }
    }

    fn works_on_bytes(&self, _: &Given, _: &[&Shape]) -> bool {
        matches!(
            self,
            Self::Relu | Self::Clip { .. } | Self::HardSwish | Self::HardSigmoid { .. } | Self::Sigmoid
        )
    }
}

impl Read for Unary {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("", "Relu"),
        ("", "LeakyRelu"),
        ("", "ThresholdedRelu"),
        ("", "Elu"),
        ("", "Selu"),
        ("", "Celu"),
        ("", "HardSigmoid"),
        ("", "HardSwish"),
        ("", "Sigmoid"),
        ("", "Tanh"),
        ("", "Softplus"),
        ("", "Softsign"),
        ("", "Mish"),
        ("", "Gelu"),
        ("com.microsoft", "Gelu"),
        ("com.microsoft", "QuickGelu"),
        ("", "Swish"),
        ("", "Shrink"),
        ("", "Erf"),
        ("", "Sqrt"),
        ("", "Reciprocal"),
        ("", "Neg"),
        ("", "Abs"),
        ("", "Exp"),
        ("", "Log"),
        ("", "Floor"),
        ("", "Ceil"),
        ("", "Round"),
        ("", "Sign"),
        ("", "Sin"),
        ("", "Cos"),
        ("", "Tan"),
        ("", "Asin"),
        ("", "Acos"),
        ("", "Atan"),
        ("", "Sinh"),
        ("", "Cosh"),
        ("", "Asinh"),
        ("", "Acosh"),
        ("", "Atanh"),
        ("", "Not"),
        ("", "BitwiseNot"),
        ("", "IsNaN"),
        ("", "IsInf"),
    ];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["consumed_inputs"]);
        Ok(match (written.domain, written.name) {
            (_, "LeakyRelu") => Self::LeakyRelu { alpha: attributes.float_or("alpha", 0.01)? },
            (_, "ThresholdedRelu") => Self::ThresholdedRelu { alpha: attributes.float_or("alpha", 1.0)? },
            (_, "Elu") => Self::Elu { alpha: attributes.float_or("alpha", 1.0)? },
            (_, "Celu") => Self::Celu { alpha: attributes.float_or("alpha", 1.0)? },
            (_, "Selu") => Self::Selu {
                alpha: attributes.float_or("alpha", SELU_ALPHA)?,
                gamma: attributes.float_or("gamma", SELU_GAMMA)?,
            },
            (_, "HardSigmoid") => Self::HardSigmoid {
                alpha: attributes.float_or("alpha", 0.2)?,
                beta: attributes.float_or("beta", 0.5)?,
            },
            (_, "Gelu") => Self::Gelu { tanh: attributes.choice("approximate", &["none", "tanh"])? == 1 },
            (_, "QuickGelu") => Self::Swish { alpha: attributes.float_or("alpha", 1.702)? },
            (_, "Swish") => Self::Swish { alpha: attributes.float_or("alpha", 1.0)? },
            (_, "Shrink") => Self::Shrink {
                lambd: attributes.float_or("lambd", 0.5)?,
                bias: attributes.float_or("bias", 0.0)?,
            },
            (_, "IsInf") => Self::IsInf {
                negative: attributes.flag("detect_negative", true)?,
                positive: attributes.flag("detect_positive", true)?,
            },
            (_, name) => Self::ALL
                .iter()
                .find(|op| op.row().0 == name)
                .copied()
                .ok_or_else(|| format!("`{name}` is no function of one element"))?,
        })
    }

    fn examples() -> Vec<Self> {
        Self::ALL.to_vec()
    }
}

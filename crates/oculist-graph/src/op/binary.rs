//! Functions of two elements, with broadcasting.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// A function of two elements; shapes are broadcast as NumPy does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; of integers, rounded towards zero.
    Div,
    /// Power; the result has the type of the base.
    Pow,
    /// Remainder with the sign of the divisor, or of the dividend (`fmod`).
    Mod {
        /// Whether the sign is the dividend's, as C's `fmod` has it.
        fmod: bool,
    },
    /// `x` where it is not negative, `x * slope` elsewhere; the slope is broadcast to `x`.
    PRelu,
    /// Logical and.
    And,
    /// Logical or.
    Or,
    /// Logical exclusive or.
    Xor,
    /// Bitwise and.
    BitwiseAnd,
    /// Bitwise or.
    BitwiseOr,
    /// Bitwise exclusive or.
    BitwiseXor,
    /// Bits moved by a number of places.
    BitShift {
        /// Towards the high end.
        left: bool,
    },
    /// Whether both are equal.
    Equal,
    /// Whether the first is larger.
    Greater,
    /// Whether the first is at least the second.
    GreaterOrEqual,
    /// Whether the first is smaller.
    Less,
    /// Whether the first is at most the second.
    LessOrEqual,
}

/// The shape that two shapes are broadcast to.
///
/// # Errors
/// If two sizes differ and neither is 1.
pub(super) fn broadcast(a: &Shape, b: &Shape) -> Result<Shape, String> {
    let rank = a.rank().max(b.rank());
    let dim = |shape: &Shape, i: usize| {
        let missing = rank - shape.rank();
        if i < missing { Dim::Fixed(1) } else { shape.dims()[i - missing] }
    };
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Ok(other),
            (x, y) if x == y => Ok(x),
            // One may be 1 when the graph runs, the other may not.
            (Dim::Fixed(x), y) | (y, Dim::Fixed(x)) if y.size().is_none() => Ok(Dim::Fixed(x)),
            (Dim::Fixed(_), Dim::Fixed(_)) => Err(format!("shapes differ: {a} and {b}")),
            (Dim::Unknown, _) | (_, Dim::Unknown) => Ok(Dim::Unknown),
            (x, _) => Ok(x.or(Dim::Unknown)),
        })
        .collect::<Result<_, _>>()
        .map(Shape::new)
}

/// Axes of the inputs that are not stretched are those of the output.
pub(super) fn broadcast_ties(given: &Given, outputs: &[&Shape], inputs: std::ops::Range<usize>) -> Ties {
    let out = outputs[0].rank();
    let mut ties = Vec::new();
    for i in inputs {
        let Ok(shape) = given.shape(i) else { return Ties::Unknown };
        for a in 0..shape.rank() {
            let to = a + out - shape.rank();
            if shape.dims()[a] == outputs[0].dims()[to] {
                ties.push(Tie::Same(Port::Input(i, a), Port::Output(0, to)));
            }
        }
    }
    Ties::Known(ties)
}

impl Binary {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Pow,
        Self::Mod { fmod: false },
        Self::PRelu,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::BitwiseAnd,
        Self::BitwiseOr,
        Self::BitwiseXor,
        Self::BitShift { left: true },
        Self::Equal,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    /// Whether the result is a truth value.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::Greater | Self::GreaterOrEqual | Self::Less | Self::LessOrEqual)
    }

    /// The result of two known integers.
    fn integers(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => a.checked_div(b),
            Self::Mod { fmod: false } => {
                a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
            }
            Self::Mod { fmod: true } => a.checked_rem(b),
            Self::Equal => Some((a == b).into()),
            Self::Greater => Some((a > b).into()),
            Self::GreaterOrEqual => Some((a >= b).into()),
            Self::Less => Some((a < b).into()),
            Self::LessOrEqual => Some((a <= b).into()),
            Self::Pow
            | Self::PRelu
            | Self::And
            | Self::Or
            | Self::Xor
            | Self::BitwiseAnd
            | Self::BitwiseOr
            | Self::BitwiseXor
            | Self::BitShift { .. } => None,
        }
    }

    /// The elements of the result, as far as they follow.
    fn items(self, given: &Given) -> Option<Vec<Item>> {
        let (a, b) = (given.items(0)?, given.items(1)?);
        let len = if a.len() == 1 { b.len() } else { a.len() };
        if b.len() != len && b.len() != 1 {
            return None;
        }
        let at = |items: &[Item], i: usize| items[if items.len() == 1 { 0 } else { i }];
        Some(
            (0..len)
                .map(|i| match (self, at(&a, i), at(&b, i)) {
                    (_, Item::Known(a), Item::Known(b)) => {
                        self.integers(a, b).map_or(Item::UNKNOWN, Item::Known)
                    }
                    // A size stays what it is.
                    (Self::Mul | Self::Div, size, Item::Known(1))
                    | (Self::Mul, Item::Known(1), size)
                    | (Self::Add | Self::Sub, size, Item::Known(0))
                    | (Self::Add, Item::Known(0), size) => size,
                    // No size is below zero.
                    (Self::Equal, Item::Size(_), Item::Known(n))
                    | (Self::Equal, Item::Known(n), Item::Size(_))
                        if n < 0 =>
                    {
                        Item::Known(0)
                    }
                    _ => Item::UNKNOWN,
                })
                .collect(),
        )
    }
}

impl Operator for Binary {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Div => "Div",
            Self::Pow => "Pow",
            Self::Mod { .. } => "Mod",
            Self::PRelu => "PRelu",
            Self::And => "And",
            Self::Or => "Or",
            Self::Xor => "Xor",
            Self::BitwiseAnd => "BitwiseAnd",
            Self::BitwiseOr => "BitwiseOr",
            Self::BitwiseXor => "BitwiseXor",
            Self::BitShift { .. } => "BitShift",
            Self::Equal => "Equal",
            Self::Greater => "Greater",
            Self::GreaterOrEqual => "GreaterOrEqual",
            Self::Less => "Less",
            Self::LessOrEqual => "LessOrEqual",
        }
    }

    fn since(&self) -> i64 {
        match self {
            Self::Mod { .. } => 10,
            Self::BitShift { .. } => 11,
            Self::GreaterOrEqual | Self::LessOrEqual => 12,
            Self::BitwiseAnd | Self::BitwiseOr | Self::BitwiseXor => 18,
            Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Div
            | Self::Pow
            | Self::PRelu
            | Self::And
            | Self::Or
            | Self::Xor
            | Self::Equal
            | Self::Greater
            | Self::Less => 7,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        match self {
            Self::Add | Self::Sub | Self::Mul | Self::Div => Role::Operand,
            Self::PRelu if i == 1 => Role::Weight,
            _ => Role::Data,
        }
    }

    fn attributes(&self) -> AttributeList {
        match self {
            Self::Mod { fmod: true } => vec![("fmod", true.into())],
            Self::BitShift { left } => vec![("direction", (if *left { "LEFT" } else { "RIGHT" }).into())],
            _ => Vec::new(),
        }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        // Pow's exponent has a type of its own.
        let dtype = if *self == Self::Pow { given.dtype(0)? } else { given.same_type(0, [1])? };
        let wrong = |what: &str| Err(format!("the inputs must be {what}, found {}", dtype.name()));
        match self {
            Self::And | Self::Or | Self::Xor if dtype != DataType::Bool => return wrong("bool"),
            Self::BitwiseAnd | Self::BitwiseOr | Self::BitwiseXor | Self::BitShift { .. }
                if !dtype.is_integer() =>
            {
                return wrong("of integers");
            }
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Pow | Self::Mod { .. } | Self::PRelu
                if dtype == DataType::Bool =>
            {
                return wrong("numbers");
            }
            _ => {}
        }
        let (a, b) = (given.shape(0)?, given.shape(1)?);
        let shape = broadcast(a, b)?;
        let out = if self.is_comparison() { DataType::Bool } else { dtype };
        Ok(vec![Fact::new(out, shape).with_items(self.items(given))])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        broadcast_ties(given, outputs, 0..2)
    }

    fn quantization(&self) -> Quantization {
        match self {
            Self::Add | Self::Mul => Quantization::Arithmetic,
            _ => Quantization::Float,
        }
    }

    fn works_on_bytes(&self, given: &Given, _: &[&Shape]) -> bool {
        let (Ok(a), Ok(b)) = (given.shape(0), given.shape(1)) else { return false };
        let gate = a.rank() == 4
            && b.rank() == 4
            && a.dims()[..2] == b.dims()[..2]
            && b.get(2) == Some(1)
            && b.get(3) == Some(1);
        match self {
            Self::Add => a == b,
            Self::Mul => a == b || gate,
            _ => false,
        }
    }
}

impl Read for Binary {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("", "Add"),
        ("", "Sub"),
        ("", "Mul"),
        ("", "Div"),
        ("", "Pow"),
        ("", "Mod"),
        ("", "PRelu"),
        ("", "And"),
        ("", "Or"),
        ("", "Xor"),
        ("", "BitwiseAnd"),
        ("", "BitwiseOr"),
        ("", "BitwiseXor"),
        ("", "BitShift"),
        ("", "Equal"),
        ("", "Greater"),
        ("", "GreaterOrEqual"),
        ("", "Less"),
        ("", "LessOrEqual"),
    ];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(match written.name {
            "Mod" => Self::Mod { fmod: attributes.flag("fmod", false)? },
            "BitShift" => match attributes.text("direction")?.as_deref() {
                Some("LEFT") => Self::BitShift { left: true },
                Some("RIGHT") => Self::BitShift { left: false },
                other => {
                    return Err(format!("the attribute `direction` is {other:?}, supported are LEFT, RIGHT"));
                }
            },
            name => Self::ALL
                .iter()
                .find(|op| op.name() == name)
                .copied()
                .ok_or_else(|| format!("`{name}` is no function of two elements"))?,
        })
    }

    fn examples() -> Vec<Self> {
        Self::ALL.to_vec()
    }
}

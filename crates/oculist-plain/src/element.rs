//! Elements of any type, as kernels that are written once see them.

use half::{bf16, f16};
use oculist_graph::{DataType, TensorData};

/// An expression of the elements `v` (of the type `T`) of tensor data.
macro_rules! with_elements {
    ($data:expr, $v:ident: $type:ident => $body:expr) => {
        $crate::element::with_elements!(@ $data, $v, $type, $body,
            F32: f32, F64: f64, F16: half::f16, BF16: half::bf16, U8 | U4: u8, I8 | I4: i8, U16: u16, I16: i16, U32: u32,
            I32: i32, U64: u64, I64: i64, Bool: bool)
    };
    (@ $data:expr, $v:ident, $type:ident, $body:expr, $($variant:ident $(| $small:ident)?: $element:ty),*) => {
        match $data {
            $(oculist_graph::TensorData::$variant($v) $(| oculist_graph::TensorData::$small($v))? => {
                #[allow(dead_code)]
                type $type = $element;
                $body
            })*
        }
    };
}
pub(crate) use with_elements;

/// Data of the same type as `data`, from an expression of its elements `v` that gives a vector of such.
macro_rules! same_type {
    ($data:expr, $v:ident => $body:expr) => {
        $crate::element::same_type!(@ $data, $v, $body,
            F32, F64, F16, BF16, U8, I8, U16, I16, U32, I32, U64, I64, U4, I4, Bool)
    };
    (@ $data:expr, $v:ident, $body:expr, $($variant:ident),*) => {
        match $data {
            $(oculist_graph::TensorData::$variant($v) => oculist_graph::TensorData::$variant($body),)*
        }
    };
}
pub(crate) use same_type;

/// What elements are computed in: `f64` for floats, `i128` for integers and truth values. Both hold every element, and
/// sums, differences, products, quotients and roots of floats of at most 32 bits are rounded as if computed in their
/// own type.
pub(crate) trait Wide: Copy + PartialOrd + Default + Send + Sync + 'static {
    const ONE: Self;
    fn of_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn of_i128(value: i128) -> Self;
    /// Without what is behind the point; beyond the range, the end of it.
    fn to_i128(self) -> i128;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// Towards zero for integers; 0 where an integer is divided by 0, which ONNX leaves open.
    fn over(self, other: Self) -> Self;
    /// The magnitude.
    fn size(self) -> Self;
    /// A number in the order of the elements; that of a NaN is [`NAN_KEY`].
    fn key(self) -> i128;
}

impl Wide for f64 {
    const ONE: Self = 1.0;

    fn of_f64(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn of_i128(value: i128) -> Self {
        value as Self
    }

    fn to_i128(self) -> i128 {
        self as i128
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn times(self, other: Self) -> Self {
        self * other
    }

    fn over(self, other: Self) -> Self {
        self / other
    }

    fn size(self) -> Self {
        self.abs()
    }

    fn key(self) -> i128 {
        if self.is_nan() {
            return NAN_KEY;
        }
        // The bits of positive numbers are in order, those of negative ones in the reverse; both zeros are one.
        let bits = (self + 0.0).to_bits().cast_signed();
        i128::from(if bits < 0 { bits ^ i64::MAX } else { bits })
    }
}

impl Wide for i128 {
    const ONE: Self = 1;

    fn of_f64(value: f64) -> Self {
        value as Self
    }

    fn to_f64(self) -> f64 {
        self as f64
    }

    fn of_i128(value: i128) -> Self {
        value
    }

    fn to_i128(self) -> i128 {
        self
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    fn over(self, other: Self) -> Self {
        self.checked_div(other).unwrap_or(0)
    }

    fn size(self) -> Self {
        self.wrapping_abs()
    }

    fn key(self) -> i128 {
        self
    }
}

/// The key of a NaN, larger than that of any number.
pub(crate) const NAN_KEY: i128 = i128::MAX;

/// An element of a tensor.
pub(crate) trait Element: Copy + Default + PartialOrd + Send + Sync + 'static {
    type Wide: Wide;
    /// The least element; minus infinity for floats.
    const LEAST: Self;
    /// The greatest element.
    const GREATEST: Self;
    fn widen(self) -> Self::Wide;
    /// Rounded for floats, the low bits for integers, whether it is not 0 for truth values.
    fn narrow(wide: Self::Wide) -> Self;
    /// The bits, in the low end.
    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
    /// The elements of a tensor that is known to be of this type; 4-bit integers are bytes.
    fn view(data: &TensorData) -> Option<&[Self]>;
    fn wrap(values: Vec<Self>) -> TensorData;
}

macro_rules! integers {
    ($($type:ident: $variant:ident $(| $small:ident)?),*) => {
        $(impl Element for $type {
            type Wide = i128;
            const LEAST: Self = Self::MIN;
            const GREATEST: Self = Self::MAX;

            fn widen(self) -> i128 {
                self.into()
            }

            fn narrow(wide: i128) -> Self {
                wide as Self
            }

            fn bits(self) -> u64 {
                self as u64
            }

            fn of_bits(bits: u64) -> Self {
                bits as Self
            }

            fn view(data: &TensorData) -> Option<&[Self]> {
                match data {
                    TensorData::$variant(v) $(| TensorData::$small(v))? => Some(v),
                    _ => None,
                }
            }

            fn wrap(values: Vec<Self>) -> TensorData {
                TensorData::$variant(values)
            }
        })*
    };
}

integers!(u8: U8 | U4, i8: I8 | I4, u16: U16, i16: I16, u32: U32, i32: I32, u64: U64, i64: I64);

macro_rules! floats {
    ($($type:ident: $variant:ident, $bits:ident, $widen:expr, $narrow:expr;)*) => {
        $(impl Element for $type {
            type Wide = f64;
            const LEAST: Self = Self::NEG_INFINITY;
            const GREATEST: Self = Self::INFINITY;

            fn widen(self) -> f64 {
                $widen(self)
            }

            fn narrow(wide: f64) -> Self {
                $narrow(wide)
            }

            fn bits(self) -> u64 {
                self.to_bits().into()
            }

            fn of_bits(bits: u64) -> Self {
                Self::from_bits(bits as $bits)
            }

            fn view(data: &TensorData) -> Option<&[Self]> {
                if let TensorData::$variant(v) = data { Some(v) } else { None }
            }

            fn wrap(values: Vec<Self>) -> TensorData {
                TensorData::$variant(values)
            }
        })*
    };
}

floats! {
    f32: F32, u32, f64::from, |v: f64| v as f32;
    f64: F64, u64, |v: f64| v, |v: f64| v;
    f16: F16, u16, f16::to_f64, f16::from_f64;
    bf16: BF16, u16, bf16::to_f64, bf16::from_f64;
}

impl Element for bool {
    type Wide = i128;
    const LEAST: Self = false;
    const GREATEST: Self = true;

    fn widen(self) -> i128 {
        self.into()
    }

    fn narrow(wide: i128) -> Self {
        wide != 0
    }

    fn bits(self) -> u64 {
        self.into()
    }

    fn of_bits(bits: u64) -> Self {
        bits != 0
    }

    fn view(data: &TensorData) -> Option<&[Self]> {
        if let TensorData::Bool(v) = data { Some(v) } else { None }
    }

    fn wrap(values: Vec<Self>) -> TensorData {
        TensorData::Bool(values)
    }
}

/// Numbers in the order of the elements, in which a NaN is larger than any number; sorting is written for these alone,
/// as it is much code.
pub(crate) fn keys(data: &TensorData) -> Vec<i128> {
    with_elements!(data, v: T => v.iter().map(|x: &T| x.widen().key()).collect())
}

/// `max(x, bound)` that keeps a NaN.
pub(crate) fn above<T: PartialOrd>(x: T, bound: T) -> T {
    if x < bound { bound } else { x }
}

/// `min(x, bound)` that keeps a NaN.
pub(crate) fn below<T: PartialOrd>(x: T, bound: T) -> T {
    if x > bound { bound } else { x }
}

/// The larger one, or the one that is NaN.
pub(crate) fn larger<T: PartialOrd>(a: T, b: T) -> T {
    if a > b || a.partial_cmp(&a).is_none() { a } else { b }
}

/// The smaller one, or the one that is NaN.
pub(crate) fn smaller<T: PartialOrd>(a: T, b: T) -> T {
    if a < b || a.partial_cmp(&a).is_none() { a } else { b }
}

/// Refuses 4-bit integers and, unless `truth` allows them, truth values: ONNX computes nothing with them.
pub(crate) fn expect_number(dtype: DataType, truth: bool) -> Result<(), String> {
    match dtype {
        DataType::U4 | DataType::I4 => Err(format!("{} has no arithmetic", dtype.name())),
        DataType::Bool if !truth => Err("bool has no arithmetic".to_owned()),
        _ => Ok(()),
    }
}

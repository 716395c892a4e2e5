//! Quantisation and its reverse.

use super::attributes::{AttributeList, Attributes};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Element types that are quantised to.
const BYTES: &[DataType] =
    &[DataType::U8, DataType::I8, DataType::U16, DataType::I16, DataType::U4, DataType::I4];

/// The type that the attribute `output_dtype` names, if it names one.
fn read_type(attributes: &mut Attributes, types: &[DataType]) -> Result<Option<DataType>, String> {
    let code = attributes.int_or("output_dtype", 0)?;
    if code == 0 {
        return Ok(None);
    }
    let known = DataType::of_code(code).filter(|dtype| types.contains(dtype));
    known.map(Some).ok_or_else(|| {
        let names: Vec<&str> = types.iter().map(|t| t.name()).collect();
        format!("the attribute `output_dtype` is {code}, supported are the codes of {}", names.join(", "))
    })
}

/// `saturate(round_half_even(x / scale) + zero_point)`; inputs `x, scale` and, if it is not zero, `zero_point`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizeLinear {
    /// Axis of a per-channel or blocked scale; ignored for a scalar scale.
    pub axis: i64,
    /// Elements that share a scale along the axis; 0 where a scale stands for the whole of the other axes.
    pub block: usize,
    /// Element type of the result where no zero point tells it.
    pub dtype: DataType,
}

/// `(x - zero_point) * scale`; inputs `x, scale` and, if it is not zero, `zero_point`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DequantizeLinear {
    /// Axis of a per-channel or blocked scale; ignored for a scalar scale.
    pub axis: i64,
    /// Elements that share a scale along the axis; 0 where a scale stands for the whole of the other axes.
    pub block: usize,
    /// Element type of the result, the scale's if none is named.
    pub dtype: Option<DataType>,
}

impl DequantizeLinear {
    /// A scalar scale, or one for each index of an axis.
    pub const fn along(axis: i64) -> Self {
        Self { axis, block: 0, dtype: None }
    }
}

/// Whether a shape is that of a single number.
fn is_one(shape: &Shape) -> bool {
    shape.rank() <= 1 && shape.dims().iter().all(|&d| d == Dim::Fixed(1))
}

/// Refuses a scale that is neither a scalar, nor a vector along the axis, nor blocked.
fn check_scale(given: &Given, along: i64, block: usize) -> Result<(), String> {
    let (x, scale) = (given.shape(0)?, given.shape(1)?);
    let one = is_one(scale);
    let zero = given.get(2).map(|z| z.shape);
    let equal = |a: &Shape, b: &Shape| {
        a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(|(a, &b)| a.may_equal(b))
    };
    let same = zero.is_none_or(|z| equal(z, scale) || (one && is_one(z)));
    let axis = axis(along, x.rank());
    let fits = one
        || axis.is_ok_and(|a| {
            if block == 0 {
                return scale.rank() == 1 && scale.dims()[0].may_equal(x.dims()[a]);
            }
            let mut dims = x.dims().to_vec();
            dims[a] = Dim::of(x.get(a).map(|size| size.div_ceil(block)));
            equal(&Shape::new(dims), scale)
        });
    if fits && same {
        return Ok(());
    }
    let zero = zero.map_or(String::new(), |z| format!(" and zero_point {z}"));
    Err(format!("scale {scale}{zero} must be scalars or match axis {along} of {x}"))
}

fn attributes(along: i64, block: usize, dtype: Option<DataType>) -> AttributeList {
    let mut all: AttributeList = Vec::new();
    if along != 1 {
        all.push(("axis", along.into()));
    }
    if block != 0 {
        all.push(("block_size", block.into()));
    }
    if let Some(dtype) = dtype {
        all.push(("output_dtype", dtype.code().into()));
    }
    all
}

fn role(i: usize) -> Role {
    if i == 0 { Role::Data } else { Role::Quantization }
}

fn axis_since(along: i64, block: usize) -> i64 {
    match (along, block) {
        (_, 1..) => 21,
        (1, _) => 10,
        _ => 13,
    }
}

impl Operator for QuantizeLinear {
    fn name(&self) -> &'static str {
        "QuantizeLinear"
    }

    fn since(&self) -> i64 {
        let since = axis_since(self.axis, self.block);
        if self.dtype == DataType::U8 { since } else { since.max(21) }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        role(i)
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.block, (self.dtype != DataType::U8).then_some(self.dtype))
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[FLOATS, &[DataType::I32]].concat())?;
        given.expect(1, FLOATS)?;
        given.expect(2, BYTES)?;
        check_scale(given, self.axis, self.block)?;
        let dtype = given.get(2).map_or(self.dtype, |zero| zero.dtype);
        Ok(vec![Fact::new(dtype, given.shape(0)?.clone())])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Conversion
    }
}

impl Read for QuantizeLinear {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "QuantizeLinear"), ("com.microsoft", "QuantizeLinear")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // Quotients have the precision of the scale's type, and at least that of 32-bit floats.
        attributes.skip(&["saturate", "precision"]);
        let dtype = read_type(attributes, BYTES)?.unwrap_or(DataType::U8);
        Ok(Self {
            axis: attributes.int_or("axis", 1)?,
            block: attributes.size("block_size")?.unwrap_or(0),
            dtype,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 1, block: 0, dtype: DataType::U8 }]
    }
}

impl Operator for DequantizeLinear {
    fn name(&self) -> &'static str {
        "DequantizeLinear"
    }

    fn since(&self) -> i64 {
        let since = axis_since(self.axis, self.block);
        if self.dtype.is_some() { since.max(23) } else { since }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        role(i)
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.block, self.dtype)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let dtype = given.dtype(0)?;
        if !dtype.is_integer() {
            return Err(format!("input 0 must be of integers, found {}", dtype.name()));
        }
        given.expect(1, FLOATS)?;
        if let Some(zero) = given.get(2)
            && zero.dtype != dtype
        {
            return Err(format!("x is {}, zero_point {}", dtype.name(), zero.dtype.name()));
        }
        check_scale(given, self.axis, self.block)?;
        let dtype = self.dtype.map_or(given.dtype(1), Ok)?;
        Ok(vec![Fact::new(dtype, given.shape(0)?.clone())])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Conversion
    }
}

impl Read for DequantizeLinear {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "DequantizeLinear"), ("com.microsoft", "DequantizeLinear")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let dtype = read_type(attributes, FLOATS)?;
        Ok(Self {
            axis: attributes.int_or("axis", 1)?,
            block: attributes.size("block_size")?.unwrap_or(0),
            dtype,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::along(1)]
    }
}

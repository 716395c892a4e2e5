//! Quantisation and its reverse.

use super::attributes::{AttributeList, Attributes};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written, axis};
use crate::shape::Shape;
use crate::tensor::DataType;

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
}

/// Refuses a scale that is neither a scalar, nor a vector along the axis, nor blocked.
fn check_scale(given: &Given, along: i64, block: usize) -> Result<(), String> {
    let (x, scale) = (given.shape(0)?, given.shape(1)?);
    let one = scale.sizes().is_some_and(|s| s.iter().product::<usize>() == 1) && scale.rank() <= 1;
    let zero = given.get(2).map(|z| z.shape);
    let same = zero.is_none_or(|z| {
        z == scale || (one && z.rank() <= 1 && z.sizes().is_some_and(|s| s.iter().product::<usize>() == 1))
    });
    let fits = if block > 0 {
        scale.rank() == x.rank()
    } else {
        one || (scale.rank() == 1
            && axis(along, x.rank()).is_ok_and(|a| scale.dims()[0].may_equal(x.dims()[a])))
    };
    if fits && same {
        return Ok(());
    }
    let zero = zero.map_or(String::new(), |z| format!(" and zero_point {z}"));
    Err(format!("scale {scale}{zero} must be scalars or match axis {along} of {x}"))
}

fn attributes(along: i64, block: usize) -> AttributeList {
    let mut all: AttributeList = Vec::new();
    if along != 1 {
        all.push(("axis", along.into()));
    }
    if block != 0 {
        all.push(("block_size", block.into()));
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
        axis_since(self.axis, self.block)
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        role(i)
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.block)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[FLOATS, &[DataType::I32]].concat())?;
        given.expect(1, FLOATS)?;
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
        attributes.skip(&["saturate", "precision"]);
        // ONNX's codes of the element types.
        let dtype = match attributes.int_or("output_dtype", 0)? {
            0 | 2 => DataType::U8,
            3 => DataType::I8,
            4 => DataType::U16,
            5 => DataType::I16,
            21 => DataType::U4,
            22 => DataType::I4,
            code => {
                return Err(format!(
                    "the attribute `output_dtype` is {code}, supported are integers of 4 to 16 bits"
                ));
            }
        };
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
        axis_since(self.axis, self.block)
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        role(i)
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.axis, self.block)
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
        Ok(vec![Fact::new(given.dtype(1)?, given.shape(0)?.clone())])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Conversion
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> super::Ties {
        super::Ties::Unknown
    }
}

impl Read for DequantizeLinear {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "DequantizeLinear"), ("com.microsoft", "DequantizeLinear")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["output_dtype"]);
        Ok(Self { axis: attributes.int_or("axis", 1)?, block: attributes.size("block_size")?.unwrap_or(0) })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 1, block: 0 }]
    }
}

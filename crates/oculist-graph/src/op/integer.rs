//! Products of bytes with sums of 32 bits, and what is made of them.

use super::attributes::{AttributeList, Attributes};
use super::conv::Conv;
use super::matmul::product;
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Seen, Written};
use super::window::Window;
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// The types of bytes.
const BYTES: &[DataType] = &[DataType::U8, DataType::I8];

/// Convolution of bytes `x, w` and optional zero points of both; the result are sums of 32 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvInteger {
    /// The convolution.
    pub conv: Conv,
}

/// Convolution of quantised values: inputs `x`, its scale and zero point, `w`, its scale and zero point, scale and zero
/// point of the result, and an optional bias of 32-bit integers with the scale of the products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QLinearConv {
    /// The convolution.
    pub conv: Conv,
}

/// Matrix product of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerMatMul {
    /// Inputs `a, b` and optional zero points of both; the result are sums of 32 bits (`MatMulInteger`).
    Sums,
    /// Inputs `a`, its scale and zero point, `b`, its scale and zero point, scale and zero point of the result
    /// (`QLinearMatMul`).
    Quantized,
    /// Inputs `a, b`, their scales, and optional zero points of both and a bias; the result are floats
    /// (`MatMulIntegerToFloat` of com.microsoft).
    Floats,
    /// Inputs `a` of floats, `b`, its scale, and an optional zero point and a bias; `a` is quantised to the range that
    /// it has (`DynamicQuantizeMatMul` of com.microsoft).
    Dynamic,
}

/// Quantisation to unsigned bytes with scale and zero point from the range of the values, which holds 0.
///
/// The outputs are the bytes, the scale and the zero point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicQuantizeLinear;

/// What inference of the float operator sees of an input of bytes.
fn as_floats<'a>(seen: &Seen<'a>) -> Seen<'a> {
    Seen { dtype: DataType::F32, tensor: None, items: None, ..*seen }
}

/// Refuses a scale or zero point that is neither one number nor one for each of `len`.
fn one_or_each(given: &Given, i: usize, what: &str, len: Dim) -> Result<(), String> {
    let Some(seen) = given.get(i) else { return Ok(()) };
    let one = seen.shape.dims().iter().all(|&d| d == Dim::Fixed(1));
    if one || (seen.shape.rank() == 1 && seen.shape.dims()[0].may_equal(len)) {
        return Ok(());
    }
    Err(format!("expected {what} that is one number or one for each of {len}, found {}", seen.shape))
}

/// The shape of a convolution of inputs `x` and `w`.
fn convolved(conv: &Conv, given: &Given, x: usize, w: usize) -> Result<Shape, String> {
    given.expect(x, BYTES)?;
    given.expect(w, BYTES)?;
    let inputs = vec![Some(as_floats(given.seen(x)?)), Some(as_floats(given.seen(w)?))];
    let fact = conv.infer(&Given { inputs, outputs: 1 })?.into_iter().next();
    fact.map(|f| f.shape).ok_or_else(|| "a convolution has one result".to_owned())
}

fn conv_cost(conv: &Conv, given: &Given, outputs: &[&Shape], x: usize, w: usize) -> OpCost {
    match (given.get(x).map(as_floats), given.get(w).map(as_floats)) {
        (Some(x), Some(w)) => conv.cost(&Given { inputs: vec![Some(x), Some(w)], outputs: 1 }, outputs),
        _ => OpCost::default(),
    }
}

impl Operator for ConvInteger {
    fn name(&self) -> &'static str {
        "ConvInteger"
    }

    fn since(&self) -> i64 {
        10
    }

    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i < 2 { Role::Data } else { Role::Quantization }
    }

    fn attributes(&self) -> AttributeList {
        self.conv.attributes()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let shape = convolved(&self.conv, given, 0, 1)?;
        one_or_each(given, 2, "a zero point of x", Dim::Fixed(1))?;
        one_or_each(given, 3, "a zero point of w", given.shape(1)?.dims()[0])?;
        Ok(vec![Fact::new(DataType::I32, shape)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        conv_cost(&self.conv, given, outputs, 0, 1)
    }
}

impl Read for ConvInteger {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ConvInteger")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { conv: Conv::read(written, attributes)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { conv: Conv { window: Window::square(3, 1, 1), groups: 1 } }]
    }
}

impl Operator for QLinearConv {
    fn name(&self) -> &'static str {
        "QLinearConv"
    }

    fn since(&self) -> i64 {
        10
    }

    fn arity(&self) -> (usize, usize) {
        (8, 9)
    }

    fn role(&self, i: usize) -> Role {
        if matches!(i, 0 | 3 | 8) { Role::Data } else { Role::Quantization }
    }

    fn attributes(&self) -> AttributeList {
        self.conv.attributes()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let shape = convolved(&self.conv, given, 0, 3)?;
        let c_out = given.shape(3)?.dims()[0];
        for i in [1, 4, 6] {
            given.expect(i, FLOATS)?;
        }
        given.same_type(0, [2])?;
        given.same_type(3, [5])?;
        given.expect(7, BYTES)?;
        for i in [1, 2, 6, 7] {
            one_or_each(given, i, "a scale or zero point", Dim::Fixed(1))?;
        }
        for i in [4, 5] {
            one_or_each(given, i, "a scale or zero point of w", c_out)?;
        }
        if given.get(8).is_some() {
            given.expect(8, &[DataType::I32])?;
            given.vector(8, "a bias", c_out)?;
        }
        Ok(vec![Fact::new(given.dtype(7)?, shape)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        conv_cost(&self.conv, given, outputs, 0, 3)
    }
}

impl Read for QLinearConv {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "QLinearConv"), ("com.microsoft", "QLinearConv")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        if attributes.flag("channels_last", false)? {
            return Err("channels_last is set, supported are channels behind the samples".to_owned());
        }
        Ok(Self { conv: Conv::read(written, attributes)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { conv: Conv { window: Window::square(3, 1, 1), groups: 1 } }]
    }
}

impl IntegerMatMul {
    const ALL: &'static [Self] = &[Self::Sums, Self::Quantized, Self::Floats, Self::Dynamic];

    /// Number of the input `b`; `a` is the first.
    pub fn second(self) -> usize {
        if self == Self::Quantized { 3 } else { 1 }
    }
}

impl Operator for IntegerMatMul {
    fn name(&self) -> &'static str {
        match self {
            Self::Sums => "MatMulInteger",
            Self::Quantized => "QLinearMatMul",
            Self::Floats => "MatMulIntegerToFloat",
            Self::Dynamic => "DynamicQuantizeMatMul",
        }
    }

    fn domain(&self) -> &'static str {
        match self {
            Self::Sums | Self::Quantized => "",
            Self::Floats | Self::Dynamic => "com.microsoft",
        }
    }

    fn since(&self) -> i64 {
        match self {
            Self::Sums | Self::Quantized => 10,
            Self::Floats | Self::Dynamic => 1,
        }
    }

    fn arity(&self) -> (usize, usize) {
        match self {
            Self::Sums => (2, 4),
            Self::Quantized => (8, 8),
            Self::Floats => (4, 7),
            Self::Dynamic => (3, 5),
        }
    }

    fn role(&self, i: usize) -> Role {
        let bias = match self {
            Self::Sums | Self::Quantized => None,
            Self::Floats => Some(6),
            Self::Dynamic => Some(4),
        };
        if i == 0 || i == self.second() || Some(i) == bias { Role::Data } else { Role::Quantization }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let second = self.second();
        given.expect(0, if *self == Self::Dynamic { &[DataType::F32] } else { BYTES })?;
        given.expect(second, BYTES)?;
        let (shape, _) = product(given.shape(0)?, given.shape(second)?)?;
        let scales: &[usize] = match self {
            Self::Sums => &[],
            Self::Quantized => &[1, 4, 6],
            Self::Floats => &[2, 3],
            Self::Dynamic => &[2],
        };
        for &i in scales {
            given.expect(i, FLOATS)?;
        }
        let dtype = match self {
            Self::Sums => DataType::I32,
            Self::Quantized => {
                given.expect(7, BYTES)?;
                given.dtype(7)?
            }
            Self::Floats => given.same_type(2, [3, 6])?,
            Self::Dynamic => given.same_type(0, [2, 4])?,
        };
        if let Some(bias) = given.get(if *self == Self::Floats { 6 } else { 4 })
            && matches!(self, Self::Floats | Self::Dynamic)
        {
            let columns = shape.dims().last().copied().unwrap_or(Dim::Fixed(1));
            if bias.shape.rank() != 1 || !bias.shape.dims()[0].may_equal(columns) {
                return Err(format!("expected a bias of shape [{columns}], found {}", bias.shape));
            }
        }
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let inner = given.shape(0).and_then(|a| product(a, given.shape(self.second())?));
        let k = inner.ok().and_then(|(_, k)| k.size()).unwrap_or(1);
        let out = outputs.first().map_or(0, |s| s.elements_per_sample()) as u64;
        OpCost { macs: out.saturating_mul(k as u64), reads: 1 }
    }
}

impl Read for IntegerMatMul {
    const NAMES: &'static [(&'static str, &'static str)] = &[
        ("", "MatMulInteger"),
        ("", "QLinearMatMul"),
        ("com.microsoft", "MatMulIntegerToFloat"),
        ("com.microsoft", "DynamicQuantizeMatMul"),
    ];

    fn read(written: &Written, _: &mut Attributes) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|op| op.name() == written.name);
        found.copied().ok_or_else(|| format!("`{}` is no product of bytes", written.name))
    }

    fn examples() -> Vec<Self> {
        Self::ALL.to_vec()
    }
}

impl Operator for DynamicQuantizeLinear {
    fn name(&self) -> &'static str {
        "DynamicQuantizeLinear"
    }

    fn since(&self) -> i64 {
        11
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 3)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[DataType::F32])?;
        let scalar = || Shape::fixed(&[]);
        Ok(vec![
            Fact::new(DataType::U8, given.shape(0)?.clone()),
            Fact::new(DataType::F32, scalar()),
            Fact::new(DataType::U8, scalar()),
        ])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Float
    }
}

impl Read for DynamicQuantizeLinear {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "DynamicQuantizeLinear")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

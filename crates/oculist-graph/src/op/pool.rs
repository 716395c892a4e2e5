//! Pooling.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::types::NUMBERS;
use super::window::{Padding, Window};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Maximum over a window (padding counts as minus infinity), and where it lies.
///
/// # Shapes
/// `[N, C, ...]` to `[N, C, ...]`; the second output holds positions in the flattened input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    /// The window.
    pub window: Window,
    /// Whether the last window may hang over the end.
    pub ceil_mode: bool,
    /// Whether positions count columns first.
    pub column_major: bool,
}

/// Mean over a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AveragePool {
    /// The window.
    pub window: Window,
    /// Whether the last window may hang over the end.
    pub ceil_mode: bool,
    /// Whether padding counts as zeros in the mean.
    pub count_include_pad: bool,
}

/// One number for each channel: mean, maximum or p-norm over all spatial axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalPool {
    /// The mean.
    Average,
    /// The maximum.
    Max,
    /// `(sum |x|^p)^(1/p)`.
    Lp(i64),
}

impl MaxPool {
    /// A square window with one stride and symmetric padding.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { window: Window::square(kernel, stride, padding), ceil_mode: false, column_major: false }
    }
}

impl AveragePool {
    /// A square window with one stride and symmetric padding.
    pub fn square(kernel: usize, stride: usize, padding: usize, count_include_pad: bool) -> Self {
        Self { window: Window::square(kernel, stride, padding), ceil_mode: false, count_include_pad }
    }
}

pub(super) fn pooled(window: &Window, ceil_mode: bool, x: &Shape) -> Result<Shape, String> {
    let spatial = window.output(x, ceil_mode)?;
    if let Padding::Explicit(pads) = &window.padding {
        let rank = window.rank();
        if pads.iter().enumerate().any(|(i, &p)| p >= window.reach(i % rank)) {
            return Err("padding must be smaller than the window".to_owned());
        }
    }
    Ok(Shape::new([&x.dims()[..2], &spatial].concat()))
}

pub(super) fn channels_stay() -> Ties {
    Ties::Known(vec![Tie::Same(Port::Input(0, 1), Port::Output(0, 1))])
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn since(&self) -> i64 {
        if self.ceil_mode || self.window.dilation.iter().any(|&d| d != 1) { 10 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.window.attributes();
        if self.ceil_mode {
            all.push(("ceil_mode", true.into()));
        }
        if self.column_major {
            all.push(("storage_order", true.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        let shape = pooled(&self.window, self.ceil_mode, given.shape(0)?)?;
        let mut facts = vec![Fact::new(given.dtype(0)?, shape.clone())];
        if given.outputs > 1 {
            facts.push(Fact::new(DataType::I64, shape));
        }
        Ok(facts)
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        OpCost { macs: 0, reads: self.window.taps() as u64 }
    }

    fn ties(&self, _: &Given, outputs: &[&Shape]) -> Ties {
        if outputs.len() == 1 { channels_stay() } else { Ties::Unknown }
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn works_on_bytes(&self, _: &Given, outputs: &[&Shape]) -> bool {
        outputs.len() == 1 && !self.ceil_mode && self.window.dilation.iter().all(|&d| d == 1)
    }
}

impl Read for MaxPool {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "MaxPool")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            window: Window::read(attributes, None)?,
            ceil_mode: attributes.flag("ceil_mode", false)?,
            column_major: attributes.flag("storage_order", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::square(2, 2, 0)]
    }
}

impl Operator for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn since(&self) -> i64 {
        if self.window.dilation.iter().any(|&d| d != 1) {
            19
        } else if self.ceil_mode {
            10
        } else {
            7
        }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.window.attributes();
        if self.ceil_mode {
            all.push(("ceil_mode", true.into()));
        }
        if self.count_include_pad {
            all.push(("count_include_pad", true.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        Ok(vec![Fact::new(given.dtype(0)?, pooled(&self.window, self.ceil_mode, given.shape(0)?)?)])
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        OpCost { macs: 0, reads: self.window.taps() as u64 }
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        channels_stay()
    }

    fn quantization(&self) -> Quantization {
        Quantization::Arithmetic
    }

    fn works_on_bytes(&self, _: &Given, _: &[&Shape]) -> bool {
        !self.ceil_mode && self.window.dilation.iter().all(|&d| d == 1)
    }
}

impl Read for AveragePool {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "AveragePool")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            window: Window::read(attributes, None)?,
            ceil_mode: attributes.flag("ceil_mode", false)?,
            count_include_pad: attributes.flag("count_include_pad", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::square(2, 2, 0, false)]
    }
}

impl Operator for GlobalPool {
    fn name(&self) -> &'static str {
        match self {
            Self::Average => "GlobalAveragePool",
            Self::Max => "GlobalMaxPool",
            Self::Lp(_) => "GlobalLpPool",
        }
    }

    fn since(&self) -> i64 {
        if matches!(self, Self::Lp(_)) { 2 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        match self {
            Self::Lp(p) if *p != 2 => vec![("p", (*p).into())],
            Self::Lp(_) | Self::Average | Self::Max => Vec::new(),
        }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let x = given.shape(0)?;
        if x.rank() < 2 {
            return Err(format!("expected [N, C, ...], found {x}"));
        }
        let mut dims = x.dims()[..2].to_vec();
        dims.resize(x.rank(), Dim::Fixed(1));
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        channels_stay()
    }

    fn quantization(&self) -> Quantization {
        match self {
            Self::Average => Quantization::Arithmetic,
            Self::Max | Self::Lp(_) => Quantization::Float,
        }
    }

    fn keeps_elements(&self, given: &Given) -> bool {
        let one = given.shape(0).is_ok_and(|x| x.dims().iter().skip(2).all(|d| d.size() == Some(1)));
        matches!(self, Self::Average | Self::Max) && one
    }

    fn works_on_bytes(&self, _: &Given, _: &[&Shape]) -> bool {
        *self == Self::Average
    }
}

impl Read for GlobalPool {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "GlobalAveragePool"), ("", "GlobalMaxPool"), ("", "GlobalLpPool")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(match written.name {
            "GlobalAveragePool" => Self::Average,
            "GlobalMaxPool" => Self::Max,
            _ => Self::Lp(attributes.int_or("p", 2)?),
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::Average, Self::Max, Self::Lp(2)]
    }
}

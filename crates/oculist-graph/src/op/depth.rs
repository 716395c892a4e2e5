//! Channels made from blocks of pixels, and the reverse.

use super::attributes::{AttributeList, Attributes};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};

/// Channels laid out as blocks of pixels.
///
/// # Shapes
/// `[N, C * b * b, H, W]` to `[N, C, H * b, W * b]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthToSpace {
    /// Height and width of a block.
    pub block: usize,
    /// Whether the channels of one result stand together (`CRD`), not those of one place in the block (`DCR`).
    pub channels_first: bool,
}

/// Blocks of pixels laid out as channels, those of one place in the block together.
///
/// # Shapes
/// `[N, C, H, W]` to `[N, C * b * b, H / b, W / b]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceToDepth {
    /// Height and width of a block.
    pub block: usize,
    /// Whether the channels of one input stand together (`CRD`), not those of one place in the block (`DCR`).
    pub channels_first: bool,
}

/// A size divided.
fn divided(dim: Dim, by: usize, x: &Shape) -> Result<Dim, String> {
    match dim {
        Dim::Fixed(size) if by == 0 || size % by != 0 => Err(format!("{size} of {x} is no multiple of {by}")),
        Dim::Fixed(size) => Ok(Dim::Fixed(size / by)),
        dim if by == 1 => Ok(dim),
        Dim::Batch | Dim::Symbol(_) | Dim::Unknown => Ok(Dim::Unknown),
    }
}

/// A size multiplied.
fn multiplied(dim: Dim, by: usize) -> Dim {
    if by == 1 { dim } else { Dim::of(dim.size().map(|size| size.saturating_mul(by))) }
}

fn image<'a>(given: &Given<'a>) -> Result<&'a [Dim], String> {
    let x = given.shape(0)?;
    if x.rank() == 4 { Ok(x.dims()) } else { Err(format!("expected [N, C, H, W], found {x}")) }
}

fn read(attributes: &mut Attributes) -> Result<(usize, bool), String> {
    let block = attributes.size("blocksize")?.ok_or("the attribute `blocksize` is missing")?;
    if block == 0 {
        return Err("the attribute `blocksize` is 0, expected at least 1".to_owned());
    }
    Ok((block, attributes.choice("mode", &["DCR", "CRD"])? == 1))
}

fn attributes(block: usize, channels_first: bool) -> AttributeList {
    let mut all: AttributeList = vec![("blocksize", block.into())];
    if channels_first {
        all.push(("mode", "CRD".into()));
    }
    all
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        "DepthToSpace"
    }

    fn since(&self) -> i64 {
        if self.channels_first { 11 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.block, self.channels_first)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let dims = image(given)?;
        let channels = divided(dims[1], self.block.saturating_mul(self.block), given.shape(0)?)?;
        let shape = vec![dims[0], channels, multiplied(dims[2], self.block), multiplied(dims[3], self.block)];
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(shape))])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for DepthToSpace {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "DepthToSpace")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let (block, channels_first) = read(attributes)?;
        Ok(Self { block, channels_first })
    }

    fn examples() -> Vec<Self> {
        vec![Self { block: 2, channels_first: false }, Self { block: 2, channels_first: true }]
    }
}

impl Operator for SpaceToDepth {
    fn name(&self) -> &'static str {
        "SpaceToDepth"
    }

    fn since(&self) -> i64 {
        if self.channels_first { 28 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        attributes(self.block, self.channels_first)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let (x, dims) = (given.shape(0)?, image(given)?);
        let channels = multiplied(dims[1], self.block.saturating_mul(self.block));
        let shape =
            vec![dims[0], channels, divided(dims[2], self.block, x)?, divided(dims[3], self.block, x)?];
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(shape))])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for SpaceToDepth {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "SpaceToDepth")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let (block, channels_first) = read(attributes)?;
        Ok(Self { block, channels_first })
    }

    fn examples() -> Vec<Self> {
        vec![Self { block: 2, channels_first: false }]
    }
}

//! Sampling at places that another value names.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::resize::{name_of, named};
use super::schema::{FLOATS, Fact, Given, Item, OpCost, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// How elements between those of the input are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Straight lines between neighbours along each axis.
    Linear,
    /// The nearest element, of two the even one.
    Nearest,
    /// Cubic convolution of four neighbours along each axis.
    Cubic,
}

/// What stands outside of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Zeros.
    Zeros,
    /// The element at the border.
    Border,
    /// The elements mirrored at the border.
    Reflection,
}

/// Values of `x` at the places that a grid names, from -1 to 1 along each axis, the last axis first.
///
/// # Shapes
/// `x` `[N, C, ...]`, `grid` `[N, ...out, r]` for `r` spatial axes, result `[N, C, ...out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridSample {
    /// How elements in between are made.
    pub sampling: Sampling,
    /// What stands outside of the input.
    pub outside: Outside,
    /// Whether -1 and 1 are the middles of the outermost pixels, not their edges.
    pub align_corners: bool,
}

/// A grid of places moved by affine matrices.
///
/// # Shapes
/// `theta` `[N, r, r + 1]`, `size` the numbers `N, C, ...out`, result `[N, ...out, r]` for `r` of 2 or 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AffineGrid {
    /// Whether -1 and 1 are the middles of the outermost pixels, not their edges.
    pub align_corners: bool,
}

const SAMPLINGS: &[(&str, Sampling)] =
    &[("linear", Sampling::Linear), ("nearest", Sampling::Nearest), ("cubic", Sampling::Cubic)];

const OUTSIDES: &[(&str, Outside)] =
    &[("zeros", Outside::Zeros), ("border", Outside::Border), ("reflection", Outside::Reflection)];

impl Operator for GridSample {
    fn name(&self) -> &'static str {
        "GridSample"
    }

    fn since(&self) -> i64 {
        16
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        // The default has another name in opset 16, so that it is always given.
        let mode = name_of(self.sampling, SAMPLINGS).unwrap_or("linear");
        let mut all: AttributeList = vec![("mode", mode.into())];
        all.extend(name_of(self.outside, OUTSIDES).map(|name| ("padding_mode", name.into())));
        if self.align_corners {
            all.push(("align_corners", true.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, FLOATS)?;
        let (x, grid) = (given.shape(0)?, given.shape(1)?);
        if x.rank() < 3 || grid.rank() != x.rank() {
            return Err(format!("expected [N, C, ...] and a grid of as many axes, found {x} and {grid}"));
        }
        let spatial = x.rank() - 2;
        if !grid.dims()[spatial + 1].may_equal(Dim::Fixed(spatial)) {
            return Err(format!("expected a grid of places with {spatial} numbers each, found {grid}"));
        }
        if !grid.dims()[0].may_equal(x.dims()[0]) {
            return Err(format!("expected as many grids as samples, found {grid} for {x}"));
        }
        let mut dims = vec![x.dims()[0].or(grid.dims()[0]), x.dims()[1]];
        dims.extend_from_slice(&grid.dims()[1..=spatial]);
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        let spatial = given.shape(0).map_or(2, |x| x.rank().saturating_sub(2)).min(16) as u32;
        let taps: u64 = match self.sampling {
            Sampling::Linear => 2,
            Sampling::Nearest => 1,
            Sampling::Cubic => 4,
        };
        OpCost { macs: 0, reads: taps.saturating_pow(spatial) }
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        Ties::Known(vec![Tie::Same(Port::Input(0, 1), Port::Output(0, 1))])
    }
}

impl Read for GridSample {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "GridSample"), ("com.microsoft", "GridSample")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let names = [SAMPLINGS, &[("bilinear", Sampling::Linear), ("bicubic", Sampling::Cubic)]].concat();
        Ok(Self {
            sampling: named(attributes, "mode", &names)?,
            outside: named(attributes, "padding_mode", OUTSIDES)?,
            align_corners: attributes.flag("align_corners", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { sampling: Sampling::Linear, outside: Outside::Zeros, align_corners: false }]
    }
}

impl Operator for AffineGrid {
    fn name(&self) -> &'static str {
        "AffineGrid"
    }

    fn since(&self) -> i64 {
        20
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.align_corners { vec![("align_corners", true.into())] } else { Vec::new() }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.expect(1, &[DataType::I64])?;
        let (theta, size) = (given.shape(0)?, given.shape(1)?);
        let r = match size.dims() {
            [Dim::Fixed(n @ (4 | 5))] => n - 2,
            _ => return Err(format!("expected a size of 4 or 5 numbers, found {size}")),
        };
        let fits = theta.rank() == 3
            && theta.dims()[1].may_equal(Dim::Fixed(r))
            && theta.dims()[2].may_equal(Dim::Fixed(r + 1));
        if !fits {
            return Err(format!("expected matrices [N, {r}, {}], found {theta}", r + 1));
        }
        let items = given.items(1).unwrap_or_else(|| vec![Item::UNKNOWN; r + 2]);
        if let Some(negative) = items.iter().filter_map(|i| i.known()).find(|&n| n < 0) {
            return Err(format!("a size is {negative}, expected at least 0"));
        }
        let mut dims = vec![theta.dims()[0].or(items.first().map_or(Dim::Unknown, |i| i.dim()))];
        dims.extend(items.iter().skip(2).map(|i| i.dim()));
        dims.push(Dim::Fixed(r));
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }
}

impl Read for AffineGrid {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "AffineGrid")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { align_corners: attributes.flag("align_corners", false)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { align_corners: false }]
    }
}

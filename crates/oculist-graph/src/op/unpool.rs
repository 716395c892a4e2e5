//! Windows put back where they were taken from.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written};
use super::window::{Padding, Window};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Zeros, but for the maxima of a [`struct@super::MaxPool`] at the positions that its second output names.
///
/// # Shapes
/// `x` and `positions` `[N, C, ...]`; input 2, if given, is the shape of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxUnpool {
    /// The window that the maxima are of.
    pub window: Window,
}

/// Sums of blocks that overlap in an image: the reverse of taking it apart.
///
/// # Shapes
/// `x` `[N, C * block, L]`, input 1 the sizes of the image, input 2 those of a block, result `[N, C, ...image]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Col2Im {
    /// Distance of the elements of a block per axis; 1 if the list is empty.
    pub dilation: Vec<usize>,
    /// Padding before, then behind each axis; 0 if the list is empty.
    pub padding: Vec<usize>,
    /// Distance of neighbouring blocks per axis; 1 if the list is empty.
    pub stride: Vec<usize>,
}

impl MaxUnpool {
    /// Size along a spatial axis of the value that was pooled, if nothing else is said.
    ///
    /// # Errors
    /// If the padding is larger than the value.
    pub fn unpooled(&self, axis: usize, size: usize) -> Result<usize, String> {
        let Padding::Explicit(pads) = &self.window.padding else {
            return Err("the padding must be given in numbers".to_owned());
        };
        let cut = pads[axis].saturating_add(pads[axis + self.window.rank()]);
        let spread = size.saturating_sub(1).saturating_mul(self.window.stride[axis]);
        let whole = spread.saturating_add(self.window.kernel[axis]);
        whole.checked_sub(cut).ok_or_else(|| format!("a padding of {cut} leaves nothing of {whole}"))
    }

    fn shape(&self, x: &Shape) -> Result<Shape, String> {
        self.window.check(x.rank().saturating_sub(2))?;
        let mut dims = x.dims().to_vec();
        for (a, dim) in dims.iter_mut().skip(2).enumerate() {
            *dim = match dim.size() {
                Some(size) => Dim::Fixed(self.unpooled(a, size)?),
                None => Dim::Unknown,
            };
        }
        Ok(Shape::new(dims))
    }
}

impl Operator for MaxUnpool {
    fn name(&self) -> &'static str {
        "MaxUnpool"
    }

    fn since(&self) -> i64 {
        9
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        self.window.attributes()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        given.expect(2, &[DataType::I64])?;
        let (x, positions) = (given.shape(0)?, given.shape(1)?);
        let same = positions.rank() == x.rank()
            && positions.dims().iter().zip(x.dims()).all(|(a, &b)| a.may_equal(b));
        if x.rank() < 3 || !same {
            return Err(format!("expected [N, C, ...] and as many positions, found {x} and {positions}"));
        }
        let own = self.shape(x)?;
        if given.get(2).is_none() {
            return Ok(vec![Fact::new(given.dtype(0)?, own)]);
        }
        given.vector(2, "a shape", Dim::Fixed(x.rank()))?;
        let dims = match given.items(2) {
            None => vec![Dim::Unknown; x.rank()],
            Some(items) => items.into_iter().map(Item::dim).collect(),
        };
        let shape = Shape::new(dims);
        if own
            .dims()
            .iter()
            .zip(shape.dims())
            .any(|(a, b)| a.size().zip(b.size()).is_some_and(|(a, b)| a > b))
        {
            return Err(format!("the result {own} does not fit into {shape}"));
        }
        Ok(vec![Fact::new(given.dtype(0)?, shape)])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Float
    }
}

impl Read for MaxUnpool {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "MaxUnpool")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { window: Window::read(attributes, None)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { window: Window::square(2, 2, 0) }]
    }
}

impl Col2Im {
    /// The window of blocks for an image of `rank` axes.
    ///
    /// # Errors
    /// If a list has another number of axes.
    pub fn window(&self, block: &[usize], rank: usize) -> Result<Window, String> {
        let or = |list: &[usize], default: usize, n: usize| {
            if list.is_empty() { vec![default; n] } else { list.to_vec() }
        };
        let window = Window {
            kernel: block.to_vec(),
            stride: or(&self.stride, 1, rank),
            padding: Padding::Explicit(or(&self.padding, 0, 2 * rank)),
            dilation: or(&self.dilation, 1, rank),
        };
        window.check(rank)?;
        Ok(window)
    }
}

/// Known numbers as sizes.
fn sizes(items: Option<Vec<Item>>) -> Option<Vec<usize>> {
    items?.into_iter().map(|item| item.dim().size()).collect()
}

impl Operator for Col2Im {
    fn name(&self) -> &'static str {
        "Col2Im"
    }

    fn since(&self) -> i64 {
        18
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if !self.dilation.is_empty() {
            all.push(("dilations", self.dilation.as_slice().into()));
        }
        if !self.padding.is_empty() {
            all.push(("pads", self.padding.as_slice().into()));
        }
        if !self.stride.is_empty() {
            all.push(("strides", self.stride.as_slice().into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        given.expect(2, &[DataType::I64])?;
        let (x, image) = (given.shape(0)?, given.shape(1)?);
        if x.rank() != 3 {
            return Err(format!("expected [N, C * block, L], found {x}"));
        }
        let rank = match image.dims() {
            [Dim::Fixed(n)] => *n,
            _ => return Err(format!("expected a vector of sizes, found {image}")),
        };
        given.vector(2, "sizes of a block", Dim::Fixed(rank))?;
        let block = sizes(given.items(2));
        let channels = match (x.get(1), &block) {
            (Some(c), Some(block)) => {
                let taps = block.iter().fold(1, |n: usize, &k| n.saturating_mul(k));
                if taps == 0 || c % taps != 0 {
                    return Err(format!("{c} rows of {x} are no multiple of the {taps} elements of a block"));
                }
                Dim::Fixed(c / taps)
            }
            _ => Dim::Unknown,
        };
        let mut dims = vec![x.dims()[0], channels];
        match given.items(1) {
            Some(items) => dims.extend(items.into_iter().map(Item::dim)),
            None => dims.extend(vec![Dim::Unknown; rank.min(super::schema::MAX_ITEMS)]),
        }
        let shape = Shape::new(dims);
        if let (Some(block), Some(image)) = (block, sizes(given.items(1))) {
            let window = self.window(&block, rank)?;
            let mut blocks = 1usize;
            for (a, &size) in image.iter().enumerate() {
                blocks = blocks.saturating_mul(window.output_size(a, size, false)?);
            }
            if x.get(2).is_some_and(|l| l != blocks) {
                return Err(format!("an image of {image:?} has {blocks} blocks, found {x}"));
            }
        }
        Ok(vec![Fact::new(given.dtype(0)?, shape)])
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        Ties::Known(vec![Tie::Same(Port::Input(0, 0), Port::Output(0, 0))])
    }
}

impl Read for Col2Im {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Col2Im")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            dilation: attributes.sizes("dilations")?.unwrap_or_default(),
            padding: attributes.sizes("pads")?.unwrap_or_default(),
            stride: attributes.sizes("strides")?.unwrap_or_default(),
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { dilation: Vec::new(), padding: Vec::new(), stride: Vec::new() }]
    }
}

//! What every operator answers: names, roles of inputs, attributes, inference, cost.

use super::attributes::{AttributeList, Attributes};
use super::prune::Ties;
use super::quantization::Quantization;
use crate::shape::{Dim, Shape};
use crate::tensor::{DataType, Tensor};

/// What an input is to its operator. Which parameters are trained, quantised or left alone follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Values that flow through: never trained, even where a constant stands.
    Data,
    /// A weight, bias, gamma or beta: trained if it is a parameter.
    Weight,
    /// Either side of a product, sum or the like: trained if it is a parameter of more than one float and no mask.
    Operand,
    /// A running statistic: updated while training, not by gradients.
    Statistic,
    /// Scale or zero_point of a quantisation.
    Quantization,
    /// Says how, not what: a shape, axes, indices, bounds. Never trained.
    Argument,
}

/// One element of a small integer tensor that inference knows something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The number.
    Known(i64),
    /// The size of a dimension that is known only when the graph runs.
    Size(Dim),
}

impl Item {
    /// What stands for a size in a tensor.
    pub fn of(dim: Dim) -> Self {
        match dim {
            Dim::Fixed(size) => Self::Known(i64::try_from(size).unwrap_or(i64::MAX)),
            other => Self::Size(other),
        }
    }

    /// The number, if it is known.
    pub fn known(self) -> Option<i64> {
        if let Self::Known(v) = self { Some(v) } else { None }
    }

    /// The size that the element gives; negative numbers give none.
    pub fn dim(self) -> Dim {
        match self {
            Self::Known(v) => Dim::of(usize::try_from(v).ok()),
            Self::Size(dim) => dim,
        }
    }

    /// An element of which nothing is known.
    pub const UNKNOWN: Self = Self::Size(Dim::Unknown);
}

/// The most elements of an integer tensor that inference follows: shapes, axes and pads have a few.
pub const MAX_ITEMS: usize = 1024;

/// What is known of a value before the graph runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Element type.
    pub dtype: DataType,
    /// Shape.
    pub shape: Shape,
    /// The elements, row-major, of a small integer tensor of rank 0 or 1 that shapes are made from.
    pub items: Option<Vec<Item>>,
}

impl Fact {
    /// Type and shape.
    pub fn new(dtype: DataType, shape: Shape) -> Self {
        Self { dtype, shape, items: None }
    }

    /// With elements that inference follows, unless they are too many or their number is not the shape's.
    pub fn with_items(mut self, items: Option<Vec<Item>>) -> Self {
        let fits = |items: &Vec<Item>| {
            items.len() <= MAX_ITEMS
                && self.shape.rank() <= 1
                && self.shape.sizes().is_some_and(|s| s.iter().product::<usize>() == items.len())
        };
        self.items = items.filter(fits);
        self
    }
}

/// The inputs of a node as inference sees them.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// Per listed input; `None` for an optional input that is left out.
    pub inputs: Vec<Option<Seen<'a>>>,
    /// Number of outputs that the node has.
    pub outputs: usize,
}

/// One input.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the value.
    pub name: &'a str,
    /// Element type.
    pub dtype: DataType,
    /// Shape.
    pub shape: &'a Shape,
    /// Elements that inference follows.
    pub items: Option<&'a [Item]>,
    /// The whole tensor of a parameter.
    pub tensor: Option<&'a Tensor>,
}

impl<'a> Given<'a> {
    /// Number of listed inputs, left out ones in the middle included.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Input `i` if it is given.
    pub fn get(&self, i: usize) -> Option<&Seen<'a>> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`.
    ///
    /// # Errors
    /// If it is left out.
    pub fn seen(&self, i: usize) -> Result<&Seen<'a>, String> {
        self.get(i).ok_or_else(|| format!("input {i} is missing"))
    }

    /// Shape of input `i`.
    ///
    /// # Errors
    /// If it is left out.
    pub fn shape(&self, i: usize) -> Result<&'a Shape, String> {
        Ok(self.seen(i)?.shape)
    }

    /// Element type of input `i`.
    ///
    /// # Errors
    /// If it is left out.
    pub fn dtype(&self, i: usize) -> Result<DataType, String> {
        Ok(self.seen(i)?.dtype)
    }

    /// The elements of input `i`, as far as they are known: of a constant, or computed from shapes.
    pub fn items(&self, i: usize) -> Option<Vec<Item>> {
        let seen = self.get(i)?;
        if let Some(tensor) = seen.tensor {
            let small = tensor.len() <= MAX_ITEMS;
            return small.then(|| tensor.to_i64s())?.map(|v| v.into_iter().map(Item::Known).collect());
        }
        seen.items.map(<[Item]>::to_vec)
    }

    /// The elements of input `i` if each is known.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.items(i)?.into_iter().map(Item::known).collect()
    }

    /// Refuses an element type that is not among `types`, naming the input.
    ///
    /// # Errors
    /// If the input is given and has another type.
    pub fn expect(&self, i: usize, types: &[DataType]) -> Result<(), String> {
        match self.get(i) {
            Some(seen) if !types.contains(&seen.dtype) => {
                let names: Vec<&str> = types.iter().map(|t| t.name()).collect();
                Err(format!("input {i} must be {}, found {}", names.join(" or "), seen.dtype.name()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses inputs of different element types.
    ///
    /// # Errors
    /// Naming the first that differs from input `first`.
    pub fn same_type(
        &self,
        first: usize,
        others: impl IntoIterator<Item = usize>,
    ) -> Result<DataType, String> {
        let dtype = self.dtype(first)?;
        for i in others {
            if let Some(seen) = self.get(i)
                && seen.dtype != dtype
            {
                return Err(format!("input {i} must be {}, found {}", dtype.name(), seen.dtype.name()));
            }
        }
        Ok(dtype)
    }

    /// Refuses an input that is no vector of `len` elements.
    ///
    /// # Errors
    /// Naming what was expected.
    pub fn vector(&self, i: usize, what: &str, len: Dim) -> Result<(), String> {
        let shape = self.shape(i)?;
        if shape.rank() == 1 && shape.dims()[0].may_equal(len) {
            Ok(())
        } else {
            Err(format!("expected {what} of shape [{len}], found {shape}"))
        }
    }
}

/// An axis counted from the front; negative ones count from the back.
///
/// # Errors
/// If it lies outside `rank` dimensions.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let rank_i = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_front = if axis < 0 { axis.saturating_add(rank_i) } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("the axis is {axis}, the value has {rank} dimensions"))
}

/// The floating-point types.
pub const FLOATS: &[DataType] = &[DataType::F32, DataType::F64, DataType::F16, DataType::BF16];

/// The work of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpCost {
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Elements that are read for one element of the result: the size of a pooling window, otherwise 1.
    pub reads: u64,
}

/// How the node stands in the file that it is read from.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Domain, empty for ONNX's own.
    pub domain: &'a str,
    /// Operator.
    pub name: &'a str,
    /// Opset of the default domain.
    pub opset: i64,
    /// Number of listed inputs.
    pub inputs: usize,
    /// Number of listed outputs.
    pub outputs: usize,
}

/// What all stages ask an operator.
///
/// Nothing here depends on the place in a graph: a node gives its inputs as [`Given`].
pub trait Operator {
    /// ONNX name.
    fn name(&self) -> &'static str;

    /// ONNX domain; empty for the default one.
    fn domain(&self) -> &'static str {
        ""
    }

    /// The first opset of the default domain that has the operator with these attributes (the form whose inputs are
    /// attributes in older opsets counts).
    fn since(&self) -> i64;

    /// Least and most inputs; `usize::MAX` for any number.
    fn arity(&self) -> (usize, usize);

    /// Least and most outputs.
    fn outputs(&self) -> (usize, usize) {
        (1, 1)
    }

    /// What input `i` is.
    fn role(&self, i: usize) -> Role;

    /// Attributes in the form of the newest opset.
    fn attributes(&self) -> AttributeList;

    /// Types and shapes of the outputs, as many as the node has.
    ///
    /// # Errors
    /// What was expected and what was found; the caller adds the node.
    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String>;

    /// The work of one sample.
    fn cost(&self, _given: &Given, _outputs: &[&Shape]) -> OpCost {
        OpCost { macs: 0, reads: 1 }
    }

    /// Whether it multiplies with a weight: a convolution or fully connected layer.
    fn is_layer(&self) -> bool {
        false
    }

    /// Whether input 1 is a weight with a row (an index of axis 0) for each output channel, and input 2 its bias.
    fn has_weight_rows(&self) -> bool {
        false
    }

    /// The bounds, if all that it does is to keep values within them.
    fn clamp(&self) -> Option<(f32, f32)> {
        None
    }

    /// Whether the result holds the elements of input 0 in their order, all of them and nothing else; its shape may be another.
    fn keeps_elements(&self, _given: &Given) -> bool {
        false
    }

    /// Which indices of axes must be removed together when channels are pruned.
    fn ties(&self, _given: &Given, _outputs: &[&Shape]) -> Ties {
        Ties::Never
    }

    /// Whether it is computed on bytes where `Q -> DQ` stands around it and its values are maps or rows of these shapes. Of
    /// layers, their weights decide.
    fn works_on_bytes(&self, _given: &Given, _outputs: &[&Shape]) -> bool {
        false
    }

    /// What integer quantisation does with it.
    fn quantization(&self) -> Quantization {
        Quantization::Float
    }
}

/// How an operator is read from a file.
pub trait Read: Sized {
    /// Domains and names.
    const NAMES: &'static [(&'static str, &'static str)];

    /// Reads the attributes. Those that older opsets write as attributes and newer ones as inputs have become inputs
    /// before.
    ///
    /// # Errors
    /// An attribute that is missing, of the wrong kind or not supported.
    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String>;

    /// One of each kind, with usual attributes: what tests run through every stage.
    fn examples() -> Vec<Self>;
}

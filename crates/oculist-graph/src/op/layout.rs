//! Operators that move or keep elements: concatenation, flattening, identity.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Concatenation along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat {
    /// The axis; negative ones count from the back.
    pub axis: i64,
}

impl Concat {
    /// Along the channels.
    pub const CHANNELS: Self = Self { axis: 1 };
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn since(&self) -> i64 {
        if self.axis < 0 { 11 } else { 4 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn role(&self, _: usize) -> Role {
        // A class token or the like that is put in front of a sequence is learned.
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        vec![("axis", self.axis.into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let first = given.shape(0)?;
        let along = axis(self.axis, first.rank())?;
        let dtype = given.same_type(0, 1..given.len())?;
        let mut dims = first.dims().to_vec();
        let mut total = Some(0usize);
        for i in 0..given.len() {
            let shape = given.shape(i)?;
            let fits = shape.rank() == first.rank()
                && (0..shape.rank()).all(|a| a == along || shape.dims()[a].may_equal(dims[a]));
            if !fits {
                return Err(format!("inputs differ beyond axis {along}: {first} and {shape}"));
            }
            for a in (0..dims.len()).filter(|&a| a != along) {
                dims[a] = dims[a].or(shape.dims()[a]);
            }
            total = total.zip(shape.get(along)).map(|(t, more)| t.saturating_add(more));
        }
        dims[along] = if given.len() == 1 { first.dims()[along] } else { Dim::of(total) };
        let items = (first.rank() == 1).then(|| {
            let mut items = Vec::new();
            for i in 0..given.len() {
                let len = given.shape(i).ok().and_then(|s| s.get(0))?;
                items
                    .extend(given.items(i).unwrap_or_else(|| vec![Item::UNKNOWN; len.min(super::MAX_ITEMS)]));
            }
            Some(items)
        });
        Ok(vec![
            // tf2onnx computes shapes in 32 bits.
            Fact::new(dtype, Shape::new(dims))
                .with_items(items.flatten().filter(|_| matches!(dtype, DataType::I64 | DataType::I32))),
        ])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let Ok(along) = axis(self.axis, outputs[0].rank()) else { return Ties::Unknown };
        let mut ties = Vec::new();
        let mut offset = 0;
        for i in 0..given.len() {
            for a in 0..outputs[0].rank() {
                let (from, to) = (Port::Input(i, a), Port::Output(0, a));
                ties.push(if a == along { Tie::Shifted(from, to, offset) } else { Tie::Same(from, to) });
            }
            let Some(len) = given.shape(i).ok().and_then(|s| s.get(along)) else { return Ties::Unknown };
            offset += len;
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Arithmetic
    }

    fn keeps_elements(&self, given: &Given) -> bool {
        given.len() == 1
    }

    fn works_on_bytes(&self, given: &Given, _: &[&Shape]) -> bool {
        given.shape(0).is_ok_and(|x| axis(self.axis, x.rank()) == Ok(1))
    }
}

impl Read for Concat {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Concat")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int("axis")?.ok_or("the attribute `axis` is missing")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self::CHANNELS]
    }
}

/// `[d_0, ..., d_n]` to the matrix of the axes before `axis` and those from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten {
    /// The first axis of the second dimension; negative ones count from the back, `rank` makes the second one 1.
    pub axis: i64,
}

impl Flatten {
    /// `[N, C, H, W]` to `[N, C * H * W]`.
    pub const IMAGES: Self = Self { axis: 1 };
}

/// The product of dimensions; one that is symbolic keeps its name if the rest is 1.
pub(super) fn product(dims: &[Dim]) -> Dim {
    let known = dims.iter().filter_map(|d| d.size()).fold(1, usize::saturating_mul);
    let open: Vec<Dim> = dims.iter().copied().filter(|d| d.size().is_none()).collect();
    match (known, &open[..]) {
        (0, _) => Dim::Fixed(0),
        (n, []) => Dim::Fixed(n),
        (1, [dim]) => *dim,
        _ => Dim::Unknown,
    }
}

impl Operator for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn since(&self) -> i64 {
        if self.axis < 0 { 11 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        if self.axis == 1 { Vec::new() } else { vec![("axis", self.axis.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        let rank = x.rank();
        let at = if usize::try_from(self.axis) == Ok(rank) { rank } else { axis(self.axis, rank)? };
        let dims = vec![product(&x.dims()[..at]), product(&x.dims()[at..])];
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let Ok(x) = given.shape(0) else { return Ties::Unknown };
        let (Some(channels), Some(all)) = (x.get(1), outputs[0].get(1)) else { return Ties::Unknown };
        if axis(self.axis, x.rank()) != Ok(1) {
            return Ties::Unknown;
        }
        Ties::Known(vec![Tie::Spread(Port::Input(0, 1), Port::Output(0, 1), all / channels.max(1))])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn keeps_elements(&self, _: &Given) -> bool {
        true
    }

    fn works_on_bytes(&self, _: &Given, _: &[&Shape]) -> bool {
        self.axis == 1
    }
}

impl Read for Flatten {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Flatten")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int_or("axis", 1)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self::IMAGES]
    }
}

/// The value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity;

/// All axes of input 0 are those of the output.
pub(super) fn axes_stay(given: &Given) -> Ties {
    let rank = given.shape(0).map_or(0, Shape::rank);
    Ties::Known((0..rank).map(|a| Tie::Same(Port::Input(0, a), Port::Output(0, a))).collect())
}

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        Ok(vec![Fact::new(given.dtype(0)?, given.shape(0)?.clone()).with_items(given.items(0))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        axes_stay(given)
    }

    fn keeps_elements(&self, _: &Given) -> bool {
        true
    }
}

impl Read for Identity {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Identity")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

/// Zeroes a share of the elements while training; the identity otherwise. A second output says what was kept.
///
/// The inputs `ratio` and `training_mode` are there only where the file computes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of zeroing, 0..1.
    pub ratio: f32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        "Dropout"
    }

    fn since(&self) -> i64 {
        7
    }

    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        vec![("ratio", self.ratio.into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let shape = given.shape(0)?.clone();
        let mut facts = vec![Fact::new(given.dtype(0)?, shape.clone())];
        if given.outputs > 1 {
            facts.push(Fact::new(DataType::Bool, shape));
        }
        Ok(facts)
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        if outputs.len() == 1 { axes_stay(given) } else { Ties::Unknown }
    }

    /// Without `training_mode`, nothing is dropped.
    fn keeps_elements(&self, given: &Given) -> bool {
        given.get(2).is_none()
    }
}

impl Read for Dropout {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Dropout")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        attributes.skip(&["seed", "is_test"]);
        Ok(Self { ratio: attributes.float_or("ratio", 0.5)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { ratio: 0.5 }]
    }
}

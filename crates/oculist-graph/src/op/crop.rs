//! Values cut or padded about their middle.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::reshape::axes_of;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// The middle of the value at the sizes that input 1 names, with zeros around it where they are larger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CenterCropPad {
    /// The axes that the sizes are of, all of them if none are named.
    pub axes: Option<Vec<i64>>,
}

impl CenterCropPad {
    /// The axes that the sizes are of.
    ///
    /// # Errors
    /// If one lies outside of the value or is named twice.
    pub fn cropped_axes(&self, rank: usize) -> Result<Vec<usize>, String> {
        self.axes.as_ref().map_or_else(|| Ok((0..rank).collect()), |axes| axes_of(axes, rank))
    }
}

impl Operator for CenterCropPad {
    fn name(&self) -> &'static str {
        "CenterCropPad"
    }

    fn since(&self) -> i64 {
        18
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        self.axes.iter().map(|axes| ("axes", axes.clone().into())).collect()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64, DataType::I32])?;
        let x = given.shape(0)?;
        let axes = self.cropped_axes(x.rank())?;
        given.vector(1, "sizes", Dim::Fixed(axes.len()))?;
        let items = given.items(1).unwrap_or_else(|| vec![Item::UNKNOWN; axes.len()]);
        let mut dims = x.dims().to_vec();
        for (&a, item) in axes.iter().zip(items) {
            if let Item::Known(n @ ..0) = item {
                return Err(format!("a size is {n}, expected at least 0"));
            }
            dims[a] = item.dim();
        }
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Ok(x) = given.shape(0) else { return Ties::Unknown };
        let Ok(axes) = self.cropped_axes(x.rank()) else { return Ties::Unknown };
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, a));
        Ties::Known((0..x.rank()).filter(|a| !axes.contains(a)).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for CenterCropPad {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "CenterCropPad")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axes: attributes.ints("axes")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axes: Some(vec![2, 3]) }]
    }
}

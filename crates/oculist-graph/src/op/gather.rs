//! Elements picked by index.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, MAX_ITEMS, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::{DataType, Tensor};

/// The types that indices have.
pub(super) const INDICES: &[DataType] = &[DataType::I64, DataType::I32];

/// The parts of `data` along an axis that `indices` name; negative indices count from the back.
///
/// # Shapes
/// The axis of `data` is replaced by all axes of `indices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// The axis; negative ones count from the back.
    pub axis: i64,
}

/// One element of `data` for each index, at the index's own position but for the axis, where the index says it.
///
/// # Shapes
/// `data` and `indices` of one rank; the result has the shape of `indices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherElements {
    /// The axis; negative ones count from the back.
    pub axis: i64,
}

/// The parts of `data` at tuples of indices, which stand along the last axis of `indices`.
///
/// # Shapes
/// The axes of `indices` but for the last, then the axes of `data` that the tuples do not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherND {
    /// Number of leading axes that `data` and `indices` share.
    pub batch_dims: usize,
}

fn axis_attribute(axis: i64, default: i64) -> AttributeList {
    if axis == default { Vec::new() } else { vec![("axis", axis.into())] }
}

/// Elements of a vector at the position that an index names.
fn item(items: &[Item], index: Item) -> Result<Item, String> {
    let Item::Known(i) = index else { return Ok(Item::UNKNOWN) };
    let at = if i < 0 { i.saturating_add(i64::try_from(items.len()).unwrap_or(i64::MAX)) } else { i };
    let found = usize::try_from(at).ok().and_then(|at| items.get(at));
    found.copied().ok_or_else(|| format!("the index is {i}, the axis has {}", items.len()))
}

impl Gather {
    /// Constant indices of an axis of `size` in a row, counted from the front; `None` if they are no vector or one lies
    /// outside.
    pub fn positions(indices: &Tensor, size: usize) -> Option<Box<[u32]>> {
        let count = i64::try_from(size).ok()?;
        let position = |i: i64| {
            let from_front = if i < 0 { i.checked_add(count)? } else { i };
            u32::try_from(from_front).ok().filter(|_| from_front < count)
        };
        if indices.shape().len() == 1 { indices.to_i64s()?.into_iter().map(position).collect() } else { None }
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        axis_attribute(self.axis, 0)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let (x, indices) = (given.shape(0)?, given.shape(1)?);
        let along = axis(self.axis, x.rank())?;
        let dims = [&x.dims()[..along], indices.dims(), &x.dims()[along + 1..]].concat();
        let items = match (x.rank(), given.items(0), given.items(1)) {
            (1, Some(items), Some(indices)) => {
                Some(indices.into_iter().map(|i| item(&items, i)).collect::<Result<Vec<_>, _>>()?)
            }
            (1, Some(_), None) => {
                let len = indices.sizes().map(|s| s.iter().fold(1usize, |n, &d| n.saturating_mul(d)));
                len.filter(|&n| n <= MAX_ITEMS).map(|n| vec![Item::UNKNOWN; n])
            }
            _ => None,
        };
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(items)])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let (Ok(x), Ok(indices)) = (given.shape(0), given.shape(1)) else { return Ties::Unknown };
        let Ok(along) = axis(self.axis, x.rank()) else { return Ties::Unknown };
        let to = |a: usize| if a < along { a } else { a + indices.rank() - 1 };
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, to(a)));
        Ties::Known((0..x.rank()).filter(|&a| a != along).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn works_on_bytes(&self, given: &Given, outputs: &[&Shape]) -> bool {
        let (Ok(x), Some(indices)) = (given.shape(0), given.get(1).and_then(|seen| seen.tensor)) else {
            return false;
        };
        let positions = x.get(1).and_then(|channels| Self::positions(indices, channels));
        axis(self.axis, x.rank()) == Ok(1) && outputs[0].rank() == x.rank() && positions.is_some()
    }
}

impl Read for Gather {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Gather")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int_or("axis", 0)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 0 }]
    }
}

/// Refuses shapes of different ranks, or where an axis but one of the first is longer than that of the second.
pub(super) fn within(indices: &Shape, data: &Shape, along: usize) -> Result<(), String> {
    let longer = |a: usize| matches!((indices.get(a), data.get(a)), (Some(i), Some(d)) if i > d);
    if indices.rank() == data.rank() && !(0..data.rank()).any(|a| a != along && longer(a)) {
        return Ok(());
    }
    Err(format!("expected indices that lie within {data} beyond axis {along}, found {indices}"))
}

impl Operator for GatherElements {
    fn name(&self) -> &'static str {
        "GatherElements"
    }

    fn since(&self) -> i64 {
        11
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        axis_attribute(self.axis, 0)
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let (x, indices) = (given.shape(0)?, given.shape(1)?);
        let along = axis(self.axis, x.rank())?;
        within(indices, x, along)?;
        Ok(vec![Fact::new(given.dtype(0)?, indices.clone())])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for GatherElements {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "GatherElements")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { axis: attributes.int_or("axis", 0)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 1 }]
    }
}

impl Operator for GatherND {
    fn name(&self) -> &'static str {
        "GatherND"
    }

    fn since(&self) -> i64 {
        if self.batch_dims > 0 { 12 } else { 11 }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.batch_dims == 0 { Vec::new() } else { vec![("batch_dims", self.batch_dims.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let (x, indices) = (given.shape(0)?, given.shape(1)?);
        let (Some(&tuple), batch) = (indices.dims().last(), self.batch_dims) else {
            return Err("indices without an axis hold no tuples".to_owned());
        };
        if batch >= x.rank() || batch >= indices.rank() {
            return Err(format!("{batch} axes cannot be shared by {x} and {indices}, which need one more"));
        }
        if !(0..batch).all(|a| x.dims()[a].may_equal(indices.dims()[a])) {
            return Err(format!("{x} and {indices} differ within the first {batch} axes"));
        }
        let len = tuple.size().ok_or("the length of the tuples must be known")?;
        if len == 0 || len > x.rank() - batch {
            return Err(format!("tuples of {len} do not index {x} behind its first {batch} axes"));
        }
        let mut dims = indices.dims()[..indices.rank() - 1].to_vec();
        for (dim, &other) in dims.iter_mut().zip(&x.dims()[..batch]) {
            *dim = dim.or(other);
        }
        dims.extend_from_slice(&x.dims()[batch + len..]);
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for GatherND {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "GatherND")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { batch_dims: attributes.size("batch_dims")?.unwrap_or(0) })
    }

    fn examples() -> Vec<Self> {
        vec![Self { batch_dims: 0 }]
    }
}

/// The columns of a table that a vector of indices names: the operator of ONNX's domain of classic machine learning.
///
/// # Shapes
/// `x` `[..., n]`, `indices` of `k` elements, result `[..., k]`; a vector gives `[1, k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayFeatureExtractor;

impl Operator for ArrayFeatureExtractor {
    fn name(&self) -> &'static str {
        "ArrayFeatureExtractor"
    }

    fn domain(&self) -> &'static str {
        "ai.onnx.ml"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, INDICES)?;
        let (x, indices) = (given.shape(0)?, given.shape(1)?);
        let Some((_, front)) = x.dims().split_last() else {
            return Err("a scalar has no columns".to_owned());
        };
        let count = super::layout::product(indices.dims());
        if count == Dim::Fixed(0) {
            return Err("expected at least one index, found none".to_owned());
        }
        let mut dims = if front.is_empty() { vec![Dim::Fixed(1)] } else { front.to_vec() };
        dims.push(count);
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for ArrayFeatureExtractor {
    const NAMES: &'static [(&'static str, &'static str)] = &[("ai.onnx.ml", "ArrayFeatureExtractor")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Seen;
    use crate::tensor::Tensor;

    #[test]
    fn a_size_that_is_picked_keeps_its_name() {
        let (vector, scalar) = (Shape::fixed(&[3]), Shape::fixed(&[]));
        let items = [Item::Size(Dim::Batch), Item::Known(8), Item::UNKNOWN];
        let index = Tensor::new(Vec::new(), crate::tensor::TensorData::I64(vec![-3])).unwrap();
        let data =
            Seen { name: "s", dtype: DataType::I64, shape: &vector, items: Some(&items), tensor: None };
        let at = Seen { name: "i", dtype: DataType::I64, shape: &scalar, items: None, tensor: Some(&index) };
        let given = Given { inputs: vec![Some(data), Some(at)], outputs: 1 };
        let fact = Gather { axis: 0 }.infer(&given).unwrap().remove(0);
        assert_eq!((fact.shape, fact.items), (Shape::fixed(&[]), Some(vec![Item::Size(Dim::Batch)])));
        assert!(item(&items, Item::Known(3)).unwrap_err().contains("the index is 3"));
    }

    #[test]
    fn tuples_leave_the_axes_that_they_do_not_reach() {
        let (x, indices) = (Shape::fixed(&[2, 3, 4]), Shape::fixed(&[2, 5, 1]));
        let seen = |shape, dtype| Some(Seen { name: "", dtype, shape, items: None, tensor: None });
        let inputs = vec![seen(&x, DataType::F32), seen(&indices, DataType::I64)];
        let given = Given { inputs, outputs: 1 };
        let shape = |batch_dims| GatherND { batch_dims }.infer(&given).map(|f| f[0].shape.clone());
        assert_eq!(shape(0), Ok(Shape::fixed(&[2, 5, 3, 4])));
        assert_eq!(shape(1), Ok(Shape::fixed(&[2, 5, 4])));
        assert!(shape(2).unwrap_err().contains("differ within"));
        assert!(shape(3).unwrap_err().contains("cannot be shared"));
    }
}

//! Parts of a value along its axes.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::reshape::axes_of;
use super::schema::{Fact, Given, Item, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Every `step`-th index from a start to before an end, per axis.
///
/// Inputs `x, starts, ends, axes, steps`; negative starts and ends count from the back, negative steps go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice;

/// An axis with its start, end and step.
type Bound = (usize, Item, Item, Item);

impl Slice {
    /// First index, number of indices, for an axis of a known size.
    ///
    /// # Errors
    /// If the step is 0.
    pub fn range(size: usize, start: i64, end: i64, step: i64) -> Result<(usize, usize), String> {
        if step == 0 {
            return Err("a step is 0".to_owned());
        }
        let size = i128::try_from(size).unwrap_or(i128::MAX);
        let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
        let from_front = |i: i128| if i < 0 { i + size } else { i };
        // Going backwards, one before the first index is an end.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let first = from_front(start).clamp(if step > 0 { 0 } else { low }, high);
        let end = from_front(end).clamp(low, high);
        let span = if step > 0 { end - first } else { first - end };
        let count = if span <= 0 { 0 } else { (span - 1) / step.abs() + 1 };
        let as_size = |v: i128| usize::try_from(v.max(0)).unwrap_or(usize::MAX);
        Ok((as_size(first), as_size(count)))
    }

    /// The axes with their starts, ends and steps as far as they are known; `None` if not even the axes are.
    fn bounds(given: &Given) -> Result<Option<Vec<Bound>>, String> {
        let rank = given.shape(0)?.rank();
        let unknown =
            |i: usize| given.shape(i).ok().and_then(|s| s.get(0)).map(|n| vec![Item::UNKNOWN; n.min(rank)]);
        let Some(starts) = given.items(1).or_else(|| unknown(1)) else { return Ok(None) };
        let Some(ends) = given.items(2).or_else(|| unknown(2)) else { return Ok(None) };
        let axes = match given.get(3) {
            None if starts.len() > rank => {
                return Err(format!("{} starts are given, the value has {rank} dimensions", starts.len()));
            }
            None => (0..starts.len()).collect(),
            Some(_) => match given.ints(3) {
                Some(axes) => axes_of(&axes, rank)?,
                None => return Ok(None),
            },
        };
        let steps = match given.get(4) {
            None => vec![Item::Known(1); axes.len()],
            Some(_) => given.items(4).unwrap_or_else(|| vec![Item::UNKNOWN; axes.len()]),
        };
        if starts.len() != axes.len() || ends.len() != axes.len() || steps.len() != axes.len() {
            return Err(format!(
                "{} starts, {} ends, {} axes and {} steps differ in number",
                starts.len(),
                ends.len(),
                axes.len(),
                steps.len()
            ));
        }
        Ok(Some((0..axes.len()).map(|i| (axes[i], starts[i], ends[i], steps[i])).collect()))
    }

    /// The size of an axis after it.
    fn dim(dim: Dim, start: Item, end: Item, step: Item) -> Result<Dim, String> {
        let far = |n: i64| n >= i64::from(i32::MAX);
        Ok(match (dim, start, end, step) {
            (_, _, _, Item::Known(0)) => return Err("a step is 0".to_owned()),
            (Dim::Fixed(size), Item::Known(start), Item::Known(end), Item::Known(step)) => {
                Dim::Fixed(Self::range(size, start, end, step)?.1)
            }
            // All of an axis, whatever its size.
            (dim, Item::Known(0), Item::Known(end), Item::Known(1)) if far(end) => dim,
            (dim, Item::Known(0), Item::Size(end), Item::Known(1)) if dim == end && dim != Dim::Unknown => {
                dim
            }
            (dim, Item::Known(-1), Item::Known(end), Item::Known(-1)) if end <= -i64::from(i32::MAX) => dim,
            // A batch has at least one sample.
            (Dim::Batch, Item::Known(0), Item::Known(1), Item::Known(1)) => Dim::Fixed(1),
            _ => Dim::Unknown,
        })
    }
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (3, 5)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        for i in 1..5 {
            given.expect(i, &[DataType::I64, DataType::I32])?;
        }
        let Some(bounds) = Self::bounds(given)? else {
            return Ok(vec![Fact::new(given.dtype(0)?, Shape::new(vec![Dim::Unknown; x.rank()]))]);
        };
        let mut dims = x.dims().to_vec();
        for &(a, start, end, step) in &bounds {
            dims[a] = Self::dim(dims[a], start, end, step)?;
        }
        let items = match (&bounds[..], given.items(0)) {
            ([], items) => items,
            (&[(_, Item::Known(start), Item::Known(end), Item::Known(step))], Some(items)) => {
                let (first, count) = Self::range(items.len(), start, end, step)?;
                let step = isize::try_from(step).unwrap_or(isize::MAX);
                let at =
                    |i: usize| items.get(first.wrapping_add_signed(step.wrapping_mul(i as isize))).copied();
                (0..count).map(at).collect()
            }
            _ => None,
        };
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(items)])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let Ok(Some(bounds)) = Self::bounds(given) else { return Ties::Unknown };
        let whole = |a: &usize| !bounds.iter().any(|b| b.0 == *a);
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, a));
        Ties::Known((0..outputs[0].rank()).filter(whole).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for Slice {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Slice")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

/// Consecutive parts along an axis: of the lengths that input 1 lists, or as many parts of equal length as are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The axis; negative ones count from the back.
    pub axis: i64,
    /// Number of equal parts (the last may be shorter) where there is no input that lists them.
    pub parts: Option<usize>,
}

impl Split {
    /// The lengths of equal parts of an axis; the last ones hold what is left.
    pub fn equal(size: usize, parts: usize) -> Vec<usize> {
        let each = size.div_ceil(parts.max(1));
        (0..parts).map(|i| size.saturating_sub(i.saturating_mul(each)).min(each)).collect()
    }
}

impl Operator for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn since(&self) -> i64 {
        2
    }

    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.axis != 0 {
            all.push(("axis", self.axis.into()));
        }
        if let Some(parts) = self.parts {
            all.push(("num_outputs", parts.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        let x = given.shape(0)?;
        let along = axis(self.axis, x.rank())?;
        let n = given.outputs;
        let lengths: Vec<Dim> = if given.get(1).is_some() {
            match given.items(1) {
                Some(items) if items.len() != n => {
                    return Err(format!("{} lengths are listed, the node has {n} outputs", items.len()));
                }
                Some(items) => {
                    if let Some(negative) = items.iter().filter_map(|i| i.known()).find(|&v| v < 0) {
                        return Err(format!("a part has the length {negative}"));
                    }
                    items.into_iter().map(Item::dim).collect()
                }
                None => vec![Dim::Unknown; n],
            }
        } else {
            let parts = self.parts.unwrap_or(n);
            if parts != n {
                return Err(format!("{parts} parts are asked for, the node has {n} outputs"));
            }
            match x.get(along) {
                Some(size) => Self::equal(size, parts).into_iter().map(Dim::Fixed).collect(),
                None if n == 1 => vec![x.dims()[along]],
                None => vec![Dim::Unknown; n],
            }
        };
        let total = lengths.iter().try_fold(0usize, |sum, d| Some(sum.saturating_add(d.size()?)));
        if let (Some(total), Some(size)) = (total, x.get(along))
            && total != size
        {
            return Err(format!("the parts have {total} indices, axis {along} of {x} has {size}"));
        }
        let items = given.items(0);
        let mut first = Some(0usize);
        let mut facts = Vec::with_capacity(n);
        for length in lengths {
            let mut dims = x.dims().to_vec();
            dims[along] = length;
            let end = first.zip(length.size()).map(|(f, n)| f.saturating_add(n));
            let part = items.as_ref().and_then(|items| Some(items.get(first?..end?)?.to_vec()));
            first = end;
            facts.push(Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(part));
        }
        Ok(facts)
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let Ok(x) = given.shape(0) else { return Ties::Unknown };
        let Ok(along) = axis(self.axis, x.rank()) else { return Ties::Unknown };
        let mut ties = Vec::new();
        for o in 0..outputs.len() {
            let same = |a| Tie::Same(Port::Input(0, a), Port::Output(o, a));
            ties.extend((0..x.rank()).filter(|&a| a != along).map(same));
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }
}

impl Read for Split {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Split")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let parts = attributes.size("num_outputs")?;
        // Before opset 18, the number of outputs alone tells the number of parts.
        let parts = if written.inputs < 2 { parts.or(Some(written.outputs)) } else { None };
        Ok(Self { axis: attributes.int_or("axis", 0)?, parts })
    }

    fn examples() -> Vec<Self> {
        vec![Self { axis: 1, parts: Some(2) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_python() {
        assert_eq!(Slice::range(10, 2, 7, 2), Ok((2, 3)));
        assert_eq!(Slice::range(10, -3, 100, 1), Ok((7, 3)));
        assert_eq!(Slice::range(10, 100, -100, -3), Ok((9, 4)));
        assert_eq!(Slice::range(10, 5, 5, -1), Ok((5, 0)));
        assert_eq!(Slice::range(10, -1, i64::MIN, i64::MIN), Ok((9, 1)));
        assert_eq!(Slice::range(0, 0, 5, 1), Ok((0, 0)));
        assert_eq!(Slice::range(0, 5, -5, -1).unwrap().1, 0);
        assert!(Slice::range(3, 0, 1, 0).is_err());
    }

    #[test]
    fn whole_axes_keep_their_names() {
        let known = Item::Known;
        assert_eq!(Slice::dim(Dim::Symbol(3), known(0), known(i64::MAX), known(1)), Ok(Dim::Symbol(3)));
        assert_eq!(
            Slice::dim(Dim::Symbol(3), known(0), Item::Size(Dim::Symbol(3)), known(1)),
            Ok(Dim::Symbol(3))
        );
        assert_eq!(Slice::dim(Dim::Batch, known(1), known(i64::MAX), known(1)), Ok(Dim::Unknown));
        assert_eq!(Slice::dim(Dim::Batch, known(0), known(1), known(1)), Ok(Dim::Fixed(1)));
    }

    #[test]
    fn the_last_part_is_the_shorter_one() {
        assert_eq!(Split::equal(7, 4), [2, 2, 2, 1]);
        assert_eq!(Split::equal(6, 3), [2, 2, 2]);
        assert_eq!(Split::equal(2, 4), [1, 1, 0, 0]);
        assert_eq!(Split::equal(2, 0), [0; 0]);
    }
}

//! The same elements in another shape.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Item, MAX_ITEMS, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// The elements in the shape that input 1 names: 0 copies the size of the input's axis, -1 is what is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reshape {
    /// Whether 0 means a size of 0.
    pub allow_zero: bool,
}

/// Axes of size 1 left out: those that input 1 names, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Squeeze;

/// Axes of size 1 put in where input 1 says, counted in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsqueeze;

/// The size that makes the elements of `from` as many as those of `to`, which holds it once as `None`; the sizes that
/// stand on both sides cancel.
///
/// # Errors
/// If the known elements cannot be shared.
fn left_over(from: &[Dim], to: &[Dim]) -> Result<Dim, (usize, usize)> {
    let known = |dims: &[Dim]| dims.iter().filter_map(|d| d.size()).fold(1, usize::saturating_mul);
    let mut open: Vec<Dim> = from.iter().copied().filter(|d| d.size().is_none()).collect();
    for dim in to.iter().filter(|d| d.size().is_none()) {
        match open.iter().position(|d| d == dim && *d != Dim::Unknown) {
            Some(i) => drop(open.swap_remove(i)),
            None => return Ok(Dim::Unknown),
        }
    }
    let (have, taken) = (known(from), known(to));
    match &open[..] {
        [] if taken == 0 || have % taken != 0 => Err((have, taken)),
        [] => Ok(Dim::Fixed(have / taken)),
        [dim] if have == taken => Ok(*dim),
        _ => Ok(Dim::Unknown),
    }
}

impl Reshape {
    /// 0 copies a size.
    pub const COPYING: Self = Self { allow_zero: false };

    /// The result's dimensions for a target of which something is known.
    ///
    /// # Errors
    /// If the target cannot hold the elements.
    pub fn dims(&self, x: &Shape, target: &[Item]) -> Result<Vec<Dim>, String> {
        let mut dims = Vec::with_capacity(target.len());
        // What is copied stands on both sides, whatever its size.
        let mut copied = vec![false; x.rank().max(target.len())];
        let mut open = Vec::new();
        for (i, item) in target.iter().enumerate() {
            dims.push(match *item {
                Item::Known(0) if !self.allow_zero => {
                    copied[i] = true;
                    *x.dims()
                        .get(i)
                        .ok_or_else(|| format!("size {i} is copied from {x}, which has no such axis"))?
                }
                Item::Known(-1) => {
                    open.push(i);
                    Dim::Unknown
                }
                Item::Known(n) => Dim::Fixed(
                    usize::try_from(n).map_err(|_| format!("size {i} is {n}, expected -1, 0 or more"))?,
                ),
                Item::Size(dim) => dim,
            });
        }
        if open.len() > 1 {
            return Err(format!("{} sizes are -1, expected at most one", open.len()));
        }
        if self.allow_zero && !open.is_empty() && target.contains(&Item::Known(0)) {
            return Err("a size of 0 leaves nothing for the size that is -1".to_owned());
        }
        let rest = |dims: &[Dim], but: Option<usize>| -> Vec<Dim> {
            let kept = |i: usize| !copied[i] && Some(i) != but;
            dims.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, d)| *d).collect()
        };
        let (from, to) = (rest(x.dims(), None), rest(&dims, open.first().copied()));
        // One size of which nothing is known follows from the others as well.
        let mut unknown = (0..dims.len()).filter(|&i| !copied[i] && dims[i] == Dim::Unknown);
        match (unknown.next(), unknown.next()) {
            (Some(i), None) => {
                let to = rest(&dims, Some(i));
                dims[i] = left_over(&from, &to)
                    .map_err(|(have, taken)| format!("{have} elements of {x} cannot be shared by {taken}"))?;
            }
            (None, _) => {
                let (a, b) = (Shape::new(from), Shape::new(to));
                if let (Some(a), Some(b)) = (a.sizes(), b.sizes()) {
                    let count = |sizes: &[usize]| {
                        if sizes.contains(&0) {
                            0
                        } else {
                            sizes.iter().copied().fold(1, usize::saturating_mul)
                        }
                    };
                    if count(&a) != count(&b) {
                        return Err(format!("the elements of {x} do not fill {}", Shape::new(dims)));
                    }
                }
            }
            (Some(_), Some(_)) => {}
        }
        Ok(dims)
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn since(&self) -> i64 {
        if self.allow_zero { 14 } else { 1 }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.allow_zero { vec![("allowzero", true.into())] } else { Vec::new() }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(1, &[DataType::I64])?;
        let (x, target) = (given.shape(0)?, given.shape(1)?);
        if target.rank() != 1 {
            return Err(format!("expected a shape that is a vector, found {target}"));
        }
        let dims = if let Some(items) = given.items(1) {
            self.dims(x, &items)?
        } else {
            let rank = target.get(0).ok_or("the number of sizes must be known")?;
            vec![Dim::Unknown; rank.min(MAX_ITEMS)]
        };
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(given.items(0))])
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let (Ok(x), Some(target)) = (given.shape(0), given.items(1)) else { return Ties::Unknown };
        let out = outputs[0];
        // A number in the target would have to change with the axis.
        let free = |i: usize| match target.get(i) {
            Some(Item::Known(0)) => !self.allow_zero,
            Some(Item::Known(-1) | Item::Size(_)) => true,
            _ => false,
        };
        let equal = |a: usize, b: usize| x.dims()[a] == out.dims()[b] && x.dims()[a] != Dim::Unknown;
        let shorter = x.rank().min(out.rank());
        let front = (0..shorter).take_while(|&a| equal(a, a)).count();
        let back = (1..=shorter - front).take_while(|&i| equal(x.rank() - i, out.rank() - i)).count();
        let mut pairs: Vec<(usize, usize)> = (0..front).map(|a| (a, a)).collect();
        pairs.extend((1..=back).map(|i| (x.rank() - i, out.rank() - i)));
        let same = |(a, b): (usize, usize)| Tie::Same(Port::Input(0, a), Port::Output(0, b));
        let mut ties: Vec<Tie> = pairs.into_iter().filter(|&(_, b)| free(b)).map(same).collect();
        // Channels and what lies behind them as one axis, as Flatten makes it.
        if front == 1
            && back == 0
            && out.rank() == 2
            && target[1] == Item::Known(-1)
            && let (Some(channels), Some(all)) = (x.get(1), out.get(1))
        {
            ties.push(Tie::Spread(Port::Input(0, 1), Port::Output(0, 1), all / channels.max(1)));
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn keeps_elements(&self, _: &Given) -> bool {
        true
    }
}

impl Read for Reshape {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Reshape")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { allow_zero: attributes.flag("allowzero", false)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self::COPYING, Self { allow_zero: true }]
    }
}

/// The axes that an input names, each once and counted from the front.
///
/// # Errors
/// If one lies outside or is named twice.
pub(super) fn axes_of(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let found = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut named = vec![false; rank];
    for &a in &found {
        if std::mem::replace(&mut named[a], true) {
            return Err(format!("axis {a} is named twice"));
        }
    }
    Ok(found)
}

impl Squeeze {
    /// The axes that stay, for the axes that input 1 names.
    ///
    /// # Errors
    /// If an axis is larger than 1 or outside of the value.
    pub fn kept(x: &Shape, axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
        let Some(axes) = axes else {
            return Ok((0..x.rank()).filter(|&a| x.get(a) != Some(1)).collect());
        };
        let axes = axes_of(axes, x.rank())?;
        if let Some(&a) = axes.iter().find(|&&a| !x.dims()[a].may_equal(Dim::Fixed(1))) {
            return Err(format!("axis {a} of {x} has more than one index"));
        }
        Ok((0..x.rank()).filter(|a| !axes.contains(a)).collect())
    }
}

/// How many axes an input names that only the run tells; `None` if it is left out or known. Their number must be known.
fn computed_axes(given: &Given, i: usize) -> Option<Result<usize, String>> {
    let seen = given.get(i)?;
    if given.ints(i).is_some() {
        return None;
    }
    if let Err(problem) = given.expect(i, &[DataType::I64, DataType::I32]) {
        return Some(Err(problem));
    }
    Some(match seen.shape.sizes().as_deref() {
        Some([]) => Ok(1),
        Some(&[count]) if count <= MAX_ITEMS => Ok(count),
        _ => Err("the number of axes must be known before the graph runs".to_owned()),
    })
}

/// Numbers of an optional input of axes.
///
/// # Errors
/// If they are not known before the graph runs.
pub(super) fn known_axes(given: &Given, i: usize) -> Result<Option<Vec<i64>>, String> {
    if given.get(i).is_none() {
        return Ok(None);
    }
    given.expect(i, &[DataType::I64, DataType::I32])?;
    given.ints(i).map(Some).ok_or_else(|| "the axes must be known before the graph runs".to_owned())
}

impl Operator for Squeeze {
    fn name(&self) -> &'static str {
        "Squeeze"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Operand } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        if let Some(count) = computed_axes(given, 1) {
            let rank =
                x.rank().checked_sub(count?).ok_or_else(|| format!("more axes are named than {x} has"))?;
            return Ok(vec![Fact::new(given.dtype(0)?, Shape::new(vec![Dim::Unknown; rank]))]);
        }
        let kept = Self::kept(x, known_axes(given, 1)?.as_deref())?;
        let dims = kept.into_iter().map(|a| x.dims()[a]).collect();
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(given.items(0))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let (Ok(x), Ok(axes)) = (given.shape(0), known_axes(given, 1)) else { return Ties::Unknown };
        let Ok(kept) = Self::kept(x, axes.as_deref()) else { return Ties::Unknown };
        let same = |(to, from)| Tie::Same(Port::Input(0, from), Port::Output(0, to));
        Ties::Known(kept.into_iter().enumerate().map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn keeps_elements(&self, _: &Given) -> bool {
        true
    }
}

impl Read for Squeeze {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Squeeze")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

impl Unsqueeze {
    /// For each axis of the result, the axis of the input that it is; `None` for a new one.
    ///
    /// # Errors
    /// If a new axis is outside of the result or named twice.
    pub fn sources(rank: usize, axes: &[i64]) -> Result<Vec<Option<usize>>, String> {
        let new = axes_of(axes, rank.saturating_add(axes.len()))?;
        let mut old = 0..rank;
        Ok((0..rank + axes.len()).map(|a| if new.contains(&a) { None } else { old.next() }).collect())
    }
}

impl Operator for Unsqueeze {
    fn name(&self) -> &'static str {
        "Unsqueeze"
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
        Vec::new()
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        if let Some(count) = computed_axes(given, 1) {
            let dims = vec![Dim::Unknown; x.rank().saturating_add(count?)];
            return Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))]);
        }
        let sources = Self::sources(x.rank(), &known_axes(given, 1)?.ok_or("input 1 is missing")?)?;
        let dims = sources.into_iter().map(|a| a.map_or(Dim::Fixed(1), |a| x.dims()[a])).collect();
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims)).with_items(given.items(0))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let (Ok(x), Ok(Some(axes))) = (given.shape(0), known_axes(given, 1)) else { return Ties::Unknown };
        let Ok(sources) = Self::sources(x.rank(), &axes) else { return Ties::Unknown };
        let same =
            |(to, from): (usize, Option<usize>)| Some(Tie::Same(Port::Input(0, from?), Port::Output(0, to)));
        Ties::Known(sources.into_iter().enumerate().filter_map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn keeps_elements(&self, _: &Given) -> bool {
        true
    }
}

impl Read for Unsqueeze {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Unsqueeze")];

    fn read(_: &Written, _: &mut Attributes) -> Result<Self, String> {
        Ok(Self)
    }

    fn examples() -> Vec<Self> {
        vec![Self]
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Seen;
    use super::*;

    fn reshape(x: &[Dim], target: &[Item]) -> Result<Vec<Dim>, String> {
        Reshape::COPYING.dims(&Shape::new(x.to_vec()), target)
    }

    #[test]
    fn the_batch_stays_symbolic() {
        use Dim::{Batch, Fixed, Symbol, Unknown};
        use Item::{Known, Size};
        let x = [Batch, Fixed(8), Fixed(4), Fixed(4)];
        assert_eq!(reshape(&x, &[Size(Batch), Known(-1)]), Ok(vec![Batch, Fixed(128)]));
        assert_eq!(reshape(&x, &[Known(-1), Known(128)]), Ok(vec![Batch, Fixed(128)]));
        assert_eq!(
            reshape(&x, &[Known(0), Known(2), Known(-1), Known(0)]),
            Ok(vec![Batch, Fixed(2), Fixed(16), Fixed(4)])
        );
        assert_eq!(
            reshape(&x, &[Size(Batch), Known(8), Item::UNKNOWN]),
            Ok(vec![Batch, Fixed(8), Fixed(16)])
        );
        assert_eq!(reshape(&x, &[Known(-1), Known(64)]), Ok(vec![Unknown, Fixed(64)]));
        let two = [Batch, Symbol(0), Fixed(6)];
        assert_eq!(
            reshape(&two, &[Size(Symbol(0)), Known(-1), Known(6)]),
            Ok(vec![Symbol(0), Batch, Fixed(6)])
        );
        assert_eq!(
            reshape(&[Unknown, Fixed(6)], &[Known(0), Known(3), Known(-1)]),
            Ok(vec![Unknown, Fixed(3), Fixed(2)])
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use Item::Known;
        let x = [Dim::Fixed(2), Dim::Fixed(3)];
        assert!(reshape(&x, &[Known(4), Known(-1)]).unwrap_err().contains("cannot be shared"));
        assert!(reshape(&x, &[Known(5)]).unwrap_err().contains("do not fill"));
        assert!(reshape(&x, &[Known(-1), Known(-1)]).unwrap_err().contains("at most one"));
        assert!(reshape(&x, &[Known(6), Known(1), Known(0)]).unwrap_err().contains("no such axis"));
        assert!(reshape(&x, &[Known(-7)]).unwrap_err().contains("-7"));
        let zero = Reshape { allow_zero: true };
        let empty = Shape::fixed(&[0, 3]);
        assert_eq!(zero.dims(&empty, &[Known(3), Known(0)]), Ok(vec![Dim::Fixed(3), Dim::Fixed(0)]));
        assert!(zero.dims(&empty, &[Known(0), Known(-1)]).unwrap_err().contains("leaves nothing"));
    }

    #[test]
    fn axes_that_are_computed_tell_the_rank() {
        let (x, axes) = (Shape::nchw(1, 4, 1), Shape::fixed(&[2]));
        let seen = |dtype, shape| Some(Seen { name: "", dtype, shape, items: None, tensor: None });
        let given = Given { inputs: vec![seen(DataType::F32, &x), seen(DataType::I64, &axes)], outputs: 1 };
        let rank = |op: &dyn Operator| op.infer(&given).unwrap()[0].shape.rank();
        assert_eq!((rank(&Unsqueeze), rank(&Squeeze)), (6, 2));
        let wrong = Given { inputs: vec![seen(DataType::F32, &x), seen(DataType::F32, &axes)], outputs: 1 };
        assert!(Squeeze.infer(&wrong).unwrap_err().contains("input 1 must be i64"));
    }

    #[test]
    fn axes_are_counted_in_the_result() {
        assert_eq!(Unsqueeze::sources(2, &[-1, 0]), Ok(vec![None, Some(0), Some(1), None]));
        assert!(Unsqueeze::sources(2, &[1, -2]).is_ok() && Unsqueeze::sources(1, &[1, -2]).is_err());
        let x = Shape::new(vec![Dim::Batch, Dim::Fixed(1), Dim::Fixed(4)]);
        assert_eq!(Squeeze::kept(&x, None), Ok(vec![0, 2]));
        assert_eq!(Squeeze::kept(&x, Some(&[0])), Ok(vec![1, 2]));
        assert!(Squeeze::kept(&x, Some(&[-1])).unwrap_err().contains("more than one index"));
    }
}

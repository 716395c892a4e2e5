//! Shapes that are computed from the input's shape.

use oculist_graph::{AspectRatio, Dim, Item, Op, Tensor};

use super::rewrite::Rewrite;
use crate::Result;

/// Gives `Reshape` a constant target where all sizes but one are known, and `Resize` constant scales where its sizes
/// are whole multiples of known ones.
///
/// # What it does
/// A target `[N, 3, h]` with `N` the batch becomes `[0, 3, h]` where the reshaped value has its batch at the same place, else
/// `[-1, 3, h]`. What computed the target (`Shape`, `Gather`, `Concat` and the like) falls away if nothing else reads it.
///
/// # Applies when
/// Inference knows each element of the target, or knows it to be the size of a symbolic dimension, and one `-1` can stand
/// for those that no 0 can.
///
/// # Preserves
/// The function, exactly.
pub(super) fn fold(rewrite: &mut Rewrite) -> Result<usize> {
    let mut folded = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id);
        let change = match &node.op {
            Op::Reshape(reshape) => target(rewrite, id, reshape.allow_zero).map(|t| (1, Tensor::ints(t))),
            Op::Resize(_) => scales(rewrite, id).map(|s| (2, Tensor::f32(&[s.len()], s))),
            _ => None,
        };
        let Some((place, tensor)) = change else { continue };
        let wish = format!("{}.{}", node.name, if place == 1 { "shape" } else { "scales" });
        let constant = rewrite.param(&wish, tensor);
        if place == 2 {
            rewrite.set_input(id, 3, None);
        }
        rewrite.set_input(id, place, Some(constant));
        folded += 1;
    }
    Ok(folded)
}

/// The target of a reshape in numbers, if it is not a constant yet.
fn target(rewrite: &Rewrite, id: usize, allow_zero: bool) -> Option<Vec<i64>> {
    let node = rewrite.node(id);
    if rewrite.tensor(node.inputs[1]).is_some() {
        return None;
    }
    let items = rewrite.graph().given(node).ok()?.items(1)?;
    let (x, y) = (rewrite.shape(node.inputs[0])?, rewrite.shape(node.output())?);
    let mut target = Vec::with_capacity(items.len());
    for (axis, item) in items.iter().enumerate() {
        let size = y.dims().get(axis).copied().unwrap_or(Dim::Unknown);
        target.push(match item {
            Item::Known(n) => *n,
            // Inference may know from the number of elements what the item does not say.
            Item::Size(_) if size.size().is_some() => i64::try_from(size.size()?).ok()?,
            Item::Size(Dim::Unknown) => -1,
            Item::Size(dim) if !allow_zero && x.dims().get(axis) == Some(dim) => 0,
            Item::Size(_) => -1,
        });
    }
    (target.iter().filter(|&&n| n == -1).count() <= 1).then_some(target)
}

/// The scales of a resize whose sizes are computed: each is a whole multiple, or 1 where the size stays.
///
/// Other quotients are rounded, and where a place falls on the border of two elements the last bit decides.
fn scales(rewrite: &Rewrite, id: usize) -> Option<Vec<f32>> {
    let node = rewrite.node(id);
    let sizes = node.inputs.get(3)?;
    let Op::Resize(resize) = &node.op else { return None };
    let stretched = resize.aspect_ratio == AspectRatio::Stretch && resize.axes.is_none();
    if rewrite.tensor(sizes).is_some() || !stretched {
        return None;
    }
    let (x, y) = (rewrite.shape(node.inputs[0])?, rewrite.shape(node.output())?);
    x.dims()
        .iter()
        .zip(y.dims())
        .map(|(&from, &to)| match (from, to) {
            (Dim::Fixed(from), Dim::Fixed(to)) => (from > 0 && to % from == 0).then(|| (to / from) as f32),
            (Dim::Unknown, _) => None,
            (from, to) => (from == to).then_some(1.0),
        })
        .collect()
}

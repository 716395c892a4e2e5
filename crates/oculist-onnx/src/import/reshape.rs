//! The ways in which exporters turn `[N, C, H, W]` into `[N, C * H * W]`.

use oculist_graph::{Op, ValueId};

use crate::error::OnnxError;
use crate::import::Importer;
use crate::import::extents::Extent;
use crate::import::node::NodeContext;
use crate::import::values::Binding;

pub(super) fn flatten(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(1)?;
    let axis = node.int("axis", 1)?;
    let x = importer.activation(node, 0)?;
    if axis != 1 && axis.saturating_add(rank(importer, x)?) != 1 {
        return Err(node.error(format!("the axis is {axis}, supported is 1")));
    }
    flattened(importer, node, x)
}

pub(super) fn reshape(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let zero_copies = node.int("allowzero", 0)? == 0;
    let x = importer.activation(node, 0)?;
    let target = importer.extents(node, 1)?;
    let shape = importer.shape(x)?;
    let elements = shape.elements_per_sample();
    let all = i64::try_from(elements).unwrap_or(i64::MAX);
    let to_two = match target[..] {
        // A size that fits the rest may stand where -1 would.
        [Extent::Batch, Extent::Known(rest)] => rest == -1 || rest == all,
        [Extent::Known(0), Extent::Known(rest)] => zero_copies && (rest == -1 || rest == all),
        [Extent::Known(1), Extent::Known(rest)] => importer.batch_of_one && (rest == -1 || rest == all),
        [Extent::Known(-1), Extent::Known(rest)] => rest == all,
        _ => false,
    };
    if !to_two {
        let target: Vec<String> = target.iter().map(ToString::to_string).collect();
        return Err(node.error(format!(
            "it reshapes {shape} to [{}]; supported is flattening to [N, {elements}]",
            target.join(", ")
        )));
    }
    flattened(importer, node, x)
}

/// Axes in the words of an error: `axis 2`, `the axes 2, 3`.
pub(super) fn axes_in_words(axes: Option<&[i64]>) -> String {
    match axes {
        None => "all axes".to_owned(),
        Some([]) => "no axis".to_owned(),
        Some([axis]) => format!("axis {axis}"),
        Some(axes) => {
            let list: Vec<String> = axes.iter().map(i64::to_string).collect();
            format!("the axes {}", list.join(", "))
        }
    }
}

pub(super) fn squeeze(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let axes = axes(importer, node, 13)?;
    if let Binding::Extents(_) = importer.binding(node, 0)? {
        return crate::import::extents::keep(importer, node);
    }
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x)?;
    let maps_of_one = shape.rank() == 4 && shape.get(2) == Some(1) && shape.get(3) == Some(1);
    if maps_of_one && axes.as_deref().is_some_and(is_height_and_width) {
        flattened(importer, node, x)
    } else {
        Err(node.error(format!(
            "it squeezes {} of {shape}; supported is squeezing height and width of [N, C, 1, 1]",
            axes_in_words(axes.as_deref())
        )))
    }
}

pub(super) fn reduce_mean(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    node.attributes.skip("noop_with_empty_axes");
    let axes = axes(importer, node, 18)?;
    let keep = node.int("keepdims", 1)? != 0;
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x)?;
    if shape.rank() != 4 || !axes.as_deref().is_some_and(is_height_and_width) {
        return Err(node.error(format!(
            "it takes the mean over {} of {shape}; supported is the mean over height and width",
            axes_in_words(axes.as_deref())
        )));
    }
    if keep {
        importer.emit(node, Op::GlobalAveragePool, vec![x])?;
    } else {
        let pooled = importer.emit_extra(node, "pool", Op::GlobalAveragePool, vec![x]);
        importer.emit(node, Op::Flatten, vec![pooled])?;
    }
    Ok(())
}

/// Adds the flatten; a value that is flat already stays as it is.
fn flattened(importer: &mut Importer, node: &NodeContext, x: ValueId) -> Result<(), OnnxError> {
    if importer.shape(x)?.rank() == 2 {
        return importer.alias(node, Binding::Value(x));
    }
    importer.emit(node, Op::Flatten, vec![x])?;
    Ok(())
}

/// The axes: an attribute, since opset `since` an input.
pub(super) fn axes(
    importer: &Importer,
    node: &mut NodeContext,
    since: i64,
) -> Result<Option<Vec<i64>>, OnnxError> {
    if importer.opset < since { node.ints("axes") } else { importer.integers(node, 1) }
}

/// Number of dimensions of a value.
pub(super) fn rank(importer: &mut Importer, x: ValueId) -> Result<i64, OnnxError> {
    Ok(i64::try_from(importer.shape(x)?.rank()).unwrap_or(i64::MAX))
}

fn is_height_and_width(axes: &[i64]) -> bool {
    let mut positive: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + 4 } else { axis }).collect();
    positive.sort_unstable();
    positive == [2, 3]
}

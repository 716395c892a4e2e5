//! The batch of a file that fixes it.

use oculist_graph::op::axis;
use oculist_graph::{Dim, Graph, Item, Node, Op, Reshape, Shape, Tensor, ValueId};

use crate::Result;
use crate::edit::Names;

/// Leaves the batch open in a graph whose inputs fix it, as exporters that were given one example, or one batch, write it.
///
/// # What it does
/// The first axis of each input becomes the batch; a `Reshape` whose constant target says the batch's size in front says 0,
/// which copies it (for `Expand`, 1 leaves it).
///
/// # Applies when
/// Every input has a first axis of the same size, and with an open batch every value has the shape that it had, with the
/// batch for that size in front where it follows from the inputs, so that every output has one. Otherwise the graph stays
/// as it is.
///
/// # Preserves
/// The function for one sample.
///
/// # Errors
/// [`crate::PassError::Graph`] if the graph is invalid.
pub fn open_batch(graph: &Graph) -> Result<Option<Graph>> {
    graph.check()?;
    let first = |&v: &ValueId| graph.value(v).shape.as_ref().filter(|s| s.rank() >= 2).and_then(|s| s.get(0));
    let Some(batch) = graph.inputs().first().and_then(first).filter(|&n| n > 0) else { return Ok(None) };
    if !graph.inputs().iter().all(|v| first(v) == Some(batch)) {
        return Ok(None);
    }
    // Of several inputs, axes of one size need not be one axis.
    if batch > 1 && graph.inputs().len() > 1 {
        return Ok(None);
    }
    let mut out = graph.clone();
    for &input in graph.inputs() {
        if let Some(shape) = &graph.value(input).shape {
            let mut dims = shape.dims().to_vec();
            dims[0] = Dim::Batch;
            out.set_input_shape(input, Shape::new(dims));
        }
    }
    let mut names = Names::of(graph);
    for (id, node) in graph.nodes().iter().enumerate() {
        let Op::Reshape(reshape) = &node.op else { continue };
        let Some(target) = node.inputs.get(1).and_then(|v| graph.param(v)).and_then(Tensor::as_i64) else {
            continue;
        };
        // What 0 means is written by some exporters at every `Reshape`; without one it says nothing.
        if target.first() == Some(&(batch as i64)) && !(reshape.allow_zero && target.contains(&0)) {
            let mut target = target.to_vec();
            target[0] = 0;
            let name = names.fresh(&format!("{}.batched", node.name));
            let target = out.add_param(name, Tensor::ints(target));
            out.edit().set_input(id, 1, Some(target));
            out.edit().set_op(id, Reshape::COPYING);
        }
    }
    // A shape that does not follow says that the graph mixes samples or counts on there being one.
    if out.tidy().is_err() || out.check().is_err() {
        return Ok(None);
    }
    let batched = out.outputs().iter().all(|&v| {
        out.value(v).shape.as_ref().is_some_and(|shape| {
            shape.dims().first() == Some(&Dim::Batch) && shape.dims()[1..].iter().all(|d| d.size().is_some())
        })
    });
    // What is computed of the samples without one of them for each, but for their number, was computed of all of them.
    let has_batch =
        |&v: &ValueId| out.value(v).shape.as_ref().is_some_and(|s| s.dims().contains(&Dim::Batch));
    let mixes = out.nodes().iter().any(|node| {
        let counted = node.inputs.iter().any(|v| counts_batch(&out, v));
        let read = node.inputs.iter().any(|v| has_batch(&v));
        let shape = matches!(node.op, Op::ShapeOf(_) | Op::SizeOf(_));
        let lost = !shape && read && !node.outputs.iter().all(has_batch);
        let float = node.outputs.iter().any(|&v| out.value(v).dtype.is_float());
        let as_number = matches!(node.op, Op::Cast(_) | Op::CastLike(_)) && counted && float;
        lost || as_number || (read && works_along_batch(&out, node))
    });
    // What fits this size alone counts samples in some other way.
    if batch > 1 && [batch + 1, 2 * batch + 1].iter().any(|&n| out.with_batch(n).is_err()) {
        return Ok(None);
    }
    let same = out.nodes().iter().zip(graph.nodes()).all(|(a, b)| {
        a.outputs.iter().zip(&b.outputs).all(|(&a, &b)| {
            let (Some(a), Some(b)) = (&out.value(a).shape, &graph.value(b).shape) else { return false };
            a.rank() == b.rank()
                && a.dims()
                    .iter()
                    .zip(b.dims())
                    .enumerate()
                    .all(|(i, (&x, &y))| x == y || (i == 0 && x == Dim::Batch && y == Dim::Fixed(batch)))
        })
    });
    Ok((batched && same && !mixes && out.nodes().len() == graph.nodes().len()).then_some(out))
}

/// Whether integers hold the number of samples.
fn counts_batch(graph: &Graph, value: ValueId) -> bool {
    let items = graph.value(value).items.as_ref();
    items.is_some_and(|items| items.iter().any(|item| matches!(item, Item::Size(Dim::Batch))))
}

/// Whether an operator computes along its first axis, where the samples lie side by side.
fn works_along_batch(graph: &Graph, node: &Node) -> bool {
    let Some(shape) = node.inputs.get(0).and_then(|v| graph.value(v).shape.as_ref()) else { return false };
    let rank = shape.rank();
    let first = |a: i64| axis(a, rank).is_ok_and(|a| a == 0);
    let constant = |i: usize| node.inputs.get(i).and_then(|v| graph.param(v)).and_then(Tensor::to_i64s);
    match &node.op {
        Op::Softmax(softmax) => softmax.axes(rank).is_ok_and(|axes| axes.contains(&0)),
        Op::LpNormalization(norm) => first(norm.axis),
        Op::LayerNormalization(norm) => first(norm.axis),
        Op::RmsNormalization(norm) => first(norm.axis),
        Op::MeanVarianceNormalization(norm) => norm.axes.iter().any(|&a| first(a)),
        Op::Cumulative(_) => constant(1).is_none_or(|axes| axes.iter().any(|&a| first(a))),
        Op::Slice(_) => match node.inputs.get(3) {
            None => true,
            Some(_) => constant(3).is_none_or(|axes| axes.iter().any(|&a| first(a))),
        },
        Op::TopK(top) => first(top.axis),
        Op::Concat(concat) => first(concat.axis),
        Op::Split(split) => first(split.axis),
        Op::Gather(gather) => first(gather.axis),
        Op::GatherElements(gather) => first(gather.axis),
        Op::ScatterElements(scatter) => first(scatter.axis),
        Op::GatherND(gather) => gather.batch_dims == 0,
        Op::ReverseSequence(_) | Op::ScatterND(_) | Op::Compress(_) | Op::Unique(_) | Op::NonZero(_) => true,
        _ => false,
    }
}

//! Setting a graph's weights from a file's.

mod report;

use std::collections::{BTreeMap, HashMap};

use oculist_graph::{Conv, DataType, Dim, Graph, Op, Padding, Shape, Tensor, TensorData, ValueId, Window};

use crate::error::WeightsError;
use crate::names::{is_auxiliary, is_bookkeeping};
use crate::naming::{NAMINGS, Naming};
use crate::read::Weights;
pub use report::{Differing, LoadReport};

/// Whether weights may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// Every weight of the graph must be in the file with its shape, and every one of the file in the graph.
    No,
    /// What fits is loaded, the rest stays and is reported; if nothing fits, that is an error.
    Yes,
}

/// Sets every weight and running statistic of `graph` to the tensor of its name in `weights`.
///
/// Names of other producers are rewritten (`docs/weights.md` lists which), floats of other widths become the graph's.
/// Counters of batches and the like are left aside, and auxiliary classifiers that the zoo's graphs have not. On an error the graph is unchanged.
///
/// # Errors
/// [`WeightsError::Mismatch`] with all that is missing, left over or of another shape, [`WeightsError::NotFinite`] for a
/// weight that is not a number.
pub fn load_into(graph: &mut Graph, weights: &Weights, partial: Partial) -> Result<LoadReport, WeightsError> {
    let is_weight = graph.weights();
    let wanted: HashMap<&str, (ValueId, &Tensor)> = graph
        .params()
        .filter(|(id, ..)| is_weight[id.index()])
        .map(|(id, value, tensor)| (value.name.as_str(), (id, tensor)))
        .collect();
    let (naming, names) = best_naming(weights, |name| wanted.contains_key(name));

    let mut report =
        LoadReport { producer: naming.producer, notes: weights.notes.clone(), ..LoadReport::default() };
    let mut found: BTreeMap<ValueId, (&str, Tensor)> = BTreeMap::new();
    let mut seen = vec![false; graph.values().len()];
    let mut changed: BTreeMap<DataType, usize> = BTreeMap::new();
    for ((file_name, tensor), name) in weights.tensors.iter().zip(&names) {
        let Some(&(id, current)) = wanted.get(name.as_str()) else {
            let aside = is_bookkeeping(file_name) || is_auxiliary(graph.name(), file_name);
            let list = if aside { &mut report.ignored } else { &mut report.left_over };
            list.push(file_name.clone());
            continue;
        };
        if std::mem::replace(&mut seen[id.index()], true) {
            report.left_over.push(file_name.clone());
            continue;
        }
        let reshaped = naming.reshaped.iter().any(|end| name.ends_with(end));
        if let Some(fitted) = fitted(tensor, current, reshaped) {
            if tensor.dtype() != current.dtype() {
                *changed.entry(tensor.dtype()).or_default() += 1;
            }
            report.matched.push(name.clone());
            found.insert(id, (file_name, fitted));
        } else {
            if is_head(graph, current, tensor) {
                report.classes = tensor.shape().first().copied().zip(current.shape().first().copied());
            }
            report.differing.push(Differing {
                name: name.clone(),
                expected: describe(current),
                found: describe(tensor),
            });
        }
    }
    let missing = graph.params().filter(|(id, ..)| is_weight[id.index()] && !seen[id.index()]);
    report.missing = missing.map(|(_, value, _)| value.name.clone()).collect();

    let complete = report.missing.is_empty() && report.differing.is_empty() && report.left_over.is_empty();
    if found.is_empty() || (partial == Partial::No && !complete) {
        let (file, graph) = (weights.file.clone(), graph.name().to_owned());
        return Err(WeightsError::Mismatch { file, graph, report: Box::new(report) });
    }
    for (file_name, tensor) in found.values() {
        check_finite(file_name, tensor)?;
    }
    for (dtype, count) in changed {
        report.notes.push(format!("{count} tensors of {} were converted to the graph's type", dtype.name()));
    }
    let assumed = naming.assumption.as_ref().filter(|a| graph.name().starts_with(a.graphs));
    report.notes.extend(assumed.map(|a| a.text.to_owned()));
    for (id, (_, tensor)) in found {
        graph.set_param(id, tensor);
    }
    if let Some(epsilon) = naming.epsilon {
        set_epsilon(graph, epsilon);
    }
    if naming.same_padding {
        pad_same(graph);
    }
    Ok(report)
}

/// The naming that names the most weights of a graph, and the names it gives.
fn best_naming(weights: &Weights, is_wanted: impl Fn(&str) -> bool) -> (&'static Naming, Vec<String>) {
    const ALL: &[Naming] = &NAMINGS;
    let file_names = weights.tensors.iter().map(|(name, _)| name.as_str());
    let as_read = ALL.iter().map(|naming| (naming, naming.rewrite(file_names.clone())));
    // A graph from elsewhere may have the prefix that reading took off.
    let with_prefix = file_names.clone().map(|name| format!("{}{name}", weights.prefix)).collect();
    let mut best: Option<(usize, &Naming, Vec<String>)> = None;
    for (naming, names) in as_read.chain([(&ALL[0], with_prefix)]) {
        let count = names.iter().filter(|name| is_wanted(name)).count();
        if best.as_ref().is_none_or(|(most, ..)| count > *most) {
            best = Some((count, naming, names));
        }
    }
    best.map_or((&ALL[0], Vec::new()), |(_, naming, names)| (naming, names))
}

/// The tensor in the type and shape of the graph's, if it has them but for the width of its floats, and its
/// trailing axes where it is a convolution that the graph has as a linear layer.
fn fitted(tensor: &Tensor, current: &Tensor, reshaped: bool) -> Option<Tensor> {
    let (from, to) = (tensor.shape(), current.shape());
    let same = from == to || (reshaped && from.first() == to.first() && tensor.len() == current.len());
    if !same {
        return None;
    }
    if tensor.dtype() == current.dtype() {
        return tensor.reshaped(to.to_vec()).ok();
    }
    (tensor.dtype().is_float() && current.dtype() == DataType::F32)
        .then(|| Tensor::new(to.to_vec(), TensorData::F32(tensor.to_f32s())).ok())
        .flatten()
}

/// Whether two tensors are classifiers of different numbers of classes.
fn is_head(graph: &Graph, current: &Tensor, found: &Tensor) -> bool {
    let (expected, found) = (current.shape(), found.shape());
    let classes = |shape: &Shape| shape.dims().last().copied().and_then(Dim::size);
    expected.len() >= 2
        && expected.len() == found.len()
        && expected[1..] == found[1..]
        && graph
            .outputs()
            .iter()
            .any(|&out| graph.value(out).shape.as_ref().and_then(classes) == Some(expected[0]))
}

fn check_finite(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    if !tensor.dtype().is_float() {
        return Ok(());
    }
    // Most tensors are 32-bit floats, some of 100 million: these are not copied.
    let bad = if let Some(floats) = tensor.as_f32() {
        floats.iter().position(|x| !x.is_finite()).map(|at| (at, f64::from(floats[at])))
    } else {
        let floats = tensor.to_f64s();
        floats.iter().position(|x| !x.is_finite()).map(|at| (at, floats[at]))
    };
    match bad {
        None => Ok(()),
        Some((position, found)) => Err(WeightsError::NotFinite { tensor: name.to_owned(), position, found }),
    }
}

/// Sets what the batch normalisations add to the variance.
fn set_epsilon(graph: &mut Graph, epsilon: f32) {
    let norms: Vec<_> = graph
        .nodes()
        .iter()
        .enumerate()
        .filter_map(|(i, node)| match &node.op {
            Op::BatchNormalization(norm) => Some((i, *norm)),
            _ => None,
        })
        .collect();
    let mut edit = graph.edit();
    for (node, mut norm) in norms {
        norm.epsilon = epsilon;
        edit.set_op(node, Op::BatchNormalization(norm));
    }
}

/// Pads the convolutions that reduce the map as TensorFlow's `SAME` does. The sizes of all maps stay: with the kernels and
/// paddings of the zoo both give `ceil(size / stride)`.
fn pad_same(graph: &mut Graph) {
    let convs: Vec<_> = graph
        .nodes()
        .iter()
        .enumerate()
        .filter_map(|(i, node)| {
            let Op::Conv(conv) = &node.op else { return None };
            let (_, height, width) = graph.shape(node.inputs[0]).chw()?;
            let same = Window { padding: Padding::SameUpper, ..conv.window.clone() };
            let reduces = conv.window.stride.iter().any(|&s| s > 1);
            reduces.then(|| same.plane([height, width])).flatten().map(|plane| (i, plane, conv.groups))
        })
        .collect();
    let mut edit = graph.edit();
    for (node, plane, groups) in convs {
        edit.set_op(node, Op::Conv(Conv::plane(plane, groups)));
    }
}

fn describe(tensor: &Tensor) -> String {
    format!("{}{}", tensor.dtype().name(), Shape::fixed(tensor.shape()))
}

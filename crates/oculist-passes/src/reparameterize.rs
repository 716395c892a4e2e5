//! Makes one convolution of parallel ones: networks that are trained with several branches and deployed with one.

mod branch;

use std::collections::BTreeMap;

use oculist_graph::{Binary, Conv, Graph, NodeId, Op, Padding, Tensor, ValueId, Window};

use crate::Result;
use crate::edit::{Names, consumer_counts};
use branch::Branch;

/// Makes one convolution of every sum of convolutions and normalisations of the same value.
///
/// # What it does
/// `conv_a(x) + conv_b(x) + norm(x)` becomes `conv(x)`: kernels are padded with zeros to the largest one and added, a
/// normalisation counts as a 1x1 convolution whose matrix is diagonal, biases are added. Normalisations behind convolutions are
/// folded first, as [`crate::fold_batch_norm`] does. Computed in f64, stored as f32.
///
/// # Applies when
/// The branches of a tree of `Add` read one value; they are `Conv` or `BatchNormalization` (at least one `Conv`) whose results
/// nothing else reads and whose weights are parameters that no other node reads; the convolutions have two axes, the same
/// groups and stride, no dilation, and windows of odd size padded by half of it on each side, so that a smaller window is the middle of a
/// larger one. A sum of normalisations alone stays.
///
/// # Preserves
/// The function in inference, up to rounding to f32. The name of the sum's value; the new layer is called like the sum.
///
/// # Source
/// Ding et al.: RepVGG: Making VGG-style ConvNets Great Again, 2021 (arXiv 2101.03697), section 3.3.
///
/// # Errors
/// [`crate::PassError::Graph`] if the graph is invalid.
pub fn reparameterize(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    if sums(graph).is_empty() {
        return Ok(graph.clone());
    }
    // Folding is a way to the sum here, not a goal: without a sum the graph has been returned as it was.
    let folded = crate::fold_batch_norm(graph)?;
    let mut out = folded.clone();
    let mut names = Names::of(&folded);
    for sum in sums(&folded) {
        let Some((conv, weight, bias)) = merged(&folded, &sum.branches) else { continue };
        let name = folded.nodes()[sum.node].name.clone();
        let weight = out.add_param(names.fresh(&format!("{name}.weight")), weight);
        let bias = out.add_param(names.fresh(&format!("{name}.bias")), bias);
        let mut edit = out.edit();
        edit.set_op(sum.node, conv);
        for (i, value) in [sum.input, weight, bias].into_iter().enumerate() {
            edit.set_input(sum.node, i, Some(value));
        }
    }
    out.tidy()?;
    out.check()?;
    Ok(out)
}

/// A tree of additions over branches of one value.
struct Sum {
    /// The last addition.
    node: NodeId,
    /// What the branches read.
    input: ValueId,
    branches: Vec<Branch>,
}

/// All sums, the outermost addition of each.
fn sums(graph: &Graph) -> Vec<Sum> {
    let (producers, uses) = (graph.producers(), consumer_counts(graph));
    let is_add = |n: NodeId| matches!(graph.nodes()[n].op, Op::Binary(Binary::Add));
    // Additions whose result only another addition reads are within a tree.
    let mut within = vec![false; graph.nodes().len()];
    for (n, node) in graph.nodes().iter().enumerate().filter(|(n, _)| is_add(*n)) {
        let inner = node.inputs.iter().filter(|v| uses[v.index()] == 1).filter_map(|v| producers[v.index()]);
        for producer in inner.filter(|&p| is_add(p) && p != n) {
            within[producer] = true;
        }
    }
    let mut found = Vec::new();
    for node in (0..graph.nodes().len()).filter(|&n| is_add(n) && !within[n]) {
        let mut branches: BTreeMap<ValueId, Vec<Branch>> = BTreeMap::new();
        let mut open: Vec<ValueId> = graph.nodes()[node].inputs.iter().collect();
        let mut whole = true;
        while let Some(value) = open.pop() {
            let producer = producers[value.index()].filter(|_| uses[value.index()] == 1);
            match producer {
                Some(p) if is_add(p) => open.extend(graph.nodes()[p].inputs.iter()),
                Some(p) => match Branch::of(graph, &producers, &uses, p) {
                    Some(branch) => branches.entry(branch.input).or_default().push(branch),
                    None => whole = false,
                },
                None => whole = false,
            }
        }
        let mut of_one = branches.into_iter();
        if let (true, Some((input, branches)), None) = (whole, of_one.next(), of_one.next())
            && branches.len() > 1
            && branches.iter().any(|b| b.conv.is_some())
        {
            found.push(Sum { node, input, branches });
        }
    }
    found
}

/// The one convolution of branches with its weight and bias; `None` if they do not fit together.
fn merged(graph: &Graph, branches: &[Branch]) -> Option<(Conv, Tensor, Tensor)> {
    let convs = || branches.iter().filter_map(|b| b.conv.as_ref());
    let first = convs().next()?;
    let (groups, stride) = (first.groups, first.window.stride.clone());
    let alike = convs().all(|c| c.groups == groups && c.window.stride == stride);
    // A normalisation keeps every pixel.
    let keeps = branches.iter().all(|b| b.conv.is_some()) || stride == [1, 1];
    let kernel = [0, 1].map(|axis| convs().map(|c| c.window.kernel[axis]).max().unwrap_or(1));
    if !alike || !keeps {
        return None;
    }
    let mut weight: Option<Vec<f64>> = None;
    let mut bias: Option<Vec<f64>> = None;
    let mut channels = (0, 0);
    for branch in branches {
        let part = branch.as_convolution(graph, groups, kernel)?;
        channels = part.channels;
        for (sum, values) in [(&mut weight, part.weight), (&mut bias, part.bias)] {
            match sum {
                None => *sum = Some(values),
                Some(sum) if sum.len() == values.len() => {
                    for (s, v) in sum.iter_mut().zip(values) {
                        *s += v;
                    }
                }
                Some(_) => return None,
            }
        }
    }
    let [h, w] = kernel;
    let padding = Padding::Explicit(vec![h / 2, w / 2, h / 2, w / 2]);
    let window = Window { kernel: kernel.to_vec(), stride, padding, dilation: vec![1, 1] };
    let single = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let (c_out, c_in) = channels;
    let weight = Tensor::f32(&[c_out, c_in, h, w], single(weight?));
    Some((Conv { window, groups }, weight, Tensor::f32(&[c_out], single(bias?))))
}

#[cfg(test)]
mod tests;

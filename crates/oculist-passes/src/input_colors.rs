//! A first layer for images of another number of channels.
//!
//! **What it does.** [`grey_input`] lets a network of colour images take grey ones, [`color_input`] the reverse: the weights of
//! the first convolution are summed over the channels, or spread over them.
//!
//! **Applies when.** The only reader of the input is an f32 convolution without groups, with or without a `Pad` by zeros in
//! front of it.
//!
//! **Preserves.** With `x_c = (p - mean_c) / std_c` for a grey pixel `p` the network computes the same as on its grey image shown in
//! colour, but for the border where zeros are padded: there a padded pixel was `mean_c` in each channel and becomes their mean.
//! Spread weights compute the same everywhere as on the image's grey form.
//!
//! **Source.** Summed first layers are what timm does for `in_chans=1`; ITU-R BT.601 for the grey form.

use oculist_graph::{Conv, Dim, Graph, NodeId, Op, Shape, Tensor};

use crate::edit::Names;
use crate::error::Result;

/// Parts of red, green and blue in grey.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// How pixels become input: `(p - mean) / std`, one of each for a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Of each channel.
    pub mean: Vec<f32>,
    /// Of each channel.
    pub std: Vec<f32>,
}

/// The network for grey images, and what they are normalised with; `None` if its first layer is another.
///
/// # Errors
/// [`PassError`](crate::PassError) if the graph is invalid.
pub fn grey_input(graph: &Graph, norm: &Normalization) -> Result<Option<(Graph, Normalization)>> {
    let Some((node, weights)) = first_layer(graph, 3).filter(|_| norm.mean.len() == 3 && norm.std.len() == 3)
    else {
        return Ok(None);
    };
    let third = |values: &[f32]| values.iter().sum::<f32>() / 3.0;
    let (mean, std) = (third(&norm.mean), third(&norm.std));
    let [out, _, h, w] = sizes(weights);
    let place = h * w;
    let values = weights.as_f32().unwrap_or_default();
    let (mut summed, mut bias) = (vec![0.0; out * place], vec![0.0; out]);
    for (o, kernel) in values.chunks_exact(3 * place).enumerate() {
        for (c, plane) in kernel.chunks_exact(place).enumerate() {
            for (k, &weight) in plane.iter().enumerate() {
                summed[o * place + k] += weight * std / norm.std[c];
                bias[o] += weight * (mean - norm.mean[c]) / norm.std[c];
            }
        }
    }
    let graph = with_first(graph, node, 1, summed, Some(&bias))?;
    Ok(Some((graph, Normalization { mean: vec![mean], std: vec![std] })))
}

/// The network for colour images, and what they are normalised with; `None` if its first layer is another.
///
/// # Errors
/// [`PassError`](crate::PassError) if the graph is invalid.
pub fn color_input(graph: &Graph, norm: &Normalization) -> Result<Option<(Graph, Normalization)>> {
    let Some((node, weights)) = first_layer(graph, 1).filter(|_| norm.mean.len() == 1 && norm.std.len() == 1)
    else {
        return Ok(None);
    };
    let [_, _, h, w] = sizes(weights);
    let values = weights.as_f32().unwrap_or_default();
    let spread = values
        .chunks_exact(h * w)
        .flat_map(|plane| LUMA.map(|part| plane.iter().map(move |w| w * part)))
        .flatten();
    let graph = with_first(graph, node, 3, spread.collect(), None)?;
    Ok(Some((graph, Normalization { mean: vec![norm.mean[0]; 3], std: vec![norm.std[0]; 3] })))
}

/// The convolution that alone reads an input of so many channels, and its weights.
fn first_layer(graph: &Graph, channels: usize) -> Option<(NodeId, &Tensor)> {
    let (&[input], consumers) = (graph.inputs(), graph.consumers()) else { return None };
    let mut at = input;
    loop {
        let &[one] = &consumers[at.index()][..] else { return None };
        let node = &graph.nodes()[one];
        match &node.op {
            Op::Pad(_) if node.inputs.get(0) == Some(at) => at = node.output(),
            Op::Conv(Conv { groups: 1, .. }) if node.inputs.get(0) == Some(at) => {
                let weights = graph.param(node.inputs.get(1)?)?;
                let fits = weights.as_f32().is_some()
                    && weights.shape().len() == 4
                    && weights.shape()[1] == channels;
                return fits.then_some((one, weights));
            }
            _ => return None,
        }
    }
}

fn sizes(weights: &Tensor) -> [usize; 4] {
    let shape = weights.shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// The graph with other weights of its first layer, more of a bias, and an input of other channels.
fn with_first(
    graph: &Graph,
    node: NodeId,
    channels: usize,
    weights: Vec<f32>,
    more: Option<&[f32]>,
) -> Result<Graph> {
    let mut out = graph.clone();
    let inputs = out.nodes()[node].inputs.clone();
    let (input, weight) = (out.inputs()[0], inputs[1]);
    let mut shape = out.param(weight).map(|t| t.shape().to_vec()).unwrap_or_default();
    shape[1] = channels;
    // Another node may read the same weights.
    let name = Names::of(graph).fresh(&graph.value(weight).name);
    let tensor = Tensor::f32(&shape, weights);
    let shared = graph.consumers()[weight.index()].len() > 1;
    let weight = if shared {
        Some(out.add_param(name, tensor))
    } else {
        out.set_param(weight, tensor);
        None
    };
    let mut bias = None;
    if let Some(more) = more {
        let own = inputs.get(2).and_then(|v| Some((v, graph.param(v)?.as_f32()?.to_vec())));
        let sum = |own: Option<&[f32]>| {
            more.iter()
                .enumerate()
                .map(|(o, m)| m + own.map_or(0.0, |b| b[o % b.len().max(1)]))
                .collect::<Vec<_>>()
        };
        let tensor = Tensor::f32(&[more.len()], sum(own.as_ref().map(|(_, b)| &b[..])));
        let stem = graph.nodes()[node].name.clone();
        bias = Some(out.add_param(Names::of(&out).fresh(&format!("{stem}.bias")), tensor));
    }
    let mut dims = out.shape(input).dims().to_vec();
    dims[1] = Dim::Fixed(channels);
    out.set_input_shape(input, Shape::new(dims));
    let mut edit = out.edit();
    if let Some(weight) = weight {
        edit.set_input(node, 1, Some(weight));
    }
    if let Some(bias) = bias {
        edit.set_input(node, 2, Some(bias));
    }
    edit.finish()?;
    Ok(out)
}

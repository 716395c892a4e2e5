//! Takes the mean error that quantised weights cause out of the biases.

use std::collections::BTreeMap;

use oculist_graph::{Conv, Graph, Op, Tensor, ValueId};

use crate::edit::Names;
use crate::quantize::{QuantizeOptions, integer_layers, rounded_weights};
use crate::{PassError, Result};

/// Name of the pass in errors.
const PASS: &str = "correct_bias";

/// Corrects the biases of the layers that [`crate::quantize()`] with the same options makes int8.
///
/// # What it does
/// With `Wq` the weights after rounding, `e = Wq - W` and `E[x]` the mean of each input channel, subtracts
/// `sum(e[o, i, k] * E[x[i]] * inside[k])` from `b[o]`, where `inside[k]` is the share of output pixels at which
/// tap `k` lies in the image and not in the padding. A layer without bias gets one. The weights stay in f32.
///
/// # Applies when
/// The layer becomes int8 under `options` and `means` holds its input.
///
/// # Preserves
/// All ids, so that calibrated ranges stay valid. The float function changes on purpose: by the mean error with
/// opposite sign.
///
/// # Source
/// Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2, with
/// means measured on data. Deviation: the account of the padding.
///
/// # Errors
/// [`PassError::Data`] if the means of a layer's input are missing or of another number; otherwise as
/// [`crate::quantize()`].
pub fn correct_bias(
    graph: &Graph,
    means: &BTreeMap<ValueId, Vec<f64>>,
    options: &QuantizeOptions,
) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let mut names = Names::of(graph);
    for i in integer_layers(graph, options)? {
        let node = &graph.nodes()[i];
        let x = node.inputs[0];
        let channels = graph.shape(x).channels().unwrap_or(0);
        let wrong =
            |problem: String| PassError::Data { pass: PASS, value: graph.value(x).name.clone(), problem };
        let mean =
            means.get(&x).ok_or_else(|| wrong("expected the means of its channels, found none".into()))?;
        if mean.len() != channels || mean.iter().any(|m| !m.is_finite()) {
            return Err(wrong(format!("expected {channels} finite means, found {}", mean.len())));
        }
        let Some(weight) = graph.param(node.inputs[1]) else { continue };
        let Some(w) = weight.as_f32() else { continue };
        let rounded = rounded_weights(weight, options.weights);
        let (taps, groups) = if let Op::Conv(conv) = &node.op {
            (taps_inside(graph, x, node.output(), conv), conv.groups)
        } else {
            (vec![1.0], 1)
        };
        let rows = weight.shape()[0];
        let columns = weight.shape()[1];
        let shift: Vec<f64> = (0..rows)
            .map(|o| {
                let first = o / (rows / groups) * columns;
                let mut sum = 0.0;
                for c in 0..columns {
                    for (k, inside) in taps.iter().enumerate() {
                        let j = (o * columns + c) * taps.len() + k;
                        sum += (f64::from(rounded[j]) - f64::from(w[j])) * mean[first + c] * inside;
                    }
                }
                sum
            })
            .collect();
        let old = node.inputs.get(2).and_then(|b| graph.param(b)).and_then(Tensor::as_f32);
        let bias: Vec<f32> = shift
            .iter()
            .enumerate()
            .map(|(o, s)| (old.map_or(0.0, |b| f64::from(b[o])) - s) as f32)
            .collect();
        // A new parameter, even where there was one: another layer may read the old one.
        let name = names.fresh(&format!("{}.bias.corrected", node.name));
        let new = out.add_param(name, Tensor::f32(&[rows], bias));
        out.edit().set_input(i, 2, Some(new));
    }
    out.infer_shapes()?;
    out.check()?;
    Ok(out)
}

/// For each kernel tap the share of output pixels at which it reads the image.
fn taps_inside(graph: &Graph, x: ValueId, y: ValueId, conv: &Conv) -> Vec<f64> {
    let size = [2, 3].map(|a| graph.shape(x).get(a).unwrap_or(1));
    let Some(plane) = conv.window.plane(size) else { return vec![1.0; conv.window.taps()] };
    let axis = |a: usize| -> Vec<f64> {
        let size = graph.shape(x).get(a + 2).unwrap_or(1);
        let out = graph.shape(y).get(a + 2).unwrap_or(1);
        (0..plane.kernel[a])
            .map(|k| {
                let reads = (0..out).filter(|o| {
                    let at = o * plane.stride[a] + k * plane.dilation[a];
                    at >= plane.padding[a] && at - plane.padding[a] < size
                });
                reads.count() as f64 / out as f64
            })
            .collect()
    };
    let (rows, columns) = (axis(0), axis(1));
    rows.iter().flat_map(|r| columns.iter().map(move |c| r * c)).collect()
}

#[cfg(test)]
mod tests;

//! The networks of the benchmark, with weights that the peers compute too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use oculist_graph::{Graph, Tensor};
use oculist_kernels::Context;
use oculist_passes::{
    QuantizeOptions, Range, WeightRange, fold_batch_norm, quantizable_values, quantize, remove_identity,
};
use oculist_runtime::{Plan, PlanOptions};
use oculist_testing::formula::{self, Kind};
use oculist_zoo::{BuildOptions, build};
use serde_json::json;

use crate::vit::vit_tiny;

/// Classes of every network of the benchmark.
pub(crate) const CLASSES: usize = 10;

/// Centre of the batch-norm weights that keeps the logits of deep networks small; `peers/python` has the same.
fn gamma(arch: &str) -> f32 {
    if arch.starts_with("resnet") { 0.7 } else { 1.0 }
}

/// An architecture with the formula's weights and without dropout.
pub(crate) fn network(arch: &str, input: (usize, usize, usize)) -> Result<Graph> {
    let mut graph = match arch {
        "vit_tiny" => vit_tiny(input)?,
        _ => build(arch, &BuildOptions::new(CLASSES, input).with_dropout(0.0))?,
    };
    let params: Vec<_> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        if Kind::of(&name, shape.len(), 1.0).is_some() {
            graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, gamma(arch))));
        }
    }
    Ok(graph)
}

/// Our int8 form, calibrated on random images: good for times, useless for accuracy.
fn quantized(graph: &Graph) -> Result<Graph> {
    let values = quantizable_values(graph)?;
    let options = PlanOptions::new(4, Arc::new(Context::new(1)?)).with_observed(values);
    let mut plan = Plan::new(graph, &options)?;
    let mut ranges = BTreeMap::new();
    let mut out = vec![0.0; 4 * plan.output_len()];
    plan.run_observed(&formula::tensor("input", 4 * plan.input_len()), &mut out, &mut |o| {
        let range = o.pixels().flatten().fold((0.0f32, 0.0f32), |(a, b), &x| (a.min(x), b.max(x)));
        ranges.insert(o.value, Range::new(range.0, range.1));
    })?;
    let options = QuantizeOptions { weights: WeightRange::Reduced, ..QuantizeOptions::default() };
    Ok(quantize(graph, &ranges, &options)?)
}

/// Writes `ARCH.onnx` and `ARCH.int8.onnx` and prints what they are.
pub(crate) fn export(arch: &str, input: (usize, usize, usize), folder: &Path) -> Result<()> {
    let trained = network(arch, input)?;
    let graph = fold_batch_norm(&remove_identity(&trained)?)?;
    let path = |suffix: &str| folder.join(format!("{arch}{suffix}.onnx"));
    oculist_onnx::write(&graph, path("")).context("writing the f32 model")?;
    oculist_onnx::write(&quantized(&graph)?, path(".int8")).context("writing the int8 model")?;
    println!("{}", json!({"params": params(&trained)}));
    Ok(())
}

/// Trainable parameters.
pub(crate) fn params(graph: &Graph) -> usize {
    let trainable = |name: &str| {
        !name.ends_with("running_mean") && !name.ends_with("running_var") && Kind::of(name, 2, 1.0).is_some()
    };
    graph
        .params()
        .filter(|(_, v, _)| trainable(&v.name))
        .map(|(_, _, t)| t.shape().iter().product::<usize>())
        .sum()
}

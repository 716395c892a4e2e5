//! How much each unit matters.

use std::collections::BTreeMap;

use oculist_graph::{BatchNormalization, Graph, Op, Tensor, ValueId};

use super::PASS;
use super::groups::{ChannelGroups, Slice};
use crate::edit::{consumer_counts, has_weight_rows};
use crate::{PassError, Result};

/// Measures of importance that need nothing but the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Importance {
    /// Sum of absolute weights.
    L1,
    /// Root of the sum of squared weights.
    #[default]
    L2,
    /// Mean `|gamma|` of the batch normalisations on the unit's channels; [`Importance::L2`] in groups without any.
    BatchNormGamma,
}

/// The importance of each unit of `groups`, in order; comparable within a group.
///
/// `L1` and `L2` run over all weights of convolutions and fully connected layers that go with the unit, rows and
/// columns alike. A batch norm directly behind a layer counts as part of it: a row is scaled by
/// `|gamma| / sqrt(running_var + epsilon)`, because the size of a weight says nothing where a normalisation follows.
///
/// # Source
/// Li et al. 2017, "Pruning Filters for Efficient ConvNets" (L1, there rows only and unscaled); Liu et al. 2017,
/// "Learning Efficient Convolutional Networks through Network Slimming" (gamma).
pub fn importance(graph: &Graph, groups: &ChannelGroups, measure: Importance) -> Vec<f64> {
    match measure {
        Importance::L1 => norms(graph, groups, f64::abs, |s| s),
        Importance::L2 => norms(graph, groups, |w| w * w, f64::sqrt),
        Importance::BatchNormGamma => gammas(graph, groups),
    }
}

/// First-order Taylor importance: the sum of `(gradient * parameter)^2` over everything that goes with the unit.
///
/// `gradients` holds the loss gradient of every weight, bias, gamma and beta, for example averaged over some
/// batches.
///
/// # Source
/// Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning", equation 8.
///
/// # Errors
/// [`PassError::Data`] if a gradient is missing, has another shape than its parameter, or is not finite.
pub fn taylor(
    graph: &Graph,
    groups: &ChannelGroups,
    gradients: &BTreeMap<ValueId, Tensor>,
) -> Result<Vec<f64>> {
    let mut contributions = Contributions::default();
    for node in graph.nodes() {
        for (i, slot) in node.inputs.slots().iter().enumerate() {
            let Some(p) = *slot else { continue };
            if !graph.is_weight_at(node, i) {
                continue;
            }
            let wrong =
                |problem: String| PassError::Data { pass: PASS, value: graph.value(p).name.clone(), problem };
            let Some(tensor) = graph.param(p) else { continue };
            let gradient =
                gradients.get(&p).ok_or_else(|| wrong("expected a gradient, found none".into()))?;
            let (Some(w), Some(g)) = (tensor.as_f32(), gradient.as_f32()) else {
                return Err(wrong("expected f32 parameter and gradient".into()));
            };
            if tensor.shape() != gradient.shape() {
                return Err(wrong(format!(
                    "expected a gradient of shape {:?}, found {:?}",
                    tensor.shape(),
                    gradient.shape()
                )));
            }
            let products: Vec<f64> =
                w.iter().zip(g).map(|(&w, &g)| (f64::from(w) * f64::from(g)).powi(2)).collect();
            if products.iter().any(|x| !x.is_finite()) {
                return Err(wrong("expected finite gradients".into()));
            }
            contributions.add(p, tensor.shape(), &products);
        }
    }
    Ok(groups.units.iter().map(|u| contributions.sum(&u.slices)).collect())
}

/// Sums of per-element quantities along the axes of parameters.
#[derive(Debug, Default)]
struct Contributions {
    axes: BTreeMap<(ValueId, usize), Vec<f64>>,
}

impl Contributions {
    /// Takes the elements of a parameter; a parameter that two nodes read is counted once.
    fn add(&mut self, value: ValueId, shape: &[usize], elements: &[f64]) {
        if self.axes.contains_key(&(value, 0)) {
            return;
        }
        let rows = shape.first().copied().unwrap_or(1);
        let columns = shape.get(1).copied().unwrap_or(1);
        let inner: usize = shape.iter().skip(2).product();
        let (mut by_row, mut by_column) = (vec![0.0; rows], vec![0.0; columns]);
        for (i, e) in elements.iter().enumerate() {
            by_row[i / (inner * columns)] += e;
            by_column[i / inner % columns] += e;
        }
        self.axes.insert((value, 0), by_row);
        if shape.len() > 1 {
            self.axes.insert((value, 1), by_column);
        }
    }

    fn sum(&self, slices: &[Slice]) -> f64 {
        slices.iter().filter_map(|s| self.axes.get(&(s.value, s.axis)).map(|sums| sums[s.index])).sum()
    }
}

fn norms(
    graph: &Graph,
    groups: &ChannelGroups,
    power: impl Fn(f64) -> f64,
    root: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let scales = row_scales(graph);
    let mut contributions = Contributions::default();
    for node in graph.nodes() {
        if !has_weight_rows(graph, node) {
            continue;
        }
        let weight = node.inputs[1];
        let Some(tensor) = graph.param(weight) else { continue };
        let Some(w) = tensor.as_f32() else { continue };
        let scale = &scales[node.output().index()];
        let row = (w.len() / tensor.shape()[0].max(1)).max(1);
        let terms: Vec<f64> = w
            .iter()
            .enumerate()
            .map(|(i, &w)| power(f64::from(w) * scale.as_ref().map_or(1.0, |s| s[i / row])))
            .collect();
        contributions.add(weight, tensor.shape(), &terms);
    }
    groups.units.iter().map(|u| root(contributions.sum(&u.slices))).collect()
}

/// Per value: `|gamma| / sqrt(running_var + epsilon)` of the batch norm that alone reads it.
fn row_scales(graph: &Graph) -> Vec<Option<Vec<f64>>> {
    let uses = consumer_counts(graph);
    let mut scales = vec![None; graph.values().len()];
    for node in graph.nodes() {
        let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = node.op else { continue };
        let x = node.inputs[0];
        let float = |i: usize| graph.param(node.inputs[i]).and_then(Tensor::as_f32);
        if uses[x.index()] == 1
            && let (Some(gamma), Some(var)) = (float(1), float(4))
        {
            let scale =
                |(&g, &v): (&f32, &f32)| f64::from(g).abs() / (f64::from(v) + f64::from(epsilon)).sqrt();
            scales[x.index()] = Some(gamma.iter().zip(var).map(scale).collect());
        }
    }
    scales
}

fn gammas(graph: &Graph, groups: &ChannelGroups) -> Vec<f64> {
    let mut gamma = BTreeMap::new();
    for node in graph.nodes() {
        if matches!(node.op, Op::BatchNormalization(_))
            && let Some(values) = graph.param(node.inputs[1]).and_then(Tensor::as_f32)
        {
            gamma.insert(node.inputs[1], values);
        }
    }
    let mut scores = importance(graph, groups, Importance::L2);
    for group in &groups.groups {
        let means: Option<Vec<f64>> = group
            .units
            .iter()
            .map(|&u| {
                let on_unit: Vec<f64> = groups.units[u]
                    .slices
                    .iter()
                    .filter_map(|s| gamma.get(&s.value).map(|g| f64::from(g[s.index]).abs()))
                    .collect();
                (!on_unit.is_empty()).then(|| on_unit.iter().sum::<f64>() / on_unit.len() as f64)
            })
            .collect();
        if let Some(means) = means {
            for (&u, mean) in group.units.iter().zip(means) {
                scores[u] = mean;
            }
        }
    }
    scores
}

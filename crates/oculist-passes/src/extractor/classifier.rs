//! The last layer of a classifier as rows of weights.

use oculist_graph::{Binary, Graph, Node, Op, ValueId};

use super::{last_layer, no_place};
use crate::error::Result;

/// The layer that makes logits of features: `logit_k = sum_d weights[k, d] * feature_d + bias_k`.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// Name of its node.
    pub name: String,
    /// `[classes, features]`, row by row.
    pub weights: Vec<f32>,
    /// One for each class.
    pub bias: Vec<f32>,
    /// Features of a row.
    pub features: usize,
}

impl Classifier {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// The weights of a class.
    pub fn row(&self, class: usize) -> &[f32] {
        &self.weights[class * self.features..(class + 1) * self.features]
    }
}

/// The classifier of a graph that ends in its logits.
///
/// A fully connected layer (`Gemm`, or `MatMul` with or without an `Add` behind it) or a convolution of 1x1 whose weights are f32;
/// behind it stands nothing that changes what it gives, but for means over places and what only reshapes.
///
/// # Errors
/// [`PassError::Option`](crate::PassError::Option) naming what the graph ends in.
pub fn classifier(graph: &Graph) -> Result<Classifier> {
    let none = |problem: &str| no_place(graph, problem);
    let Some((id, data)) = last_layer(graph) else {
        return Err(none("expected a fully connected layer or a convolution at its end, found none"));
    };
    let node = &graph.nodes()[id];
    let (rows, features) = rows(graph, node, data)
        .ok_or_else(|| none(&format!("`{}` is no layer of plain f32 weights", node.name)))?;
    let classes = rows.len() / features.max(1);
    let mut bias = own_bias(graph, node, classes);
    let (consumers, mut at) = (graph.consumers(), node.output());
    // What stands between the layer and the logits.
    while graph.outputs().first() != Some(&at) {
        let behind = match consumers[at.index()][..] {
            [one] => &graph.nodes()[one],
            _ => return Err(none(&format!("what `{}` gives is read several times", node.name))),
        };
        match &behind.op {
            Op::Binary(Binary::Add) => {
                let added = behind.inputs.iter().find(|&v| v != at).and_then(|v| graph.param(v)?.as_f32());
                let added = added.filter(|b| b.len() == classes || b.len() == 1);
                let Some(added) = added else {
                    return Err(none(&format!("`{}` adds what is no bias", behind.name)));
                };
                for (i, b) in bias.iter_mut().enumerate() {
                    *b += added[i % added.len()];
                }
            }
            Op::GlobalPool(oculist_graph::GlobalPool::Average)
            | Op::AveragePool(_)
            | Op::Flatten(_)
            | Op::Reshape(_)
            | Op::Squeeze(_)
            | Op::Identity(_)
            | Op::Reduce(_)
            | Op::Dropout(_) => {}
            op => {
                let (name, op) = (&behind.name, op.name());
                return Err(none(&format!("`{name}` ({op}) stands behind its last layer")));
            }
        }
        at = behind.output();
    }
    Ok(Classifier { name: node.name.clone(), weights: rows, bias, features })
}

/// The weights as `[classes, features]`, and the number of features.
fn rows(graph: &Graph, node: &Node, data: ValueId) -> Option<(Vec<f32>, usize)> {
    if node.inputs.get(0) != Some(data) {
        return None;
    }
    let weights = graph.param(node.inputs.get(1)?)?;
    let (values, shape) = (weights.as_f32()?, weights.shape());
    let (scale, transposed) = match &node.op {
        Op::Gemm(gemm) if !gemm.trans_a && shape.len() == 2 => (gemm.alpha, !gemm.trans_b),
        Op::MatMul(_) if shape.len() == 2 => (1.0, true),
        Op::Conv(conv) if conv.groups == 1 && shape.len() == 4 && shape[2..] == [1, 1] => (1.0, false),
        _ => return None,
    };
    let (classes, features) = if transposed { (shape[1], shape[0]) } else { (shape[0], shape[1]) };
    let at = |k: usize, d: usize| values[if transposed { d * classes + k } else { k * features + d }];
    let rows = (0..classes).flat_map(|k| (0..features).map(move |d| (k, d)));
    Some((rows.map(|(k, d)| scale * at(k, d)).collect(), features))
}

/// The bias that the layer itself has; zeros without one.
fn own_bias(graph: &Graph, node: &Node, classes: usize) -> Vec<f32> {
    let factor = if let Op::Gemm(gemm) = &node.op { gemm.beta } else { 1.0 };
    let own = node.inputs.get(2).and_then(|v| graph.param(v)?.as_f32()).filter(|b| !b.is_empty());
    (0..classes).map(|k| own.map_or(0.0, |b| factor * b[k % b.len()])).collect()
}

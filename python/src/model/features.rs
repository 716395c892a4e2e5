//! The network without its last fully connected layer.

use oculist_graph::{Graph, Node, Op, ValueId};

use crate::error::{Failure, Result};

/// A graph that ends in what the last fully connected layer reads.
pub(super) struct Features {
    pub(super) graph: Graph,
    /// How a row is one of features: channels and places of a map, channels first or last.
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Row,
    /// `[channels, places]`.
    Map {
        channels: usize,
    },
    /// `[tokens, channels]`.
    Tokens {
        channels: usize,
    },
}

impl Features {
    /// # Errors
    /// A graph without such a layer.
    pub(super) fn of(graph: &Graph) -> Result<Self> {
        let value = seen_by_last(graph).ok_or_else(|| {
            Failure::Model("expected a fully connected layer at its end, found none".into())
        })?;
        let shape = graph.shape(value);
        let form = match *shape.dims() {
            [_, _, channels] => channels.size().map_or(Form::Row, |channels| Form::Tokens { channels }),
            [_, channels, _, _] => channels.size().map_or(Form::Row, |channels| Form::Map { channels }),
            _ => Form::Row,
        };
        let mut graph = graph.clone();
        graph.set_outputs(vec![value]);
        graph.tidy().map_err(|e| Failure::Model(e.to_string()))?;
        Ok(Self { graph, form })
    }

    /// Rows of the graph's output as rows of features: maps by their means.
    pub(super) fn pool(&self, rows: &[f32], images: usize) -> Vec<f32> {
        let len = rows.len().checked_div(images).unwrap_or(0);
        let mean = |values: &mut dyn Iterator<Item = f32>, n: usize| {
            (values.map(f64::from).sum::<f64>() / n as f64) as f32
        };
        let each = |row: &[f32]| -> Vec<f32> {
            match self.form {
                Form::Row => row.to_vec(),
                Form::Map { channels } => {
                    let places = len / channels.max(1);
                    row.chunks(places.max(1)).map(|map| mean(&mut map.iter().copied(), places)).collect()
                }
                Form::Tokens { channels } => {
                    let tokens = len / channels.max(1);
                    let of = |c: usize| mean(&mut row.iter().skip(c).step_by(channels).copied(), tokens);
                    (0..channels).map(of).collect()
                }
            }
        };
        rows.chunks(len.max(1)).flat_map(each).collect()
    }
}

/// What the last layer with weights reads that makes scores of several features.
fn seen_by_last(graph: &Graph) -> Option<ValueId> {
    let producers = graph.producers();
    let mut at = *graph.outputs().first()?;
    while let Some(id) = producers[at.index()] {
        let node = &graph.nodes()[id];
        let data = data_of(graph, node)?;
        let several = graph.shape(data).get(1).is_none_or(|features| features > 1);
        // A layer of a single feature only turns one score into two.
        if is_layer(&node.op) && several {
            return Some(data);
        }
        at = data;
    }
    None
}

fn is_layer(op: &Op) -> bool {
    matches!(op, Op::Gemm(_) | Op::MatMul(_) | Op::Conv(_))
}

/// The input of a node that depends on the image.
fn data_of(graph: &Graph, node: &Node) -> Option<ValueId> {
    node.inputs.iter().find(|&value| !is_constant(graph, value))
}

/// Whether a value is a constant, or one behind operators that change how it is written (`DequantizeLinear`).
fn is_constant(graph: &Graph, value: ValueId) -> bool {
    let mut at = vec![value];
    let producers = graph.producers();
    while let Some(value) = at.pop() {
        if graph.param(value).is_some() {
            continue;
        }
        match producers[value.index()] {
            Some(id) if !graph.nodes()[id].inputs.is_empty() => at.extend(graph.nodes()[id].inputs.iter()),
            _ => return false,
        }
    }
    true
}

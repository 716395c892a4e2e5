//! One number for each image without an axis of its own: `[N]`.
//!
//! `model(x).squeeze(1)` and `model(x)[:, 0]` give it. Behind a flat value stands at most a `Sigmoid` and what passes
//! numbers on. All that works with models knows rows, so when a model is read its output becomes `[N, 1]`, one number for two
//! classes as in [`super::binary`]; when it is written, the axis is taken out again at the very end.

use oculist_graph::op::Quantization;
use oculist_graph::{Graph, Node, Op, Squeeze, Tensor, Unary, Unsqueeze, ValueId};

use super::{free_node, free_value, is_one_pixel};

/// Whether the only output of a graph is one number for each image, `[N]` with the batch of the only input.
pub(crate) fn is_flat(graph: &Graph) -> bool {
    let (&[input], &[output]) = (graph.inputs(), graph.outputs()) else { return false };
    let batch = graph.shape(input).get(0);
    let dims = graph.shape(output).dims();
    // With a fixed batch of several images, as many classes of one image would look the same.
    dims.len() == 1 && graph.shape(input).dims().first() == dims.first() && batch.is_none_or(|n| n == 1)
}

/// Makes `[N, 1]` of an output `[N]`; gives the output's name if it did.
///
/// # Errors
/// In words, if the graph is invalid.
pub(super) fn widen(graph: &mut Graph) -> Result<Option<String>, String> {
    if !is_flat(graph) {
        return Ok(None);
    }
    let producers = graph.producers();
    let consumers = graph.consumers();
    let output = graph.outputs()[0];
    let name = graph.value(output).name.clone();
    // Where numbers became flat; what follows them works on rows as well.
    let mut flat = output;
    let mut rows = None;
    while let Some(node) = producers[flat.index()].map(|id| &graph.nodes()[id]) {
        let Some(from) = node.inputs.get(0) else { break };
        if is_row_of_one(graph, from) && keeps_elements(graph, node) {
            rows = Some(from);
            break;
        }
        let alone = graph.shape(from).rank() == 1 && consumers[from.index()].len() == 1;
        if !(alone && works_on_each(graph, node)) {
            break;
        }
        flat = from;
    }
    if let Some(rows) = rows {
        graph.replace_uses(flat, rows);
    } else {
        let axes = graph.add_param(free_value(graph, "column.axes"), Tensor::ints(vec![1]));
        let column = graph.add_activation(free_value(graph, "column.out"));
        graph.replace_uses(flat, column);
        let node = free_node(graph, "column");
        graph.edit().push(Node {
            name: node,
            op: Op::Unsqueeze(Unsqueeze),
            inputs: vec![flat, axes].into(),
            outputs: vec![column],
        });
    }
    graph.tidy().map_err(|e| e.to_string())?;
    Ok(Some(name))
}

/// Makes `[N]` of an output `[N, 1]` or `[N, 1, 1, 1]`, under this name if it is free.
pub(super) fn flatten(graph: &mut Graph, name: &str) {
    let Some(&x) = graph.outputs().first() else { return };
    let axes = (1..graph.shape(x).rank()).filter_map(|axis| i64::try_from(axis).ok()).collect();
    let axes = graph.add_param(free_value(graph, "flat.axes"), Tensor::ints(axes));
    let flat = graph.add_activation(free_value(graph, name));
    let node = free_node(graph, "flat");
    graph.edit().push(Node {
        name: node,
        op: Op::Squeeze(Squeeze),
        inputs: vec![x, axes].into(),
        outputs: vec![flat],
    });
    graph.set_outputs(vec![flat]);
}

fn is_row_of_one(graph: &Graph, value: ValueId) -> bool {
    is_one_pixel(graph, value) && graph.shape(value).get(1) == Some(1)
}

fn keeps_elements(graph: &Graph, node: &Node) -> bool {
    node.outputs.len() == 1 && graph.given(node).is_ok_and(|given| node.op.keeps_elements(&given))
}

/// Whether a node makes each of its numbers of one number, whatever their shape.
fn works_on_each(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Unary(Unary::Sigmoid))
        || node.op.quantization() == Quantization::Conversion
        || node.op.clamp().is_some()
        || keeps_elements(graph, node)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oculist_graph::{Dim, Flatten, Gemm, GraphBuilder, Reshape, Shape};
    use oculist_runtime::{Context, Plan, PlanOptions};

    use super::super::Head;
    use super::*;
    use crate::metrics::softmax;

    type Behind = fn(&mut GraphBuilder, ValueId) -> ValueId;
    type Says = fn(f32) -> f32;

    /// Two features to one number, `1.5 x - 0.5 y`, and what `behind` makes of it.
    fn network(behind: Behind) -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 2, 1, 1);
        let x = b.op("rows", Op::Flatten(Flatten::IMAGES), &[x]);
        let weight = b.param("weight", Tensor::f32(&[1, 2], vec![1.5, -0.5]));
        let x = b.op("fc", Op::Gemm(Gemm::LINEAR), &[x, weight]);
        let x = behind(&mut b, x);
        b.finish(x).unwrap()
    }

    fn squeeze(b: &mut GraphBuilder, x: ValueId) -> ValueId {
        let axes = b.param("axes", Tensor::ints(vec![1]));
        b.op("squeeze", Op::Squeeze(Squeeze), &[x, axes])
    }

    fn sigmoid(b: &mut GraphBuilder, x: ValueId) -> ValueId {
        b.op("sigmoid", Op::Unary(Unary::Sigmoid), &[x])
    }

    fn logistic(z: f32) -> f32 {
        1.0 / (1.0 + (-z).exp())
    }

    /// Ends of a file, what they make of the number by hand, and whether that is a probability.
    const ENDS: [(Behind, Says, bool); 5] = [
        (squeeze, |z| z, false),
        (
            |b, x| {
                let x = squeeze(b, x);
                sigmoid(b, x)
            },
            logistic,
            true,
        ),
        (
            |b, x| {
                let x = sigmoid(b, x);
                squeeze(b, x)
            },
            logistic,
            true,
        ),
        (
            |b, x| {
                let shape = b.param("shape", Tensor::ints(vec![-1]));
                b.op("reshape", Op::Reshape(Reshape { allow_zero: false }), &[x, shape])
            },
            |z| z,
            false,
        ),
        // No row of one number stands before the flat one.
        (
            |b, x| {
                let flat = squeeze(b, x);
                let y = b.op("twice", Op::Binary(oculist_graph::Binary::Add), &[flat, flat]);
                sigmoid(b, y)
            },
            |z| logistic(2.0 * z),
            true,
        ),
    ];

    fn answers(graph: &Graph, x: [f32; 2]) -> Vec<f32> {
        let ctx = Arc::new(Context::new(1).unwrap());
        let mut plan = Plan::new(graph, &PlanOptions::new(1, ctx)).unwrap();
        let mut out = vec![0.0; plan.output_len()];
        plan.run(&x, &mut out).unwrap();
        out
    }

    #[test]
    fn a_flat_number_is_one_for_two_classes_and_goes_out_flat() {
        for (i, (behind, says, is_probability)) in ENDS.into_iter().enumerate() {
            let file = network(behind);
            assert!(is_flat(&file), "{i}");
            let mut graph = file.clone();
            let head = Head::take(&mut graph).unwrap();
            assert_eq!(graph.shape(graph.outputs()[0]).get(1), Some(2), "{i}");
            for (x, z) in [([1.0, 0.5], 1.25), ([-2.0, 1.0], -3.5)] {
                let want = if is_probability { says(z) } else { logistic(says(z)) };
                let got = softmax(&answers(&graph, x));
                assert!((got[1] - want).abs() < 1e-6, "{i}: {got:?}, expected {want}");
                assert!((got[0] - want).abs() > 0.1, "{i}: the order matters");
            }
            // Twice, without anything more the second time.
            let mut written = graph.clone();
            head.put_back(&mut written).unwrap();
            let mut again = written.clone();
            let second = Head::take(&mut again).unwrap();
            assert_eq!(again.nodes().len(), graph.nodes().len(), "{i}");
            second.put_back(&mut again).unwrap();
            for graph in [&written, &again] {
                let out = graph.outputs()[0];
                assert_eq!(graph.shape(out), &Shape::new(vec![Dim::Batch]), "{i}");
                assert_eq!(graph.value(out).name, file.value(file.outputs()[0]).name, "{i}");
                for (x, z) in [([1.0, 0.5], 1.25), ([-2.0, 1.0], -3.5)] {
                    let (got, want) = (answers(graph, x), [says(z)]);
                    assert!(got.len() == 1 && (got[0] - want[0]).abs() < 1e-6, "{i}: {got:?}, {want:?}");
                }
            }
        }
    }

    #[test]
    fn a_vector_of_classes_is_none() {
        let mut file = network(squeeze);
        let input = file.inputs()[0];
        file.set_input_shape(input, Shape::fixed(&[3, 2, 1, 1]));
        file.tidy().unwrap();
        assert!(!is_flat(&file));
        assert!(!is_flat(&network(|_, x| x)));
    }
}

//! One number for two classes.
//!
//! A file with one logit `z` means `sigmoid(z)` as the probability of the second class. The logits `[0, z]` give the same by
//! softmax, so a layer without bias makes them of `z` when the model is read; another one makes `z` of their difference when
//! it is written. Read again, that difference tells that the two are there already.

use oculist_graph::{Conv, Gemm, Graph, Node, Op, Tensor};

use super::{free_node, free_value};

/// `[0, z]` of `z`.
const EXPAND: [f32; 2] = [0.0, 1.0];
/// `z` of `[a, b]`.
const COLLAPSE: [f32; 2] = [-1.0, 1.0];

/// Makes two logits of the single one that a graph gives; says whether there was a single one.
///
/// # Errors
/// In words, if the graph is invalid.
pub(super) fn expand(graph: &mut Graph) -> Result<bool, String> {
    let Some(&z) = graph.outputs().first() else { return Ok(false) };
    if graph.shape(z).get(1) != Some(1) {
        return Ok(false);
    }
    // What `collapse` wrote is taken off again.
    let producer = graph.producers()[z.index()].map(|id| &graph.nodes()[id]);
    if let Some(node) = producer
        && matches!(node.op, Op::Gemm(_) | Op::Conv(_))
        && node.inputs.len() == 2
        && graph.shape(node.inputs[0]).get(1) == Some(2)
        && graph.param(node.inputs[1]).and_then(Tensor::as_f32) == Some(&COLLAPSE)
    {
        let two = node.inputs[0];
        graph.set_outputs(vec![two]);
        graph.tidy().map_err(|e| e.to_string())?;
        return Ok(true);
    }
    layer(graph, "two_classes", (1, 2), &EXPAND).map_err(|e| e.to_string())?;
    Ok(true)
}

/// Makes one number of the two logits that a graph gives.
///
/// # Errors
/// If the graph is invalid.
pub(super) fn collapse(graph: &mut Graph) -> Result<(), oculist_graph::GraphError> {
    layer(graph, "one_number", (2, 1), &COLLAPSE)
}

/// Puts a layer without bias behind the graph's output.
fn layer(
    graph: &mut Graph,
    name: &str,
    (c_in, c_out): (usize, usize),
    weight: &[f32],
) -> Result<(), oculist_graph::GraphError> {
    let Some(&x) = graph.outputs().first() else { return Ok(()) };
    let rows = graph.shape(x).rank() == 2;
    let (op, shape) = if rows {
        (Op::Gemm(Gemm::LINEAR), vec![c_out, c_in])
    } else {
        (Op::Conv(Conv::square(1, 1, 0)), vec![c_out, c_in, 1, 1])
    };
    let weight =
        graph.add_param(free_value(graph, &format!("{name}.weight")), Tensor::f32(&shape, weight.to_vec()));
    let y = graph.add_activation(free_value(graph, &format!("{name}.out")));
    let name = free_node(graph, name);
    graph.edit().push(Node { name, op, inputs: vec![x, weight].into(), outputs: vec![y] });
    graph.set_outputs(vec![y]);
    graph.tidy()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oculist_graph::{Flatten, GraphBuilder, Unary};
    use oculist_runtime::{Context, Plan, PlanOptions};

    use super::super::Head;
    use super::*;
    use crate::metrics::softmax;

    /// Two features to one number, `1.5 x - 0.5 y`.
    fn network(end: Option<Op>, map: bool) -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 2, 1, 1);
        let mut x = if map {
            let weight = b.param("weight", Tensor::f32(&[1, 2, 1, 1], vec![1.5, -0.5]));
            b.op("conv", Conv::square(1, 1, 0), &[x, weight])
        } else {
            let x = b.op("flatten", Flatten::IMAGES, &[x]);
            let weight = b.param("weight", Tensor::f32(&[1, 2], vec![1.5, -0.5]));
            b.op("fc", Op::Gemm(Gemm::LINEAR), &[x, weight])
        };
        if let Some(end) = end {
            x = b.op("end", end, &[x]);
        }
        b.finish(x).unwrap()
    }

    fn answers(graph: &Graph, x: [f32; 2]) -> Vec<f32> {
        let ctx = Arc::new(Context::new(1).unwrap());
        let mut plan = Plan::new(graph, &PlanOptions::new(1, ctx)).unwrap();
        let mut out = vec![0.0; plan.output_len()];
        plan.run(&x, &mut out).unwrap();
        out
    }

    #[test]
    fn one_number_becomes_two_logits_and_goes_out_as_one() {
        let sigmoid = Op::Unary(Unary::Sigmoid);
        for (end, map) in [(None, false), (None, true), (Some(sigmoid.clone()), false), (Some(sigmoid), true)]
        {
            let given = network(end.clone(), map);
            let mut graph = given.clone();
            let head = Head::take(&mut graph).unwrap();
            assert!(!head.is_empty());
            for (x, z) in [([1.0, 0.5], 1.25f64), ([-2.0, 1.0], -3.5)] {
                let logits = answers(&graph, x);
                let want = 1.0 / (1.0 + (-z).exp());
                assert_eq!(logits.len(), 2);
                assert!((f64::from(softmax(&logits)[1]) - want).abs() < 1e-6, "{logits:?}, expected {want}");
                assert!((f64::from(softmax(&logits)[0]) - want).abs() > 0.1, "the order matters");
            }
            // Also when it is read and written twice, without anything more each time.
            let mut written = graph.clone();
            head.put_back(&mut written).unwrap();
            let mut again = written.clone();
            let second = Head::take(&mut again).unwrap();
            assert_eq!(again.nodes().len(), graph.nodes().len());
            let mut twice = again;
            second.put_back(&mut twice).unwrap();
            assert_eq!(twice.nodes().len(), written.nodes().len());
            for x in [[1.0, 0.5], [-2.0, 1.0]] {
                let (want, got) = (answers(&given, x), answers(&twice, x));
                assert!(got.len() == 1 && (got[0] - want[0]).abs() < 1e-6, "{got:?}, expected {want:?}");
            }
        }
    }
}

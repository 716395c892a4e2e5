//! Removes nodes that do nothing in inference.

use oculist_graph::{Graph, Identity, Op, ValueId};

use crate::Result;
use crate::edit::Names;

/// Removes `Dropout` and `Identity`.
///
/// # What it does
/// Readers of such a node's output read its input instead.
///
/// # Applies when
/// The graph is meant for inference: `Dropout` acts only in training. A node between a graph input and a graph
/// output stays, because an output needs a producer.
///
/// # Preserves
/// The function in inference, exactly. A graph output keeps its name.
///
/// # Source
/// ONNX operator definitions of `Dropout` (`training_mode = false`) and `Identity`.
///
/// # Errors
/// [`crate::PassError::Graph`] if the graph is invalid.
pub fn remove_identity(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let mut is_output = vec![false; out.values().len()];
    for output in out.outputs() {
        is_output[output.index()] = true;
    }
    let mut producers = out.producers();
    // What stands for each value; uses are changed once, at the end.
    let mut stands_for: Vec<ValueId> = out.value_ids().collect();
    let mut names = Names::of(graph);
    for i in 0..out.nodes().len() {
        let node = &out.nodes()[i];
        // The producer must give its value as its first output to take over the name; a mask is only had while training.
        let removable = matches!(node.op, Op::Dropout(_) | Op::Identity(Identity)) && node.outputs.len() == 1;
        if !removable || node.inputs.len() > 2 {
            continue;
        }
        let (input, output) = (resolve(&stands_for, node.inputs[0]), node.output());
        if !is_output[output.index()] {
            stands_for[output.index()] = input;
            continue;
        }
        // The output's name is part of the model's interface: its producer takes it over.
        if let Some(p) = producers[input.index()]
            && !is_output[input.index()]
            && out.nodes()[p].output() == input
        {
            stands_for[input.index()] = output;
            producers[output.index()] = Some(p);
            let spare = names.fresh(&format!("{}.removed", node.name));
            let spare = out.add_activation(spare);
            stands_for.push(spare);
            out.edit().set_output(p, output);
            out.edit().set_output(i, spare);
        }
    }
    out.map_uses(|v| resolve(&stands_for, v));
    out.tidy()?;
    out.check()?;
    Ok(out)
}

/// What stands for a value in the end. The way is short: what stands for a removed node's output was resolved before, and
/// only a graph output can still take its place.
fn resolve(stands_for: &[ValueId], mut v: ValueId) -> ValueId {
    while stands_for[v.index()] != v {
        v = stands_for[v.index()];
    }
    v
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Dropout, GraphBuilder};

    use super::*;
    use crate::test_models as models;

    #[test]
    fn dropout_goes_and_the_function_stays() {
        let graph = models::flatten_head();
        let out = remove_identity(&graph).unwrap();
        assert_eq!(out.nodes().len(), graph.nodes().len() - 1);
        assert!(out.nodes().iter().all(|n| !matches!(n.op, Op::Dropout(_))));
        assert_eq!(models::output(&out), models::output(&graph));
    }

    #[test]
    fn an_output_keeps_its_name() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 4, 4);
        let y = b.relu("relu", x);
        let y = b.op("drop", Op::Dropout(Dropout { ratio: 0.5 }), &[y]);
        let y = b.op("same", Op::Identity(Identity), &[y]);
        let graph = b.finish(y).unwrap();
        let out = remove_identity(&graph).unwrap();
        assert_eq!(
            out.dump(),
            "graph net\n  input x: f32[N, 2, 4, 4]\n  same.out: f32[N, 2, 4, 4] = Relu(x)\n  output same.out\n"
        );
    }

    #[test]
    fn a_copy_of_the_input_stays() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 4, 4);
        let y = b.op("same", Op::Identity(Identity), &[x]);
        let graph = b.finish(y).unwrap();
        assert_eq!(remove_identity(&graph).unwrap(), graph);
    }
}

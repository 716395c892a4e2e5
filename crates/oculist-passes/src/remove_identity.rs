//! Removes nodes that do nothing in inference.

use oculist_graph::{Graph, Op};

use crate::Result;

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
    for i in 0..out.nodes().len() {
        let node = &out.nodes()[i];
        if !matches!(node.op, Op::Dropout { .. } | Op::Identity) {
            continue;
        }
        let (input, output) = (node.inputs[0], node.output);
        if !out.outputs().contains(&output) {
            out.replace_uses(output, input);
            continue;
        }
        // The output's name is part of the model's interface: its producer takes it over.
        let producer = out.producers()[input.index()];
        if let Some(p) = producer
            && !out.outputs().contains(&input)
        {
            out.replace_uses(input, output);
            let spare = crate::edit::fresh_name(&out, &format!("{}.removed", out.nodes()[i].name));
            let spare = out.add_activation(spare);
            out.nodes_mut()[p].output = output;
            let node = &mut out.nodes_mut()[i];
            node.output = spare;
            node.inputs[0] = output;
        }
    }
    out.tidy()?;
    out.check()?;
    Ok(out)
}

//! Dropout beside the exported graph.
//!
//! ONNX files are for inference, where dropout does nothing, so the export leaves it out and other runtimes never see
//! it. Training that starts from the file needs it again: its places travel in the metadata.

use std::collections::{HashMap, HashSet};

use oculist_graph::{Dropout, Graph, Node, Op};
use serde::{Deserialize, Serialize};

use crate::error::OculistError;

/// Metadata key of the dropout layers, a JSON list of `{"name", "ratio", "before"}`; `before` names the nodes that read
/// the layer. Absent without dropout.
pub const DROPOUT_KEY: &str = "oculist.dropout";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    name: String,
    ratio: f32,
    before: Vec<String>,
}

/// Writes the places of the graph's dropout layers into its metadata.
pub(crate) fn note(graph: &mut Graph) {
    let consumers = graph.consumers();
    let place = |node: &Node| {
        let Op::Dropout(Dropout { ratio }) = node.op else { return None };
        let before =
            consumers[node.output().index()].iter().map(|&n| graph.nodes()[n].name.clone()).collect();
        Some(Place { name: node.name.clone(), ratio, before })
    };
    let places: Vec<Place> = graph.nodes().iter().filter_map(place).collect();
    graph.metadata.remove(DROPOUT_KEY);
    if !places.is_empty() {
        let text = serde_json::to_string(&places).unwrap_or_default();
        graph.metadata.insert(DROPOUT_KEY.into(), text);
    }
}

/// Puts the layers that the metadata tell of back into the graph.
///
/// A place that is not there any more, because another tool has renamed the nodes, is passed over: it matters to
/// training only, and the file may be meant for something else.
///
/// # Errors
/// What is wrong with the metadata, in words.
pub(crate) fn restore(graph: &mut Graph) -> Result<(), String> {
    let Some(text) = graph.metadata.remove(DROPOUT_KEY) else { return Ok(()) };
    let problem = |what: String| format!("metadata `{DROPOUT_KEY}`: {what}");
    let places: Vec<Place> = serde_json::from_str(&text).map_err(|e| problem(e.to_string()))?;
    let mut values: HashSet<String> = graph.values().iter().map(|v| v.name.clone()).collect();
    let mut nodes: HashMap<String, Option<usize>> =
        graph.nodes().iter().enumerate().map(|(i, n)| (n.name.clone(), Some(i))).collect();
    // The new nodes, each with the node that it is put in front of.
    let mut added: Vec<(usize, Node)> = Vec::new();
    for Place { name, ratio, before } in places {
        if !(0.0..1.0).contains(&ratio) {
            return Err(problem(format!("expected a ratio of at least 0 and below 1, found {ratio}")));
        }
        let readers: Vec<usize> = before.iter().filter_map(|n| *nodes.get(n)?).collect();
        let Some(&first) = readers.iter().min() else { continue };
        let output = format!("{name}.out");
        if nodes.contains_key(&name) || !values.insert(output.clone()) {
            continue;
        }
        let Some(x) = graph.nodes()[first].inputs.get(0) else { continue };
        let output = graph.add_activation(output);
        for reader in readers {
            if graph.nodes()[reader].inputs.get(0) == Some(x) {
                graph.edit().set_input(reader, 0, Some(output));
            }
        }
        nodes.insert(name.clone(), None);
        added.push((
            first,
            Node { name, op: Dropout { ratio }.into(), inputs: [x].into(), outputs: vec![output] },
        ));
    }
    added.sort_by_key(|&(first, _)| first);
    let mut added = added.into_iter().peekable();
    let mut all = Vec::new();
    for (i, node) in graph.edit().take_nodes().into_iter().enumerate() {
        while let Some((_, dropout)) = added.next_if(|&(first, _)| first == i) {
            all.push(dropout);
        }
        all.push(node);
    }
    graph.edit().replace_nodes(all);
    graph.tidy().map_err(|e| problem(OculistError::from(e).to_string()))
}

#[cfg(test)]
mod tests {
    use oculist_zoo::BuildOptions;

    use super::*;

    /// One layer of a ratio that was asked for, and one of the architecture's own.
    fn networks() -> [Graph; 2] {
        let options = BuildOptions::new(10, (3, 32, 32));
        [
            oculist_zoo::build("vgg11_bn", &options.clone().with_dropout(0.4)).unwrap(),
            oculist_zoo::build("mobilenet_v3_small", &options).unwrap(),
        ]
    }

    /// What the export makes of it.
    fn through_a_file(graph: &Graph) -> Graph {
        oculist_onnx::from_bytes(&oculist_onnx::to_bytes(graph).unwrap()).unwrap()
    }

    fn nodes(graph: &Graph) -> Vec<(String, Op)> {
        graph.nodes().iter().map(|n| (n.name.clone(), n.op.clone())).collect()
    }

    #[test]
    fn dropout_comes_back_where_it_was() {
        let dropouts = |g: &Graph| nodes(g).iter().filter(|(_, op)| matches!(op, Op::Dropout(_))).count();
        for built in networks() {
            let mut noted = built.clone();
            note(&mut noted);
            let mut back = through_a_file(&noted);
            assert_eq!((dropouts(&built), dropouts(&back)), (1, 0), "other runtimes see none");
            restore(&mut back).unwrap();
            assert_eq!(nodes(&back), nodes(&built));
            back.check().unwrap();
            assert!(!back.metadata.contains_key(DROPOUT_KEY), "it would contradict a graph that is changed");
            // Without the note it is lost, which is what this module is for.
            let mut lost = through_a_file(&built);
            restore(&mut lost).unwrap();
            assert_eq!(dropouts(&lost), 0);
        }
    }

    #[test]
    fn renamed_nodes_are_passed_over_and_nonsense_is_refused() {
        let [mut graph, _] = networks();
        let before = nodes(&graph);
        let note_of = |text: &str| (DROPOUT_KEY.to_owned(), text.to_owned());
        graph.metadata.extend([note_of(r#"[{"name": "d", "ratio": 0.5, "before": ["nowhere"]}]"#)]);
        restore(&mut graph).unwrap();
        assert_eq!(nodes(&graph), before);
        for text in ["[", r#"[{"name": "d", "ratio": 1.5, "before": []}]"#] {
            graph.metadata.extend([note_of(text)]);
            assert!(restore(&mut graph).unwrap_err().contains(DROPOUT_KEY), "{text}");
        }
    }
}

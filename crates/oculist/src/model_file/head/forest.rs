//! Forests at the end of a file, whose scores may be probabilities already.
//!
//! A `TreeEnsembleClassifier` makes probabilities of its scores within the operator, or its leaves add up to them. Both
//! are spelled out as operators behind the scores, which the head then is made of like any other.

use oculist_graph::{AfterVotes, Graph, Node, Op, Softmax, TreeEnsembleClassifier, Unary, ValueId};

use super::{free_node, free_value, passes_on};

/// What a probability is at the least before its logarithm is taken.
const LEAST: f32 = 1e-7;
/// How far the sum of probabilities may be from 1: files have them rounded.
const NEARLY: f64 = 1e-3;

/// Spells out what a forest that a graph ends in makes of its votes: `Softmax` or `Sigmoid` of the scores, or, where the leaves add up
/// to probabilities, the `Softmax` of their logarithms.
///
/// # Errors
/// In words, if the graph is invalid.
pub(super) fn spell_out(graph: &mut Graph) -> Result<(), String> {
    let producers = graph.producers();
    let Some(&output) = graph.outputs().first() else { return Ok(()) };
    let mut scores = output;
    let (id, forest) = loop {
        let Some(id) = producers[scores.index()] else { return Ok(()) };
        let node = &graph.nodes()[id];
        match &node.op {
            // Its first output is the label.
            Op::TreeEnsembleClassifier(forest) if node.outputs.get(1) == Some(&scores) => {
                break (id, forest.clone());
            }
            _ if passes_on(graph, node) => scores = node.inputs[0],
            _ => return Ok(()),
        }
    };
    let softmax = || Op::from(Softmax::along(1));
    let behind = match forest.after() {
        AfterVotes::Softmax => vec![softmax()],
        AfterVotes::Logistic => vec![Op::Unary(Unary::Sigmoid)],
        AfterVotes::Nothing if gives_probabilities(&forest) => {
            let clip = Unary::Clip { min: LEAST, max: f32::MAX };
            vec![Op::Unary(clip), Op::Unary(Unary::Log), softmax()]
        }
        AfterVotes::Nothing => return Ok(()),
    };
    let bare = TreeEnsembleClassifier::new(
        forest.trees().clone(),
        forest.labels().to_vec(),
        forest.base().to_vec(),
        AfterVotes::Nothing,
    )?;
    let mut values: Vec<ValueId> = Vec::new();
    for op in &behind {
        let name = free_value(graph, &format!("forest.{}", op.name().to_ascii_lowercase()));
        values.push(graph.add_activation(name));
    }
    if let Some(&last) = values.last() {
        graph.replace_uses(scores, last);
    }
    let mut from = scores;
    for (op, to) in behind.into_iter().zip(values) {
        let name = free_node(graph, &format!("forest.{}", op.name().to_ascii_lowercase()));
        graph.edit().push(Node { name, op, inputs: vec![from].into(), outputs: vec![to] });
        from = to;
    }
    graph.edit().set_op(id, bare);
    graph.tidy().map_err(|e| e.to_string())
}

/// Whether every row's scores are probabilities: no vote is negative, all leaves of a tree add the same in all, and that
/// of all trees is 1.
fn gives_probabilities(forest: &TreeEnsembleClassifier) -> bool {
    let mut of_tree: Vec<Option<f64>> = vec![None; forest.trees().len()];
    let mut weights =
        forest.trees().votes().iter().map(|vote| vote.weight).chain(forest.base().iter().copied());
    if weights.any(|weight| weight.is_nan() || weight < 0.0) {
        return false;
    }
    for (tree, votes) in forest.trees().leaves() {
        let sum: f64 = votes.iter().map(|vote| f64::from(vote.weight)).sum();
        let known = of_tree[tree].get_or_insert(sum);
        if (*known - sum).abs() > NEARLY / forest.trees().len() as f64 {
            return false;
        }
    }
    let base: f64 = forest.base().iter().map(|&value| f64::from(value)).sum();
    let total = base + of_tree.into_iter().flatten().sum::<f64>();
    (total - 1.0).abs() <= NEARLY
}

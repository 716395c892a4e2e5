//! Forests: an operator of ONNX's domain of classic machine learning.

use std::sync::Arc;

use super::attributes::{Attribute, AttributeList, Attributes};
use super::schema::{Fact, Given, Operator, Read, Role, Written};
use super::trees::{Branch, Compare, Listed, Trees, Vote, from_listed};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// What is made of the sums of votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterVotes {
    /// Nothing.
    Nothing,
    /// The softmax of a row.
    Softmax,
    /// The sigmoid of each.
    Logistic,
}

impl AfterVotes {
    const NAMES: [&'static str; 3] = ["NONE", "SOFTMAX", "LOGISTIC"];
}

/// The class of the largest score and the scores: what the leaves add that a row ends in, one of each tree.
///
/// Forests of two classes must have votes for both, for the runtimes disagree about what a vote for one says of the other.
/// Labels are integers; forests whose labels are texts are refused.
///
/// # Shapes
/// `x` `[N, F]`, labels `[N]`, scores `[N, classes]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeEnsembleClassifier {
    trees: Arc<Trees>,
    /// Label of each class.
    labels: Vec<i64>,
    /// What each score begins with; empty for zeros.
    base: Vec<f32>,
    after: AfterVotes,
}

impl TreeEnsembleClassifier {
    /// A forest over classes with labels.
    ///
    /// # Errors
    /// Fewer than two classes, no tree, a vote for a class that is not there, base values that are not as many as the
    /// classes, and of two classes base values or one without any votes.
    pub fn new(trees: Trees, labels: Vec<i64>, base: Vec<f32>, after: AfterVotes) -> Result<Self, String> {
        let classes = labels.len();
        if classes < 2 {
            return Err(format!("expected two classes or more, found {classes}"));
        }
        if trees.is_empty() {
            return Err("it has no tree".to_owned());
        }
        if let Some(vote) = trees.votes().iter().find(|v| v.class as usize >= classes) {
            return Err(format!("a vote is for class {} of {classes}", vote.class));
        }
        if !base.is_empty() && base.len() != classes {
            return Err(format!("expected a base value for each of {classes} classes, found {}", base.len()));
        }
        if classes == 2 {
            let votes_for = |class: u32| trees.votes().iter().any(|v| v.class == class);
            if !base.is_empty() || !votes_for(0) || !votes_for(1) {
                return Err("two classes are supported with votes for both and no base values".to_owned());
            }
        }
        Ok(Self { trees: Arc::new(trees), labels, base, after })
    }

    /// The trees.
    pub fn trees(&self) -> &Trees {
        &self.trees
    }

    /// The label of each class.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// What each score begins with; empty for zeros.
    pub fn base(&self) -> &[f32] {
        &self.base
    }

    /// What is made of the sums.
    pub fn after(&self) -> AfterVotes {
        self.after
    }
}

impl Operator for TreeEnsembleClassifier {
    fn name(&self) -> &'static str {
        "TreeEnsembleClassifier"
    }

    fn domain(&self) -> &'static str {
        "ai.onnx.ml"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let count = self.trees.nodes();
        let ints = || Vec::with_capacity(count);
        let (mut tree_ids, mut node_ids, mut features) = (ints(), ints(), ints());
        let (mut yes_ids, mut no_ids, mut missing) = (ints(), ints(), ints());
        let (mut modes, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let votes = self.trees.votes().len();
        let mut vote_trees = Vec::with_capacity(votes);
        let mut vote_nodes = Vec::with_capacity(votes);
        for (tree, node, branch, votes) in self.trees.listed() {
            tree_ids.push(tree as i64);
            node_ids.push(i64::from(node));
            let (feature, mode, value, yes, no, missing_passes) = match branch {
                Branch::Test { feature, compare, value, yes, no, missing_passes } => {
                    (feature, compare.name(), value, yes, no, missing_passes)
                }
                Branch::Leaf => (0, "LEAF", 0.0, 0, 0, false),
            };
            features.push(i64::from(feature));
            modes.push(mode.to_owned());
            values.push(value);
            yes_ids.push(i64::from(yes));
            no_ids.push(i64::from(no));
            missing.push(i64::from(missing_passes));
            vote_trees.extend(votes.iter().map(|_| tree as i64));
            vote_nodes.extend(votes.iter().map(|_| i64::from(node)));
        }
        let votes = self.trees.votes();
        let mut all: AttributeList = Vec::new();
        if !self.base.is_empty() {
            all.push(("base_values", self.base.clone().into()));
        }
        all.push(("class_ids", votes.iter().map(|v| i64::from(v.class)).collect::<Vec<_>>().into()));
        all.push(("class_nodeids", vote_nodes.into()));
        all.push(("class_treeids", vote_trees.into()));
        all.push(("class_weights", votes.iter().map(|v| v.weight).collect::<Vec<_>>().into()));
        all.push(("classlabels_int64s", self.labels.clone().into()));
        all.push(("nodes_falsenodeids", no_ids.into()));
        all.push(("nodes_featureids", features.into()));
        if missing.contains(&1) {
            all.push(("nodes_missing_value_tracks_true", missing.into()));
        }
        all.push(("nodes_modes", Attribute::Texts(modes)));
        all.push(("nodes_nodeids", node_ids.into()));
        all.push(("nodes_treeids", tree_ids.into()));
        all.push(("nodes_truenodeids", yes_ids.into()));
        all.push(("nodes_values", values.into()));
        if self.after != AfterVotes::Nothing {
            all.push(("post_transform", AfterVotes::NAMES[self.after as usize].into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, &[DataType::F32])?;
        let x = given.shape(0)?;
        if x.rank() != 2 {
            return Err(format!("expected rows [N, F], found {x}"));
        }
        let features = self.trees.features();
        if let Some(found) = x.get(1)
            && found < features
        {
            return Err(format!("the trees look at {features} features, the rows have {found}"));
        }
        let rows = x.dims()[0];
        Ok(vec![
            Fact::new(DataType::I64, Shape::new(vec![rows])),
            Fact::new(DataType::F32, Shape::new(vec![rows, Dim::Fixed(self.labels.len())])),
        ])
    }
}

impl Read for TreeEnsembleClassifier {
    const NAMES: &'static [(&'static str, &'static str)] = &[("ai.onnx.ml", "TreeEnsembleClassifier")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // How often nodes are met says nothing about results.
        attributes.skip(&["nodes_hitrates", "nodes_hitrates_as_tensor"]);
        if attributes.has("classlabels_strings") {
            return Err(
                "the attribute `classlabels_strings`: labels that are texts are not supported, integers are"
                    .to_owned(),
            );
        }
        let after = match attributes.choice("post_transform", &AfterVotes::NAMES)? {
            1 => AfterVotes::Softmax,
            2 => AfterVotes::Logistic,
            _ => AfterVotes::Nothing,
        };
        let labels = attributes.ints("classlabels_int64s")?.unwrap_or_default();
        let base = attributes.floats("base_values")?.unwrap_or_default();
        let nodes = read_nodes(attributes)?;
        let weights = attributes.floats("class_weights")?.unwrap_or_default();
        let mut columns = Vec::new();
        for name in ["class_treeids", "class_nodeids", "class_ids"] {
            columns.push(column(attributes, name, weights.len())?);
        }
        if let Some(class) = columns[2].iter().find(|&&c| u32::try_from(c).is_err()) {
            return Err(format!("a vote is for class {class} of {}", labels.len()));
        }
        let votes = weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| (columns[0][i], columns[1][i], Vote { class: columns[2][i] as u32, weight }));
        Self::new(from_listed(nodes, votes)?, labels, base, after)
    }

    fn examples() -> Vec<Self> {
        let test = |feature, value, yes, no| {
            let compare = Compare::LessOrEqual;
            (Branch::Test { feature, compare, value, yes, no, missing_passes: false }, Vec::new())
        };
        let leaf = |votes: &[(u32, f32)]| {
            (Branch::Leaf, votes.iter().map(|&(class, weight)| Vote { class, weight }).collect())
        };
        let trees = vec![
            vec![
                test(0, 0.1, 1, 2),
                leaf(&[(0, 0.5)]),
                test(1, -0.2, 3, 4),
                leaf(&[(1, 0.25), (2, 0.25)]),
                leaf(&[(2, 0.5)]),
            ],
            vec![test(1, 0.0, 1, 2), leaf(&[(1, 0.5)]), leaf(&[(0, 0.125), (2, 0.375)])],
        ];
        let made = Trees::new(trees)
            .and_then(|trees| Self::new(trees, vec![0, 1, 2], Vec::new(), AfterVotes::Nothing));
        made.into_iter().collect()
    }
}

/// A list of integers with one for each of `len`.
fn column(attributes: &mut Attributes, name: &str, len: usize) -> Result<Vec<i64>, String> {
    let ints = attributes.ints(name)?.unwrap_or_default();
    if ints.len() == len {
        Ok(ints)
    } else {
        Err(format!("the attribute `{name}` has {} entries, expected {len}", ints.len()))
    }
}

/// The nodes of all trees.
fn read_nodes(attributes: &mut Attributes) -> Result<Vec<Listed>, String> {
    let modes = attributes.texts("nodes_modes")?.unwrap_or_default();
    let count = modes.len();
    let values = attributes.floats("nodes_values")?.unwrap_or_default();
    if values.len() != count {
        return Err(format!("the attribute `nodes_values` has {} entries, expected {count}", values.len()));
    }
    let mut columns = Vec::new();
    for name in
        ["nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"]
    {
        columns.push(column(attributes, name, count)?);
    }
    let missing = match attributes.ints("nodes_missing_value_tracks_true")? {
        Some(missing) if missing.len() == count => missing,
        Some(missing) if !missing.is_empty() => {
            return Err(format!(
                "the attribute `nodes_missing_value_tracks_true` has {} entries, expected {count}",
                missing.len()
            ));
        }
        _ => vec![0; count],
    };
    let node = |(i, mode): (usize, &String)| {
        let compare = Compare::ALL.iter().find(|(_, name)| name == mode).map(|(test, _)| *test);
        let test = match compare {
            None if mode == "LEAF" => None,
            None => return Err(format!("a node has the mode `{mode}`, which is not known")),
            Some(compare) => {
                let feature = u32::try_from(columns[2][i]).ok().filter(|&f| f < u32::MAX);
                let feature = feature.ok_or_else(|| format!("a node looks at feature {}", columns[2][i]))?;
                let missing_passes = missing[i] != 0;
                let test = Branch::Test { feature, compare, value: values[i], yes: 0, no: 0, missing_passes };
                Some((test, [columns[3][i], columns[4][i]]))
            }
        };
        Ok(Listed { tree: columns[0][i], node: columns[1][i], test })
    };
    modes.iter().enumerate().map(node).collect()
}

#[cfg(test)]
mod tests;

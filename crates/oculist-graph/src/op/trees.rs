//! Decision trees in the form that is computed: checked once, so that no walk leaves them or goes on forever.

use std::collections::{BTreeMap, btree_map};

/// The test of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `x <= value`.
    LessOrEqual,
    /// `x < value`.
    Less,
    /// `x >= value`.
    GreaterOrEqual,
    /// `x > value`.
    Greater,
    /// `x == value`.
    Equal,
    /// `x != value`.
    NotEqual,
}

impl Compare {
    /// All tests with their names in ONNX.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::LessOrEqual, "BRANCH_LEQ"),
        (Self::Less, "BRANCH_LT"),
        (Self::GreaterOrEqual, "BRANCH_GTE"),
        (Self::Greater, "BRANCH_GT"),
        (Self::Equal, "BRANCH_EQ"),
        (Self::NotEqual, "BRANCH_NEQ"),
    ];

    /// The name in ONNX.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(test, _)| *test == self).map_or("", |(_, name)| name)
    }

    /// Whether `x` passes.
    pub fn holds(self, x: f32, value: f32) -> bool {
        match self {
            Self::LessOrEqual => x <= value,
            Self::Less => x < value,
            Self::GreaterOrEqual => x >= value,
            Self::Greater => x > value,
            Self::Equal => x == value,
            Self::NotEqual => x != value,
        }
    }
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Branch {
    /// A test of a feature.
    Test {
        /// The feature.
        feature: u32,
        /// How it is compared.
        compare: Compare,
        /// What it is compared with.
        value: f32,
        /// The node behind, where the test holds.
        yes: u32,
        /// The node behind, where it does not.
        no: u32,
        /// Whether a NaN passes, whatever the test says of it.
        missing_passes: bool,
    },
    /// An end.
    Leaf,
}

/// What a leaf adds to the score of a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// The class.
    pub class: u32,
    /// What is added.
    pub weight: f32,
}

/// Checked trees, the nodes of each one behind the other, its root first.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    nodes: Vec<Branch>,
    /// Where each tree begins.
    roots: Vec<u32>,
    votes: Vec<Vote>,
    /// Where the votes of each node begin, and at last their number.
    first_vote: Vec<u32>,
    features: usize,
}

impl Trees {
    /// Trees from lists of nodes, the root of each first and numbers counted within the tree, with the votes of each node.
    ///
    /// # Errors
    /// A tree without nodes; a node that is not there, that two lead to, or that is not reached from the root (so that there
    /// are no cycles); a test with votes; a NaN.
    pub fn new(trees: Vec<Vec<(Branch, Vec<Vote>)>>) -> Result<Self, String> {
        let mut all = Self {
            nodes: Vec::new(),
            roots: Vec::with_capacity(trees.len()),
            votes: Vec::new(),
            first_vote: Vec::new(),
            features: 0,
        };
        for (number, tree) in trees.into_iter().enumerate() {
            let fail = |problem: String| Err(format!("tree {number}: {problem}"));
            let (first, count) = (all.nodes.len(), tree.len());
            if count == 0 {
                return fail("it has no node".to_owned());
            }
            let limit = u32::MAX as usize;
            if first + count > limit
                || all.votes.len() + tree.iter().map(|(_, v)| v.len()).sum::<usize>() > limit
            {
                return Err("there are more nodes or votes than can be counted".to_owned());
            }
            all.roots.push(first as u32);
            if tree.iter().flat_map(|(_, votes)| votes).any(|v| v.weight.is_nan()) {
                return fail("a vote is NaN".to_owned());
            }
            let mut parents = vec![0u8; count];
            for (i, (branch, votes)) in tree.into_iter().enumerate() {
                let branch = match branch {
                    Branch::Leaf => Branch::Leaf,
                    Branch::Test { feature, compare, value, yes, no, missing_passes } => {
                        if !votes.is_empty() {
                            return fail(format!("node {i} is a test and has votes"));
                        }
                        if value.is_nan() {
                            return fail(format!("node {i} compares with NaN"));
                        }
                        for child in [yes, no] {
                            match parents.get_mut(child as usize) {
                                Some(0) if child != 0 => parents[child as usize] = 1,
                                Some(_) => {
                                    return fail(format!(
                                        "node {i} leads to node {child}, which another node leads to or which is the root"
                                    ));
                                }
                                None => return fail(format!("node {i} leads to node {child} of {count}")),
                            }
                        }
                        all.features = all.features.max(feature as usize + 1);
                        let (yes, no) = (first as u32 + yes, first as u32 + no);
                        Branch::Test { feature, compare, value, yes, no, missing_passes }
                    }
                };
                all.nodes.push(branch);
                all.first_vote.push(all.votes.len() as u32);
                all.votes.extend(votes);
            }
            // Each node has one parent at the most, and the root has none: what is reached is a tree.
            let mut reached = 0;
            let mut open = vec![first as u32];
            while let Some(node) = open.pop() {
                reached += 1;
                if let Branch::Test { yes, no, .. } = all.nodes[node as usize] {
                    open.extend([yes, no]);
                }
            }
            if reached != count {
                return fail(format!("{} of {count} nodes are not reached from the first", count - reached));
            }
        }
        all.first_vote.push(all.votes.len() as u32);
        Ok(all)
    }

    /// The least number of features that rows must have.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of nodes of all trees.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// All votes.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether there is no tree.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The votes of the leaf of a tree that a row ends in.
    ///
    /// # Panics
    /// If there is no such tree, or the row has fewer features than [`Trees::features`].
    pub fn leaf(&self, tree: usize, row: &[f32]) -> &[Vote] {
        let mut at = self.roots[tree] as usize;
        while let Branch::Test { feature, compare, value, yes, no, missing_passes } = self.nodes[at] {
            let x = row[feature as usize];
            at = if compare.holds(x, value) || (missing_passes && x.is_nan()) { yes } else { no } as usize;
        }
        self.votes_of(at)
    }

    /// Every leaf: the number of its tree, and its votes.
    pub fn leaves(&self) -> impl Iterator<Item = (usize, &[Vote])> {
        let listed = self.listed().filter(|(_, _, branch, _)| *branch == Branch::Leaf);
        listed.map(|(tree, _, _, votes)| (tree, votes))
    }

    fn votes_of(&self, node: usize) -> &[Vote] {
        &self.votes[self.first_vote[node] as usize..self.first_vote[node + 1] as usize]
    }

    /// Every node: the number of its tree, its number in it, what it is with numbers in the tree, and its votes.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (usize, u32, Branch, &[Vote])> {
        self.roots.iter().enumerate().flat_map(move |(tree, &root)| {
            let end = self.roots.get(tree + 1).map_or(self.nodes.len(), |&next| next as usize);
            (root as usize..end).map(move |node| {
                let branch = match self.nodes[node] {
                    Branch::Test { feature, compare, value, yes, no, missing_passes } => {
                        let (yes, no) = (yes - root, no - root);
                        Branch::Test { feature, compare, value, yes, no, missing_passes }
                    }
                    Branch::Leaf => Branch::Leaf,
                };
                (tree, node as u32 - root, branch, self.votes_of(node))
            })
        })
    }
}

/// A node of a file: numbers are the file's own.
pub(crate) struct Listed {
    pub(crate) tree: i64,
    pub(crate) node: i64,
    /// The test and the two nodes behind; `None` for a leaf.
    pub(crate) test: Option<(Branch, [i64; 2])>,
}

/// Trees from the nodes and votes of a file, in any order, but for the root of each tree, which is its first.
///
/// # Errors
/// As [`Trees::new`], and for two nodes of one number and votes of a node that is not there.
pub(crate) fn from_listed(
    nodes: Vec<Listed>,
    votes: impl Iterator<Item = (i64, i64, Vote)>,
) -> Result<Trees, String> {
    // The number of each tree, and of each node in it.
    let mut numbers: BTreeMap<i64, usize> = BTreeMap::new();
    let mut places: BTreeMap<(i64, i64), (usize, u32)> = BTreeMap::new();
    let mut sizes: Vec<u32> = Vec::new();
    for listed in &nodes {
        let tree = *numbers.entry(listed.tree).or_insert_with(|| {
            sizes.push(0);
            sizes.len() - 1
        });
        match places.entry((listed.tree, listed.node)) {
            btree_map::Entry::Occupied(_) => {
                return Err(format!("tree {} has two nodes {}", listed.tree, listed.node));
            }
            btree_map::Entry::Vacant(place) => place.insert((tree, sizes[tree])),
        };
        sizes[tree] = sizes[tree].checked_add(1).ok_or("there are more nodes than can be counted")?;
    }
    let mut trees: Vec<Vec<(Branch, Vec<Vote>)>> = vec![Vec::new(); sizes.len()];
    for Listed { tree, node, test } in nodes {
        let branch = match test {
            None => Branch::Leaf,
            Some((mut branch, behind)) => {
                let place = |child: i64| {
                    let found = places.get(&(tree, child)).map(|&(_, at)| at);
                    found.ok_or_else(|| {
                        format!("tree {tree}: node {node} leads to node {child}, which is not there")
                    })
                };
                let [then, otherwise] = [place(behind[0])?, place(behind[1])?];
                if let Branch::Test { yes, no, .. } = &mut branch {
                    (*yes, *no) = (then, otherwise);
                }
                branch
            }
        };
        trees[numbers[&tree]].push((branch, Vec::new()));
    }
    for (tree, node, vote) in votes {
        let place = places.get(&(tree, node));
        let &(t, n) =
            place.ok_or_else(|| format!("a vote is of node {node} of tree {tree}, which is not there"))?;
        trees[t][n as usize].1.push(vote);
    }
    Trees::new(trees)
}

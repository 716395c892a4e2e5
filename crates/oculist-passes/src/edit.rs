//! Small graph queries and edits that several passes share.

use std::collections::{HashMap, HashSet};

use oculist_graph::Graph;

/// How often each value is read: once per input slot, once per graph output.
pub(crate) fn consumer_counts(graph: &Graph) -> Vec<usize> {
    let mut counts = vec![0; graph.values().len()];
    let reads = graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs());
    for v in reads {
        counts[v.index()] += 1;
    }
    counts
}

/// The names of a graph's values, for passes that add many.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The number at which the search for a free name goes on, by what was wished for.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Those of a graph.
    pub(crate) fn of(graph: &Graph) -> Self {
        Self { taken: graph.values().iter().map(|v| v.name.clone()).collect(), numbers: HashMap::new() }
    }

    /// `wish`, or `wish` with a number behind it if a value has that name already; from now on it is taken.
    pub(crate) fn fresh(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let number = self.numbers.entry(wish.to_owned()).or_insert(2);
        loop {
            let name = format!("{wish}.{number}");
            *number += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

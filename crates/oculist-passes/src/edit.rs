//! Small graph queries and edits that several passes share.

use std::collections::HashSet;

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

/// `wish`, or `wish` with a number behind it if a value has that name already.
pub(crate) fn fresh_name(graph: &Graph, wish: &str) -> String {
    if graph.find(wish).is_none() {
        return wish.to_owned();
    }
    let taken: HashSet<&str> = graph.values().iter().map(|v| v.name.as_str()).collect();
    let mut n = 2;
    loop {
        let name = format!("{wish}.{n}");
        if !taken.contains(name.as_str()) {
            return name;
        }
        n += 1;
    }
}

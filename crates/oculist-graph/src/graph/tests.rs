use crate::{
    Binary, Conv, Graph, GraphBuilder, GraphError, Node, Op, Shape, Tensor, Unary, ValueId, ValueKind,
};

/// input -> relu "a" -> relu "b" -> output, with a dead branch "dead" and an unused parameter.
fn chain() -> Graph {
    let mut g = Graph::new("chain");
    let x = g.add_input("x", Shape::nchw(2, 4, 4));
    let a = g.add_node("a", Op::Unary(Unary::Relu), vec![x]);
    let w = g.add_param("dead.weight", Tensor::filled(&[3, 2, 1, 1], 1.0));
    g.add_node("dead", Op::Conv(Conv::square(1, 1, 0)), vec![a, w]);
    let b = g.add_node("b", Op::Unary(Unary::Relu), vec![a]);
    g.add_param("unused", Tensor::filled(&[1], 0.0));
    g.set_outputs(vec![b]);
    g
}

fn names(g: &Graph) -> Vec<&str> {
    g.nodes().iter().map(|n| n.name.as_str()).collect()
}

#[test]
fn tidy_drops_dead_nodes_and_their_parameters() {
    let mut g = chain();
    g.tidy().unwrap();
    assert_eq!(names(&g), ["a", "b"]);
    assert_eq!(g.params().count(), 0);
    let values: Vec<&str> = g.values().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(values, ["x", "a.out", "b.out"]);
    g.check().unwrap();
}

#[test]
fn tidy_keeps_an_unused_input() {
    let mut g = chain();
    g.add_input("mask", Shape::nc(1));
    g.tidy().unwrap();
    assert_eq!(g.inputs().len(), 2);
    assert_eq!(g.value(g.inputs()[1]).name, "mask");
}

#[test]
fn tidy_sorts_and_leaves_a_sorted_list_alone() {
    let mut g = chain();
    g.tidy().unwrap();
    let sorted = g.clone();
    g.tidy().unwrap();
    assert_eq!(g, sorted);
    g.nodes.reverse();
    assert!(g.check().is_err());
    g.tidy().unwrap();
    assert_eq!(g, sorted);
}

#[test]
fn a_cycle_is_an_error_and_leaves_the_graph_as_it_was() {
    let mut g = chain();
    let b = g.outputs()[0];
    g.nodes[0].inputs[0] = b;
    let before = g.clone();
    let error = g.tidy().unwrap_err();
    assert!(
        matches!(&error, GraphError::Structure { problem, .. } if problem.contains("cycle") && problem.contains("`a`")),
        "{error}"
    );
    assert_eq!(g, before);
}

#[test]
fn a_missing_producer_is_an_error() {
    let mut g = chain();
    let orphan = g.add_activation("orphan");
    g.set_outputs(vec![orphan]);
    let before = g.clone();
    let error = g.tidy().unwrap_err().to_string();
    assert!(error.contains("output `orphan` has no producer"), "{error}");
    assert_eq!(g, before);

    let mut g = chain();
    let orphan = g.add_activation("orphan");
    g.nodes[0].inputs[0] = orphan;
    assert!(g.tidy().unwrap_err().to_string().contains("missing producer"));
}

#[test]
fn tidy_infers_again_after_an_edit() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 8, 8);
    let y = b.conv("conv", x, 4, Conv::square(3, 1, 1), false);
    let y = b.relu("relu", y);
    let mut g = b.finish(y).unwrap();
    let weight = g.find("conv.weight").unwrap();
    let pruned = g.param(weight).unwrap().select(0, &[0, 3]);
    g.set_param(weight, pruned);
    assert!(g.check().unwrap_err().to_string().contains("out of date"));
    g.tidy().unwrap();
    g.check().unwrap();
    assert_eq!(g.shape(g.outputs()[0]), &Shape::nchw(2, 8, 8));
}

#[test]
fn tidy_reports_shapes_that_no_longer_fit() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 8, 8);
    let y = b.conv("conv", x, 4, Conv::square(3, 1, 1), false);
    let mut g = b.finish(y).unwrap();
    let weight = g.find("conv.weight").unwrap();
    g.set_param(weight, Tensor::filled(&[4, 2, 3, 3], 0.0));
    assert!(g.tidy().unwrap_err().to_string().contains("node `conv` (Conv): input has 3 channels"));
}

#[test]
fn replace_uses_redirects_readers_and_outputs() {
    let mut g = chain();
    let (x, a) = (g.find("x").unwrap(), g.find("a.out").unwrap());
    g.replace_uses(a, x);
    g.tidy().unwrap();
    assert_eq!(names(&g), ["b"]);
    let b = g.find("b.out").unwrap();
    let x = g.find("x").unwrap();
    g.replace_uses(b, x);
    g.tidy().unwrap();
    assert_eq!(g.outputs(), g.inputs());
}

#[test]
fn producers_and_consumers_are_tables_by_value() {
    let mut g = Graph::new("square");
    let x = g.add_input("x", Shape::nchw(1, 2, 2));
    let y = g.add_node("mul", Op::Binary(Binary::Mul), vec![x, x]);
    let z = g.add_node("add", Op::Binary(Binary::Add), vec![y, x]);
    g.set_outputs(vec![z]);
    g.tidy().unwrap();
    assert_eq!(g.producers(), [None, Some(0), Some(1)]);
    assert_eq!(g.consumers(), [vec![0, 1], vec![1], vec![]]);
    assert_eq!(g.value_ids().map(ValueId::index).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn parameters_are_read_and_written_in_place() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("image", 1, 4, 6);
    let y = b.conv("conv", x, 2, Conv::square(1, 1, 0), true);
    let mut g = b.finish(y).unwrap();
    let bias = g.find("conv.bias").unwrap();
    g.param_mut(bias).unwrap().as_f32_mut().unwrap()[1] = 7.0;
    assert_eq!(g.param(bias).unwrap().as_f32().unwrap(), [0.0, 7.0]);
    let image = g.inputs()[0];
    assert!(g.param(image).is_none() && g.param_mut(image).is_none());
    assert_eq!(g.input_chw(), Some((1, 4, 6)));
    assert_eq!(g.params().map(|(_, v, _)| v.name.as_str()).collect::<Vec<_>>(), ["conv.weight", "conv.bias"]);
    assert!(g.find("conv.gamma").is_none());
}

#[test]
fn the_builder_keeps_the_first_error() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 4, 4);
    let y = b.conv("first", x, 8, Conv::square(7, 1, 0), false);
    let y = b.max_pool("second", y, 2, 2, 0);
    let error = b.finish(y).unwrap_err().to_string();
    assert!(error.starts_with("node `first` (Conv)"), "{error}");
}

/// The order that passes over the list give, made by making them.
fn by_passes(graph: &Graph) -> Vec<String> {
    let mut ready: Vec<bool> =
        graph.values().iter().map(|v| !matches!(v.kind, ValueKind::Activation)).collect();
    let mut waiting: Vec<&Node> = graph.nodes().iter().collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        waiting.retain(|node| {
            let go = node.inputs.iter().all(|v| ready[v.index()]);
            if go {
                ready[node.output().index()] = true;
                order.push(node.name.clone());
            }
            !go
        });
    }
    order
}

#[test]
fn tidy_gives_the_order_of_passes_over_the_list() {
    let mut state = 5u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for case in 0..60 {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", Shape::nc(3));
        let mut values = vec![x];
        for i in 0..=case {
            let (a, b) = (values[random(values.len())], values[random(values.len())]);
            values.push(graph.add_node(format!("n{i}"), Op::Binary(Binary::Add), vec![a, b]));
        }
        graph.set_outputs(values[1..].to_vec());
        let n = graph.nodes().len();
        for i in 0..n {
            graph.nodes.swap(i, random(n));
        }
        let want = by_passes(&graph);
        graph.tidy().unwrap();
        let got: Vec<String> = graph.nodes().iter().map(|n| n.name.clone()).collect();
        assert_eq!(got, want, "case {case}");
        graph.check().unwrap();
    }
}

#[test]
fn uses_are_replaced_everywhere() {
    let mut graph = Graph::new("net");
    let (x, y) = (graph.add_input("x", Shape::nc(3)), graph.add_input("y", Shape::nc(3)));
    let sum = graph.add_node("sum", Op::Binary(Binary::Add), vec![x, x]);
    graph.set_outputs(vec![sum, x]);
    graph.replace_uses(x, y);
    assert_eq!((&graph.nodes()[0].inputs, graph.outputs()), (&[y, y].into(), &[sum, y][..]));
}

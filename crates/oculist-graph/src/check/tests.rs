use crate::{Binary, Conv, Graph, GraphBuilder, Op, Shape, Tensor};

fn good() -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 8, 8);
    let y = b.conv("conv", x, 4, Conv::square(3, 2, 1), false);
    let y = b.batch_norm("bn", y, 1e-5, 0.9);
    let y = b.relu("relu", y);
    b.finish(y).unwrap()
}

#[track_caller]
fn refused(edit: impl FnOnce(&mut Graph), words: &str) {
    let mut g = good();
    g.check().unwrap();
    edit(&mut g);
    let error = g.check().expect_err("must be refused").to_string();
    assert!(error.contains(words), "expected `{words}` in: {error}");
}

#[test]
fn every_violation_is_named() {
    refused(|g| g.set_outputs(vec![]), "expected outputs, found none");
    refused(|g| g.values[1].name = "x".into(), "two values are named `x`");
    refused(|g| g.nodes[1].name = "conv".into(), "two nodes are named `conv`");
    refused(|g| g.nodes.swap(0, 1), "node `bn` reads `conv.out` before it is produced");
    refused(|g| g.nodes[2].outputs = g.nodes[1].outputs.clone(), "value `bn.out` has two producers");
    refused(
        |g| {
            let orphan = g.add_activation("orphan");
            g.set_outputs(vec![orphan]);
        },
        "output `orphan` has no producer",
    );
    refused(
        |g| {
            let v = g.find("relu.out").unwrap();
            g.values[v.0].shape = Some(Shape::nchw(4, 5, 4));
        },
        "the stored shape of `relu.out` is out of date",
    );
    refused(
        |g| {
            let v = g.find("bn.out").unwrap();
            g.values[v.0].shape = None;
        },
        "the stored shape of `bn.out` is out of date",
    );
    refused(|g| g.nodes[2].op = Op::Binary(Binary::Add), "node `relu` (Add): expected 2 inputs, found 1");
}

#[test]
fn a_parameter_that_is_not_finite_is_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        refused(
            |g| {
                let v = g.find("bn.weight").unwrap();
                g.param_mut(v).unwrap().as_f32_mut().unwrap()[2] = bad;
            },
            "parameter `bn.weight` holds",
        );
    }
}

#[test]
fn a_variance_that_has_no_root_is_named() {
    let set = |g: &mut Graph, variance: f32| {
        let v = g.find("bn.running_var").unwrap();
        g.param_mut(v).unwrap().as_f32_mut().unwrap()[1] = variance;
    };
    for bad in [-1.0, -1e-5, -3e38] {
        refused(|g| set(g, bad), "node `bn`: parameter `bn.running_var` holds the variance");
    }
    // What rounding leaves below zero is no harm where epsilon is more.
    for fine in [0.0, -9e-6, 1e30] {
        let mut g = good();
        set(&mut g, fine);
        g.check().unwrap();
    }
}

#[test]
fn a_mask_of_minus_infinity_is_no_weight() {
    let masked = |op: Binary, hidden: f32| {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", Shape::nc(2));
        let mask = graph.add_param("mask", Tensor::f32(&[2], vec![0.0, hidden]));
        let y = graph.add_node("masked", op, [x, mask]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    };
    let graph = masked(Binary::Add, f32::NEG_INFINITY);
    graph.check().unwrap();
    assert_eq!((graph.is_weight_at(&graph.nodes()[0], 1), graph.cost().params), (false, 0));
    // The same vector of finite numbers is a bias.
    let graph = masked(Binary::Add, -1.0);
    assert_eq!((graph.is_weight_at(&graph.nodes()[0], 1), graph.cost().params), (true, 2));
}

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
fn masks_and_single_numbers_are_no_weights() {
    let with = |op: Binary, constant: Tensor| {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", Shape::nc(2));
        let mask = graph.add_param("mask", constant);
        let y = graph.add_node("masked", op, [x, mask]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    };
    let found = |op: Binary, constant: Tensor| {
        let graph = with(op, constant);
        graph.check().unwrap();
        (graph.is_weight_at(&graph.nodes()[0], 1), graph.cost().params)
    };
    let pair = |hidden: f32| Tensor::f32(&[2], vec![0.0, hidden]);
    for hidden in [f32::NEG_INFINITY, f32::MIN, -1e9, -1e4] {
        assert_eq!(found(Binary::Add, pair(hidden)), (false, 0), "{hidden}");
    }
    assert_eq!(found(Binary::Sub, pair(1e4)), (false, 0));
    assert_eq!(found(Binary::Mul, Tensor::f32(&[2, 2], vec![1.0, 0.0, 1.0, 1.0])), (false, 0));
    assert_eq!(found(Binary::Add, Tensor::f32(&[2, 2], vec![1.0, 0.0, 1.0, 1.0])), (true, 4));
    // The same vector of small numbers is a bias.
    assert_eq!(found(Binary::Add, pair(-1.0)), (true, 2));
    // Factors of a formula, in whatever shape an exporter writes them.
    for shape in [&[][..], &[1], &[1, 1]] {
        for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div] {
            assert_eq!(found(op, Tensor::f32(shape, vec![0.5])), (false, 0), "{op:?} {shape:?}");
        }
    }
}

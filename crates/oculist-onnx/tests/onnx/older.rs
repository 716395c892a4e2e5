//! What is newer than a file is written in operators that it has, and ONNX Runtime computes the same of them.

use oculist_graph::{
    Concat, DataType, Dim, Gemm, Graph, GraphBuilder, GroupNormalization, LayerNormalization, Op, Reshape,
    RmsNormalization, Shape, ShapeOf, Tensor, Unary, Variadic,
};
use oculist_onnx::{ExportOptions, export, from_bytes};
use oculist_testing::interpret::Array;

use crate::cases::{floats, input, positive};
use crate::compare::difference;
use crate::oracle::run;

const SHAPE: [usize; 4] = [2, 4, 3, 5];

/// A graph of one operator with parameters of the given shapes, in opset 9.
fn graph(op: impl Into<Op>, params: &[&[usize]], outputs: usize) -> Graph {
    let mut graph = Graph::new("net");
    graph.set_opset(9);
    let x = graph.add_input("x", Shape::fixed(&SHAPE));
    let mut inputs = vec![x];
    for (i, shape) in params.iter().enumerate() {
        let tensor = if i == 0 { positive("gamma", shape) } else { floats("beta", shape) };
        inputs.push(graph.add_param(["gamma", "beta"][i], tensor));
    }
    let values: Vec<_> = (0..outputs).map(|i| graph.add_activation(format!("y{i}"))).collect();
    let mut edit = graph.edit();
    edit.push(oculist_graph::Node {
        name: "node".to_owned(),
        op: op.into(),
        inputs: inputs.into(),
        outputs: values.clone(),
    });
    graph.set_outputs(values);
    graph.tidy().unwrap_or_else(|e| panic!("{e}"));
    graph
}

fn all() -> Vec<(&'static str, Graph)> {
    let layer = |axis, stash| LayerNormalization { axis, epsilon: 1e-3, stash };
    let group = |per_group| GroupNormalization { groups: 2, epsilon: 1e-3, stash: DataType::F32, per_group };
    let rms = RmsNormalization { axis: 2, epsilon: 1e-3, stash: DataType::F32 };
    vec![
        ("gelu", graph(Unary::Gelu { tanh: false }, &[], 1)),
        ("gelu_tanh", graph(Unary::Gelu { tanh: true }, &[], 1)),
        ("hard_swish", graph(Unary::HardSwish, &[], 1)),
        ("mish", graph(Unary::Mish, &[], 1)),
        ("silu", graph(Unary::Swish { alpha: 1.0 }, &[], 1)),
        ("swish", graph(Unary::Swish { alpha: 1.7 }, &[], 1)),
        ("layer_norm", graph(layer(-1, DataType::F32), &[&[5], &[5]], 1)),
        ("layer_norm_wide", graph(layer(1, DataType::F64), &[&[4, 3, 5]], 1)),
        ("layer_norm_statistics", graph(layer(2, DataType::F32), &[&[3, 5], &[5]], 3)),
        ("rms_norm", graph(rms, &[&[3, 5]], 1)),
        ("group_norm", graph(group(false), &[&[4], &[4]], 1)),
        ("group_norm_per_group", graph(group(true), &[&[2], &[2]], 1)),
    ]
}

/// All outputs of a graph, by the plain kernels.
fn plain(graph: &Graph, x: &Array) -> Vec<Array> {
    let values = x.data().iter().map(|&v| v as f32).collect();
    let ctx = oculist_kernels::Context::new(1).expect("one thread");
    let outputs = oculist_plain::run(&ctx, graph, vec![Tensor::f32(x.shape(), values)]).expect("a run");
    outputs.iter().map(|t| Array::from_f32(t.shape(), t.as_f32().expect("floats"))).collect()
}

#[test]
fn newer_operators_are_written_in_older_ones() {
    let x = input("x", &SHAPE);
    let cases = all();
    for (name, graph) in &cases {
        let written = export(graph, ExportOptions::default()).unwrap();
        assert_eq!((written.opset, &written.raised), (9, &None), "{name}");
        let back = from_bytes(&written.bytes).unwrap();
        assert!(back.nodes().len() > 1 && back.nodes().iter().any(|node| node.name == "node"), "{name}");
        let names =
            |g: &Graph| -> Vec<String> { g.outputs().iter().map(|&v| g.value(v).name.clone()).collect() };
        assert_eq!(names(&back), names(graph), "{name}");
        for (got, want) in plain(&back, &x).iter().zip(plain(graph, &x)) {
            assert_eq!(difference(got, &want), None, "{name}");
        }
        // A file that has the operator keeps it.
        let newest = export(graph, ExportOptions::default().with_opset(24)).unwrap();
        let kept = from_bytes(&newest.bytes).unwrap();
        let per_group = name.ends_with("per_group");
        assert_eq!(kept.nodes().len() == 1, !per_group, "{name}");
    }
    let inputs = [x.clone()];
    let graphs: Vec<_> = cases.iter().map(|(_, graph)| (graph, &inputs[..])).collect();
    for optimised in [false, true] {
        let Some(answers) = run(&graphs, optimised) else { return };
        for ((name, graph), answer) in cases.iter().zip(&answers) {
            let negated = Array::from_fn(x.shape(), |i| -x.data()[i]);
            for (got, (want, other)) in
                answer.outputs.iter().zip(plain(graph, &x).iter().zip(plain(graph, &negated)))
            {
                assert_eq!(difference(got, want), None, "{name}, optimised: {optimised}");
                // The deviation alone is the same for both.
                if difference(want, &other).is_some() {
                    assert!(difference(got, &other).is_some(), "{name}: another input passes");
                }
            }
        }
    }
}

#[test]
fn parts_of_shapes_and_zeros_in_targets() {
    let mut graph = Graph::new("net");
    graph.set_opset(13);
    let x = graph.add_input("x", Shape::new(vec![Dim::Batch, Dim::Fixed(4), Dim::Fixed(6)]));
    let part = graph.add_node("part", ShapeOf { start: 1, end: Some(-1) }, [x]);
    let rest = graph.add_param("rest", Tensor::ints(vec![-1]));
    let target = graph.add_node("target", Concat { axis: 0 }, [rest, part]);
    let y = graph.add_node("computed", Reshape { allow_zero: false }, [x, target]);
    let fixed = graph.add_param("fixed", Tensor::ints(vec![-1, 12]));
    let y = graph.add_node("constant", Reshape { allow_zero: true }, [y, fixed]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let written = export(&graph, ExportOptions::default()).unwrap();
    assert_eq!((written.opset, written.raised), (13, None));
    let back = from_bytes(&written.bytes).unwrap();
    let x = input("x", &[2, 4, 6]);
    assert_eq!(difference(&plain(&back, &x)[0], &plain(&graph, &x)[0]), None);
    let Some(answers) = run(&[(&graph, std::slice::from_ref(&x))], false) else { return };
    assert_eq!(difference(&answers[0].outputs[0], &plain(&graph, &x)[0]), None);
    // A target with a zero means something else without it.
    let mut zero = Graph::new("net");
    zero.set_opset(13);
    let x = zero.add_input("x", Shape::fixed(&[0, 4]));
    let target = zero.add_param("target", Tensor::ints(vec![4, 0]));
    let y = zero.add_node("zero", Reshape { allow_zero: true }, [x, target]);
    zero.set_outputs(vec![y]);
    zero.tidy().unwrap();
    assert_eq!(export(&zero, ExportOptions::default()).unwrap().opset, 14);
}

#[test]
fn numbers_that_an_opset_does_not_know_raise_it() {
    let of = |dtype| {
        let mut graph = Graph::new("net");
        graph.set_opset(9);
        let x = graph.add_typed_input("x", dtype, Shape::fixed(&SHAPE));
        let y = graph.add_node("node", Unary::Gelu { tanh: true }, [x]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    };
    for (dtype, opset) in [(DataType::F16, 9), (DataType::BF16, 13)] {
        let graph = of(dtype);
        assert_eq!(export(&graph, ExportOptions::default()).unwrap().opset, opset, "{dtype:?}");
        let asked = export(&graph, ExportOptions::default().with_opset(9)).map(|e| e.opset);
        assert_eq!(asked.is_ok(), opset == 9, "{asked:?}");
    }
}

#[test]
fn only_what_is_too_new_is_taken_apart() {
    // Trilu needs opset 14, which has HardSwish but not GELU.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 4, 4);
    let y = b.op("swish", Unary::HardSwish, &[x]);
    let y = b.op("gelu", Unary::Gelu { tanh: false }, &[y]);
    let y = b.op("upper", oculist_graph::Trilu { upper: true }, &[y]);
    let mut graph = b.finish(y).unwrap();
    graph.set_opset(11);
    let written = export(&graph, ExportOptions::default()).unwrap();
    assert_eq!(written.opset, 14);
    assert_eq!(written.raised.as_deref(), Some("node `upper`: Trilu needs opset 14"));
    let back = from_bytes(&written.bytes).unwrap();
    let kinds: Vec<&str> = back.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(kinds, ["HardSwish", "Div", "Erf", "Add", "Mul", "Mul", "Trilu"]);
    let error = export(&graph, ExportOptions::default().with_opset(13)).unwrap_err().to_string();
    assert!(error.contains("Trilu needs opset 14, the model is to be written in 13"), "{error}");
}

#[test]
fn what_older_opsets_did_not_broadcast_or_leave_out_asks_for_newer_ones() {
    let of = |shape: &[usize], bias: bool| {
        let mut graph = Graph::new("net");
        graph.set_opset(7);
        let x = graph.add_input("x", Shape::fixed(&[1, 2]));
        let least = graph.add_param("least", Tensor::f32(shape, vec![0.5; shape.iter().product()]));
        let y = graph.add_node("max", Variadic::Max, vec![x, least]);
        let w = graph.add_param("w", Tensor::f32(&[3, 2], vec![1.0; 6]));
        let c = graph.add_param("c", Tensor::f32(&[3], vec![1.0; 3]));
        let y = graph.add_node("gemm", Gemm::LINEAR, if bias { vec![y, w, c] } else { vec![y, w] });
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        export(&graph, ExportOptions::default()).unwrap()
    };
    let equal = of(&[1, 2], true);
    assert_eq!((equal.opset, equal.raised), (7, None));
    let raised = |shape: &[usize], bias| of(shape, bias).raised.unwrap_or_default();
    assert_eq!(raised(&[], true), "node `max`: Max of shapes that differ needs opset 8");
    assert_eq!(raised(&[1, 2], false), "node `gemm`: Gemm without a bias needs opset 11");
}

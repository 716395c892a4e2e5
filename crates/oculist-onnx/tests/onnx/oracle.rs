//! ONNX's own checker and ONNX Runtime on the written files, against the naive interpreter on the graph.

use std::path::Path;

use oculist_graph::{Graph, Op, Tensor};
use oculist_onnx::write;
use oculist_testing::interpret::{self, Array};
use oculist_testing::python;
use serde_json::{Value, json};

use crate::cases::{self, Case};
use crate::compare::difference;
use crate::networks;

pub(crate) fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

pub(crate) fn array_from_json(value: &Value) -> Array {
    let numbers = |key: &str| value[key].as_array().unwrap_or_else(|| panic!("no {key} in {value}"));
    let shape: Vec<usize> = numbers("shape").iter().map(|v| v.as_u64().unwrap() as usize).collect();
    Array::new(&shape, numbers("data").iter().map(|v| v.as_f64().unwrap()).collect())
}

pub(crate) fn array_to_json(array: &Array) -> Value {
    json!({"shape": array.shape(), "data": array.data()})
}

/// The first output of a graph with one input, by the plain kernels: they know every operator that is imported.
pub(crate) fn plain(graph: &Graph, input: &Array) -> Array {
    let values = input.data().iter().map(|&v| v as f32).collect();
    let ctx = oculist_kernels::Context::new(1).expect("one thread");
    let outputs = oculist_plain::run(&ctx, graph, vec![Tensor::f32(input.shape(), values)])
        .unwrap_or_else(|e| panic!("{e}\n{}", graph.dump()));
    Array::from_f32(outputs[0].shape(), outputs[0].as_f32().expect("floats"))
}

/// What ONNX Runtime made of a model.
pub(crate) struct Answer {
    pub(crate) outputs: Vec<Array>,
    /// How often each operator runs after ONNX Runtime's own optimisation.
    ops: Value,
}

/// Checks and runs the graphs in one Python process.
///
/// With `optimised`, ONNX Runtime may fuse, as it does for its users; without, each operator runs by itself.
pub(crate) fn run(graphs: &[(&Graph, &[Array])], optimised: bool) -> Option<Vec<Answer>> {
    let folder = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    for (i, (graph, inputs)) in graphs.iter().enumerate() {
        let path = folder.path().join(format!("{i}.onnx"));
        write(graph, &path).unwrap();
        let names: Vec<&str> = graph.inputs().iter().map(|&v| graph.value(v).name.as_str()).collect();
        let arrays: Vec<Value> = inputs.iter().map(array_to_json).collect();
        jobs.push(json!({"model": path, "names": names, "inputs": arrays, "optimised": optimised}));
    }
    let list = folder.path().join("jobs.json");
    std::fs::write(&list, serde_json::to_vec(&jobs).unwrap()).unwrap();
    let results = python::run_file(&script("run_models.py"), [&list])?.expect_success().json();
    let results = results.as_array().expect("a list");
    assert_eq!(results.len(), graphs.len());
    let answer = |r: &Value| Answer {
        outputs: r["outputs"].as_array().expect("a list").iter().map(array_from_json).collect(),
        ops: r["ops"].clone(),
    };
    Some(results.iter().map(answer).collect())
}

#[test]
fn onnx_runtime_computes_what_every_operator_means() {
    let cases = cases::all();
    let jobs: Vec<(&Graph, &[Array])> = cases.iter().map(|c| (&c.graph, c.inputs.as_slice())).collect();
    let Some(results) = run(&jobs, false) else { return };
    for (Case { name, graph, wrong, inputs }, Answer { outputs, .. }) in cases.iter().zip(&results) {
        let compare = |graph: &Graph| {
            let ours = interpret::run(graph, inputs);
            assert_eq!(outputs.len(), graph.outputs().len());
            (0..outputs.len()).find_map(|i| difference(&outputs[i], ours.output(i)))
        };
        assert_eq!(compare(graph), None, "{name}");
        assert!(compare(wrong).is_some(), "{name}: the neighbour passes, so the comparison sees nothing");
    }
}

#[test]
fn onnx_runtime_computes_the_same_for_whole_networks() {
    let inputs = [cases::input("image", &[3, 3, 12, 12])];
    let float = networks::residual(2, [4, 8, 12], 12);
    let int8 = networks::residual_int8(2, [4, 8, 12], 12);
    // What ONNX Runtime answers must not depend on the processor that this runs on.
    assert!(pairs_fit_16_bits(&int8));
    let jobs: Vec<(&Graph, &[Array])> = vec![(&float, &inputs), (&int8, &inputs)];
    for optimised in [false, true] {
        let Some(results) = run(&jobs, optimised) else { return };
        for ((graph, _), answer) in jobs.iter().zip(&results) {
            let ours = interpret::run(graph, &inputs);
            assert_eq!(difference(&answer.outputs[0], ours.output(0)), None, "optimised: {optimised}");
        }
        // The networks have the same shapes, so only the values can tell them apart.
        assert!(difference(&results[0].outputs[0], interpret::run(&int8, &inputs).output(0)).is_some());
        // Users get integer arithmetic: no convolution is left in floats.
        let convolutions = int8.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_))).count();
        let ops = &results[1].ops;
        assert_eq!(ops["QLinearConv"].as_u64(), optimised.then_some(convolutions as u64), "{ops}");
        assert_eq!(ops["Conv"].as_u64(), (!optimised).then_some(convolutions as u64), "{ops}");
    }
}

/// Whether two products of any byte and any two weights of the graph add up in 16 bits.
fn pairs_fit_16_bits(graph: &Graph) -> bool {
    let largest = |t: &Tensor| {
        t.as_i8().map_or(0, |v| v.iter().map(|w| i32::from(w.unsigned_abs())).max().unwrap_or(0))
    };
    graph.params().all(|(_, _, t)| 2 * 255 * largest(t) <= i32::from(i16::MAX))
}

#[test]
fn full_bytes_as_weights_would_depend_on_the_machine() {
    let mut graph = networks::residual_int8(1, [4, 4, 4], 8);
    assert!(pairs_fit_16_bits(&graph));
    let weight = graph.params().find(|(_, _, t)| t.as_i8().is_some_and(|v| v.len() > 16)).expect("a weight");
    let (id, mut values) = (weight.0, weight.2.as_i8().expect("bytes").to_vec());
    let shape = weight.2.shape().to_vec();
    values[0] = 65;
    graph.set_param(id, Tensor::i8(&shape, values));
    assert!(!pairs_fit_16_bits(&graph));
}

#[test]
fn the_batch_is_free() {
    let graph = networks::residual(1, [4, 4, 4], 8);
    let (one, five) = ([cases::input("one", &[1, 3, 8, 8])], [cases::input("five", &[5, 3, 8, 8])]);
    let Some(results) = run(&[(&graph, &one), (&graph, &five)], true) else { return };
    assert_eq!(results[0].outputs[0].shape(), &[1, 10]);
    assert_eq!(results[1].outputs[0].shape(), &[5, 10]);
    assert_eq!(difference(&results[1].outputs[0], interpret::run(&graph, &five).output(0)), None);
}

//! ONNX's own checker and ONNX Runtime on the written files, against the naive interpreter on the graph.

use std::path::Path;

use oculist_graph::Graph;
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

/// Checks and runs the graphs in one Python process: `result[graph][output]`.
///
/// With `optimised`, ONNX Runtime may fuse, as it does for its users; without, each operator runs by itself.
fn run(graphs: &[(&Graph, &[Array])], optimised: bool) -> Option<Vec<Vec<Array>>> {
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
    Some(
        results.iter().map(|r| r.as_array().expect("a list").iter().map(array_from_json).collect()).collect(),
    )
}

#[test]
fn onnx_runtime_computes_what_every_operator_means() {
    let cases = cases::all();
    let jobs: Vec<(&Graph, &[Array])> = cases.iter().map(|c| (&c.graph, c.inputs.as_slice())).collect();
    let Some(results) = run(&jobs, false) else { return };
    for (Case { name, graph, wrong, inputs }, outputs) in cases.iter().zip(&results) {
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
    let jobs: Vec<(&Graph, &[Array])> = vec![(&float, &inputs), (&int8, &inputs)];
    for optimised in [false, true] {
        let Some(results) = run(&jobs, optimised) else { return };
        for ((graph, _), outputs) in jobs.iter().zip(&results) {
            let ours = interpret::run(graph, &inputs);
            assert_eq!(difference(&outputs[0], ours.output(0)), None, "optimised: {optimised}");
        }
        // The networks have the same shapes, so only the values can tell them apart.
        assert!(difference(&results[0][0], interpret::run(&int8, &inputs).output(0)).is_some());
    }
}

#[test]
fn the_batch_is_free() {
    let graph = networks::residual(1, [4, 4, 4], 8);
    let (one, five) = ([cases::input("one", &[1, 3, 8, 8])], [cases::input("five", &[5, 3, 8, 8])]);
    let Some(results) = run(&[(&graph, &one), (&graph, &five)], true) else { return };
    assert_eq!(results[0][0].shape(), &[1, 10]);
    assert_eq!(results[1][0].shape(), &[5, 10]);
    assert_eq!(difference(&results[1][0], interpret::run(&graph, &five).output(0)), None);
}

//! Attached, trained and merged.

use oculist_graph::{Flatten, GlobalPool, GraphBuilder};
use oculist_testing::formula;

use super::*;
use crate::test_models as models;
use crate::test_models::{distance, output};

fn attached(graph: &Graph, alpha: f32) -> (Graph, Vec<Adapter>) {
    let init = |name: &str, shape: &[usize]| formula::tensor(name, shape.iter().product());
    attach_adapters(graph, AdapterOptions { rank: 2, alpha }, |_| true, init).unwrap()
}

/// With a `B` that does something.
fn trained(graph: &Graph, alpha: f32) -> (Graph, Vec<Adapter>) {
    let (mut graph, adapters) = attached(graph, alpha);
    for adapter in &adapters {
        let b = graph.find(&adapter.b).unwrap();
        let shape = graph.param(b).unwrap().shape().to_vec();
        let numbers = formula::tensor(&adapter.b, shape.iter().product());
        graph.set_param(b, Tensor::f32(&shape, numbers.iter().map(|x| 0.1 * x).collect()));
    }
    (graph, adapters)
}

fn small() -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 4, 4);
    let y = b.conv("conv", x, 4, Conv::square(3, 2, 1), true);
    let y = b.relu("relu", y);
    let y = b.op("pool", GlobalPool::Average, &[y]);
    let y = b.op("flatten", Flatten::IMAGES, &[y]);
    let out = b.linear("fc", y, 3);
    models::fill(b.finish(out).unwrap())
}

#[test]
fn attached_computes_the_same_and_merged_what_was_trained() {
    for graph in models::all() {
        for alpha in [2.0, 5.0] {
            let (zero, adapters) = attached(&graph, alpha);
            assert!(!adapters.is_empty(), "{}", graph.name());
            assert!(distance(&output(&zero), &output(&graph)) < 1e-6, "{}", graph.name());
            let (adapted, _) = trained(&graph, alpha);
            let merged = merge_adapters(&adapted).unwrap();
            assert_eq!(merged.nodes().len(), graph.nodes().len(), "{}", graph.name());
            assert_eq!(merged.dump(), graph.dump(), "{}: the structure is the old one", graph.name());
            let off = distance(&output(&merged), &output(&adapted));
            assert!(off < 1e-5, "{}: {off}", graph.name());
            // The twin: without the product the answers are others.
            assert!(distance(&output(&graph), &output(&adapted)) > 1e-3, "{}", graph.name());
        }
    }
}

#[test]
fn dump_before_and_after() {
    let (adapted, adapters) = trained(&small(), 4.0);
    assert_eq!(adapters.len(), 2);
    assert_eq!(adapters[0].a, "conv.weight.lora_a");
    let text = adapted.dump();
    for line in [
        "conv.lora_a.out: f32[N, 2, 2, 2] = Conv[",
        "conv.lora_scale.out: f32[N, 2, 2, 2] = Mul(conv.lora_a.out, conv.weight.lora_scale",
        "conv.lora_b.out: f32[N, 4, 2, 2] = Conv[kernel_shape=[1, 1]](conv.lora_scale.out, conv.weight.lora_b f32[4, 2, 1, 1])",
        "conv.out: f32[N, 4, 2, 2] = Add(conv.out.base, conv.lora_b.out)",
        "fc.lora_b.out: f32[N, 3] = Gemm",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(merge_adapters(&adapted).unwrap().dump(), small().dump());
}

#[test]
fn grouped_and_shared_layers_get_none_and_other_sums_stay() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 4, 4);
    let y = b.conv("grouped", x, 4, Conv::square(3, 1, 1).with_groups(4), false);
    let z = b.conv("plain", x, 4, Conv::square(1, 1, 0), false);
    let out = b.add("add", y, z);
    let graph = models::fill(b.finish(out).unwrap());
    let (_, adapters) = attached(&graph, 2.0);
    assert_eq!(adapters.iter().map(|a| a.weight.as_str()).collect::<Vec<_>>(), ["plain.weight"]);
    assert_eq!(merge_adapters(&graph).unwrap(), graph, "two layers beside each other are no adapter");
    // What else reads the inside of a path keeps it.
    let (mut adapted, _) = trained(&small(), 2.0);
    let inside = adapted.find("fc.lora_b.out").unwrap();
    let outputs = [adapted.outputs(), &[inside]].concat();
    adapted.set_outputs(outputs);
    let merged = merge_adapters(&adapted).unwrap();
    assert!(merged.find("fc.weight.lora_a").is_some() && merged.find("conv.weight.lora_a").is_none());
}

#[test]
fn options_out_of_range_are_refused() {
    for (rank, alpha, option) in [(0, 1.0, "rank"), (1, 0.0, "alpha"), (1, f32::NAN, "alpha")] {
        let options = AdapterOptions { rank, alpha };
        let problem =
            attach_adapters(&small(), options, |_| true, |_, _| Vec::new()).unwrap_err().to_string();
        assert!(problem.contains(option), "{problem}");
    }
}

//! Writing weights, read back by safetensors' own reader.

use oculist_graph::{Graph, Tensor};
use oculist_weights::{Partial, load_into, read, write_safetensors};
use oculist_zoo::{BuildOptions, build, initialize};
use safetensors::{Dtype, SafeTensors};

use super::error_of;

fn graph() -> Graph {
    let mut graph = build("resnet8", &BuildOptions::new(10, (3, 32, 32))).unwrap();
    initialize(&mut graph, 5);
    graph
}

/// Whether a file holds the weights of a graph, all and no others.
fn holds(bytes: &[u8], graph: &Graph) -> bool {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let is_weight = graph.weights();
    let params: Vec<_> = graph.params().filter(|(id, ..)| is_weight[id.index()]).collect();
    params.len() == file.len()
        && params.iter().all(|(_, value, tensor)| {
            let view = file.tensor(&value.name).unwrap();
            let bytes: Vec<u8> = tensor.to_f32s().iter().flat_map(|x| x.to_le_bytes()).collect();
            view.dtype() == Dtype::F32 && view.shape() == tensor.shape() && view.data() == bytes
        })
}

#[test]
fn another_reader_finds_every_weight() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    let mut graph = graph();
    write_safetensors(&path, &graph).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(holds(&bytes, &graph));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    // One weight changed is seen.
    let id = graph.find("linear.bias").unwrap();
    graph.set_param(id, Tensor::filled(&[10], 1.0));
    assert!(!holds(&bytes, &graph));
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    let from = graph();
    write_safetensors(&path, &from).unwrap();
    let mut to = build("resnet8", &BuildOptions::new(10, (3, 32, 32))).unwrap();
    load_into(&mut to, &read(&path, None).unwrap(), Partial::No).unwrap();
    assert_eq!(to, from);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let text = error_of(write_safetensors("/nowhere/w.safetensors", &graph()));
    assert!(text.starts_with("cannot write `/nowhere/w.safetensors`"), "{text}");
}

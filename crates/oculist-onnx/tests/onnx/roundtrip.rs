//! What is written comes back.

use oculist_graph::{Flatten, Gemm, Graph, GraphBuilder, Tensor};
use oculist_onnx::{OnnxError, from_bytes, read, read_metadata, to_bytes, write};

use crate::compare::changed;
use crate::{cases, networks};

fn back(graph: &Graph) -> Graph {
    from_bytes(&to_bytes(graph).expect("it can be written")).expect("it can be read")
}

#[test]
fn every_operator_comes_back() {
    for case in cases::all() {
        // A dropout at the very end is replaced by an identity, which `changed` rightly reports.
        if case.name != "dropout_last" {
            assert_eq!(changed(&case.graph, &back(&case.graph)), None, "{}", case.name);
        }
        if case.name != "dropout" {
            assert!(
                changed(&case.graph, &back(&case.wrong)).is_some(),
                "{}: the neighbour passes",
                case.name
            );
        }
    }
}

#[test]
fn networks_come_back_and_their_bytes_are_stable() {
    for graph in [networks::residual(2, [4, 8, 12], 8), networks::residual_int8(2, [4, 8, 12], 8)] {
        let bytes = to_bytes(&graph).unwrap();
        assert_eq!(bytes, to_bytes(&graph).unwrap());
        let read = from_bytes(&bytes).unwrap();
        assert_eq!(changed(&graph, &read), None);
        assert_eq!(bytes, to_bytes(&read).unwrap(), "reading and writing again gives the same file");
    }
}

#[test]
fn a_float_network_keeps_every_name_but_the_output() {
    let graph = networks::residual(1, [4, 4, 4], 8);
    let read = back(&graph);
    assert_eq!(read.dump(), graph.dump().replace("fc.out", "logits"));
    let names = |g: &Graph| g.params().map(|(_, v, _)| v.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read), names(&graph));
    assert_eq!(read.metadata, graph.metadata);
}

#[test]
fn the_metadata_are_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let mut graph = networks::residual(1, [4, 4, 4], 8);
    write(&graph, &path).unwrap();
    assert_eq!(read_metadata(&path).unwrap(), graph.metadata);
    graph.metadata.clear();
    let bytes = to_bytes(&graph).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert!(read_metadata(&path).unwrap().is_empty(), "twin");
    for wrong in [&b""[..], &bytes[..bytes.len() / 2], b"no model"] {
        std::fs::write(&path, wrong).unwrap();
        assert!(matches!(read_metadata(&path), Err(OnnxError::File { .. })), "{}", wrong.len());
    }
    let none = read_metadata(folder.path().join("none.onnx"));
    assert!(matches!(none, Err(OnnxError::Read { .. })));
}

#[test]
fn a_change_in_one_bit_of_a_parameter_is_noticed() {
    let mut graph = networks::residual(1, [4, 4, 4], 8);
    let read = back(&graph);
    let id = graph.find("layer2.0.conv2.weight").unwrap();
    let value = &mut graph.param_mut(id).unwrap().as_f32_mut().unwrap()[5];
    *value = f32::from_bits(value.to_bits() ^ 1);
    assert_eq!(changed(&graph, &read), Some("parameter `layer2.0.conv2.weight` changed".to_owned()));
}

#[test]
fn floats_come_back_bit_for_bit() {
    let odd = [0.0, -0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::MIN, 0.1, -1.0e-30];
    let mut b = GraphBuilder::new("bits");
    let x = b.input("input", 2, 1, 1);
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    let w = b.param("w", Tensor::f32(&[4, 2], odd.to_vec()));
    let y = b.op("fc", Gemm::LINEAR, &[x, w]);
    let read = back(&b.finish(y).unwrap());
    let w = read.param(read.find("w").unwrap()).unwrap().as_f32().unwrap();
    assert_eq!(w.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), odd.map(f32::to_bits));
}

#[test]
fn a_small_int8_model_consists_of_weights() {
    let graph = networks::residual_int8(3, [16, 32, 64], 32);
    let cost = graph.cost();
    let weights: usize = graph.params().filter_map(|(_, _, t)| t.as_i8().map(<[i8]>::len)).sum();
    assert!(cost.params > 270_000, "{}", cost.params);
    let bytes = to_bytes(&graph).unwrap().len();
    // Zero points of weights are counted in `weights` but written once per length. Everything else is scales and
    // biases (4 bytes each per channel) and the structure.
    let channels = 16 * 7 + 32 * 7 + 64 * 7 + 10;
    let structure = bytes as i64 - weights as i64 - 8 * channels;
    println!("{bytes} bytes, {weights} of weights, {structure} of structure");
    assert!(structure < 14_000, "{structure} bytes beside weights, scales and biases");
}

#[test]
fn names_that_clash_with_the_output_stay() {
    let mut b = GraphBuilder::new("clash");
    let x = b.input("a", 2, 1, 1);
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    let w = b.param("logits", Tensor::f32(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]));
    let y = b.op("logits", Gemm::LINEAR, &[x, w]);
    let graph = b.finish(y).unwrap();
    let read = back(&graph);
    assert_eq!(changed(&graph, &read), None);
    assert_eq!(read.value(read.outputs()[0]).name, "logits_1");
}

#[test]
fn files_are_written_whole_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let (small, large) = (networks::residual(1, [2, 2, 2], 4), networks::residual(1, [4, 4, 4], 4));
    write(&large, &path).unwrap();
    write(&small, &path).unwrap();
    assert_eq!(changed(&small, &read(&path).unwrap()), None);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["model.onnx"], "no temporary file stays behind");
}

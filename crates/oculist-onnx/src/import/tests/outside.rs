//! Tensors in files beside the model.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::{good, graph, tensor};
use crate::proto::StringStringEntryProto;
use prost::Message;

/// The bytes of the weight that is kept outside.
fn weight() -> Vec<u8> {
    tensor(&mut good(), "fc.weight").raw_data.clone().expect("raw data")
}

/// Writes the good model into a folder, with the weight described by `entries`, and reads it.
fn read(folder: &Path, entries: &[(&str, &str)]) -> Result<oculist_graph::Graph, String> {
    let mut model = good();
    let proto = tensor(&mut model, "fc.weight");
    (proto.raw_data, proto.data_location) = (None, Some(1));
    proto.external_data = entries
        .iter()
        .map(|(k, v)| StringStringEntryProto { key: Some((*k).into()), value: Some((*v).into()) })
        .collect();
    let path = folder.join("model.onnx");
    fs::write(&path, model.encode_to_vec()).expect("a file");
    crate::read(&path).map_err(|e| e.to_string())
}

#[test]
fn a_tensor_is_read_from_its_place_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = [vec![7u8; 16], weight(), vec![9; 5]].concat();
    fs::create_dir(folder.path().join("parts")).expect("a folder");
    fs::write(folder.path().join("parts/weights.bin"), &bytes).expect("a file");
    let entries = [("location", "parts/weights.bin"), ("offset", "16"), ("length", "864"), ("checksum", "x")];
    let (found, expected) =
        (read(folder.path(), &entries).expect("it is read"), graph(good()).expect("a graph"));
    let of = |g: &oculist_graph::Graph| g.param(g.find("fc.weight").expect("the weight")).cloned();
    assert_eq!(of(&found), of(&expected));
    // Without a length, all from the offset on.
    fs::write(folder.path().join("parts/weights.bin"), weight()).expect("a file");
    read(folder.path(), &[("location", "parts/weights.bin")]).expect("it is read");
}

#[test]
fn files_beyond_two_gigabytes_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = File::create(folder.path().join("large.bin")).expect("a file");
    // A hole takes no room on the disk.
    file.seek(SeekFrom::Start(3 << 30)).expect("a place");
    file.write_all(&weight()).expect("written");
    let offset = (3u64 << 30).to_string();
    read(folder.path(), &[("location", "large.bin"), ("offset", &offset), ("length", "864")])
        .expect("it is read");
}

#[test]
fn what_cannot_be_read_names_file_and_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("w.bin"), weight()).expect("a file");
    let said = |entries: &[(&str, &str)], expected: &str| {
        let message = read(folder.path(), entries).expect_err("it must be refused");
        assert!(message.contains("tensor `fc.weight`: ") && message.contains(expected), "{message}");
    };
    let inside =
        |what: &str| format!("its elements are kept in `{what}`; supported are files in the model's folder");
    let absolute = folder.path().join("w.bin").display().to_string();
    said(&[("location", &absolute)], &inside(&absolute));
    said(&[("location", "../w.bin")], &inside("../w.bin"));
    said(&[("location", "a/../../w.bin")], &inside("a/../../w.bin"));
    said(&[("location", "")], &inside(""));
    said(&[("offset", "0")], "no file is named");
    said(&[("location", "missing.bin")], "cannot open `missing.bin`: No such file");
    said(&[("location", "w.bin"), ("offset", "many")], "its offset in `w.bin` is `many`, expected a number");
    said(&[("location", "w.bin"), ("offset", "-1")], "its offset in `w.bin` is `-1`, expected a number");
    said(&[("location", "w.bin"), ("length", "860")], "its shape needs 864 bytes, it has 860 in `w.bin`");
    said(&[("location", "w.bin"), ("offset", "4")], "its shape needs 864 bytes, it has 860 in `w.bin`");
    said(
        &[("location", "w.bin"), ("offset", "4"), ("length", "864")],
        "its 864 bytes begin at 4 of `w.bin`, which has only 864 bytes",
    );
    said(
        &[("location", "w.bin"), ("offset", "18446744073709551615"), ("length", "864")],
        "begin at 18446744073709551615",
    );
    fs::create_dir(folder.path().join("folder")).expect("a folder");
    said(&[("location", "folder")], "cannot open `folder`: ");
    // Beyond what a name of a file can be.
    said(&[("location", "w.bin\0.txt")], "cannot open `w.bin\0.txt`: ");
    said(&[("location", &"w".repeat(5000))], "cannot open `wwww");
    // The first of two entries counts, as in ONNX Runtime's reader; none of them may lead out.
    said(&[("location", "../w.bin"), ("location", "w.bin")], &inside("../w.bin"));
    for length in ["18446744073709551616", "1e3", "0x10", ""] {
        said(&[("location", "w.bin"), ("length", length)], "expected a number");
    }
}

/// Nothing is taken for a shape that the file does not hold, whatever the model says of lengths.
#[test]
fn sizes_beyond_the_file_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("w.bin"), weight()).expect("a file");
    let read = |dims: &[i64], entries: &[(&str, &str)]| {
        let mut model = good();
        let proto = tensor(&mut model, "fc.weight");
        (proto.raw_data, proto.data_location, proto.dims) = (None, Some(1), dims.to_vec());
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        proto.external_data = entries.iter().map(entry).collect();
        let path = folder.path().join("model.onnx");
        fs::write(&path, model.encode_to_vec()).expect("a file");
        crate::read(&path).map_err(|e| e.to_string()).expect_err("it must be refused")
    };
    let huge = 1i64 << 40;
    for (dims, entries, expected) in [
        (vec![huge], vec![], "its shape needs 4398046511104 bytes, it has 864 in `w.bin`"),
        (vec![huge], vec![("length", "4398046511104")], "which has only 864 bytes"),
        (vec![huge, 1 << 22], vec![], "its shape needs 18446744073709551615 bytes"),
        (vec![huge, 1 << 22], vec![("length", "18446744073709551615")], "which has only 864 bytes"),
        (vec![huge, huge], vec![], "is larger than memory"),
        (vec![-1, 216], vec![], "it has a dimension of size -1"),
        (vec![huge, 0], vec![], "its shape needs 0 bytes, it has 864 in `w.bin`"),
    ] {
        let entries: Vec<_> = [("location", "w.bin")].into_iter().chain(entries).collect();
        let message = read(&dims, &entries);
        assert!(message.contains(expected), "{dims:?}: {message}");
    }
}

/// Tensors stand in attributes too.
#[test]
fn an_attribute_reads_no_file_outside_the_folder_either() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("models")).expect("a folder");
    fs::write(folder.path().join("w.bin"), 1.5f32.to_le_bytes()).expect("a file");
    fs::write(folder.path().join("models/w.bin"), 2.5f32.to_le_bytes()).expect("a file");
    let read = |location: &str| {
        let value = crate::proto::TensorProto {
            dims: vec![1],
            data_type: Some(1),
            data_location: Some(1),
            external_data: vec![StringStringEntryProto {
                key: Some("location".into()),
                value: Some(location.into()),
            }],
            ..Default::default()
        };
        let attribute = crate::proto::AttributeProto {
            name: Some("value".into()),
            r#type: Some(4),
            t: Some(value),
            ..Default::default()
        };
        let mut model = good();
        let graph = model.graph.as_mut().expect("a graph");
        graph.node.push(crate::proto::NodeProto {
            output: vec!["made".into()],
            op_type: Some("Constant".into()),
            attribute: vec![attribute],
            ..Default::default()
        });
        graph.output.push(crate::proto::ValueInfoProto { name: Some("made".into()), ..Default::default() });
        let path = folder.path().join("models/model.onnx");
        fs::write(&path, model.encode_to_vec()).expect("a file");
        crate::read(&path).map_err(|e| e.to_string())
    };
    let graph = read("w.bin").expect("a file in the folder");
    let made = graph.param(graph.find("made").expect("the constant")).expect("a constant");
    assert_eq!(made.as_f32(), Some(&[2.5][..]));
    let outside = folder.path().join("w.bin").display().to_string();
    for location in ["../w.bin", "./../w.bin", &outside] {
        let message = read(location).expect_err("it leads out");
        assert!(message.contains("supported are files in the model's folder"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::write(other.path().join("w.bin"), weight()).expect("a file");
    fs::write(folder.path().join("here.bin"), weight()).expect("a file");
    let link =
        |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).expect("a link");
    link(&other.path().join("w.bin"), "file.bin");
    link(other.path(), "folder");
    link(&folder.path().join("here.bin"), "inside.bin");
    link(&folder.path().join("around.bin"), "around.bin");
    link(Path::new("/dev/zero"), "zeros.bin");
    for location in ["file.bin", "folder/w.bin", "./folder/w.bin", "zeros.bin"] {
        let message = read(folder.path(), &[("location", location)]).expect_err("it leads out");
        assert!(message.contains("is a link out of the model's folder"), "{message}");
    }
    read(folder.path(), &[("location", "inside.bin")]).expect("a link within the folder");
    let message = read(folder.path(), &[("location", "around.bin")]).expect_err("it leads to itself");
    assert!(message.contains("cannot open `around.bin`: "), "{message}");
    // A model that is a link itself has its tensors beside the link.
    read(folder.path(), &[("location", "here.bin")]).expect("a file");
    std::os::unix::fs::symlink(folder.path().join("model.onnx"), other.path().join("model.onnx"))
        .expect("a link");
    let message = crate::read(other.path().join("model.onnx")).expect_err("it is elsewhere").to_string();
    assert!(message.contains("cannot open `here.bin`: "), "{message}");
}

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
    for location in ["file.bin", "folder/w.bin"] {
        let message = read(folder.path(), &[("location", location)]).expect_err("it leads out");
        assert!(message.contains("is a link out of the model's folder"), "{message}");
    }
    read(folder.path(), &[("location", "inside.bin")]).expect("a link within the folder");
}

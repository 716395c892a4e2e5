//! Bytes and files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use oculist_graph::{Graph, Tensor};
use prost::Message;

use crate::error::OnnxError;
use crate::export::{self, Made};
use crate::external::Beside;
use crate::import;
use crate::proto::{MetadataProto, ModelProto, StringStringEntryProto, TensorProto};
use crate::tensor::from_proto;

/// How a graph is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The opset of the default domain; the graph's own, or the newer one that its nodes need, if it is not given.
    pub opset: Option<i64>,
}

impl ExportOptions {
    /// Writes in this opset, or not at all.
    #[must_use]
    pub fn with_opset(mut self, opset: i64) -> Self {
        self.opset = Some(opset);
        self
    }
}

/// A written model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// The opset that it is written in.
    pub opset: i64,
    /// Why that is newer than the graph's: the node and what it needs.
    pub raised: Option<String>,
}

/// The graph as an ONNX model.
///
/// The same graph gives the same bytes. The opset stands at the very end, so that a file that lost its tail has
/// none and is refused by [`from_bytes`] instead of silently missing its metadata.
///
/// # Errors
/// [`OnnxError::Graph`] if the graph fails its own check, or naming a node that the opset that is asked for does not have.
pub fn export(graph: &Graph, options: ExportOptions) -> Result<Exported, OnnxError> {
    let Made { mut model, opset, raised } = export::model(graph, options.opset)?;
    let tail = ModelProto { opset_import: std::mem::take(&mut model.opset_import), ..ModelProto::default() };
    let length = model.encoded_len().saturating_add(tail.encoded_len());
    if i32::try_from(length).is_err() {
        return Err(OnnxError::Model {
            problem: format!("the model takes {length} bytes, and an ONNX file holds at most {}", i32::MAX),
        });
    }
    let mut bytes = model.encode_to_vec();
    bytes.extend(tail.encode_to_vec());
    Ok(Exported { bytes, opset, raised })
}

/// The graph as an ONNX model in its own opset, or the one that its nodes need.
///
/// # Errors
/// As [`export`].
pub fn to_bytes(graph: &Graph) -> Result<Vec<u8>, OnnxError> {
    export(graph, ExportOptions::default()).map(|exported| exported.bytes)
}

/// Writes the graph as an ONNX model; a file of that name is replaced only once the new one is safely on disk.
///
/// # Errors
/// As [`to_bytes`], and [`OnnxError::Write`] if the system refuses.
pub fn write(graph: &Graph, path: impl AsRef<Path>) -> Result<(), OnnxError> {
    write_with(graph, path, ExportOptions::default()).map(|_| ())
}

/// As [`write()`], with options; returns what was written.
///
/// # Errors
/// As [`export`], and [`OnnxError::Write`] if the system refuses.
pub fn write_with(
    graph: &Graph,
    path: impl AsRef<Path>,
    options: ExportOptions,
) -> Result<Exported, OnnxError> {
    let path = path.as_ref();
    let exported = export(graph, options)?;
    replace(path, &exported.bytes).map_err(|cause| OnnxError::Write { path: path.to_owned(), cause })?;
    Ok(exported)
}

/// The graph of an ONNX model. One that keeps tensors in other files can only be [`read`].
///
/// # Errors
/// [`OnnxError::NotOnnx`] if the bytes are no whole ONNX model, otherwise the variant that names what cannot be
/// used: node, tensor, input.
pub fn from_bytes(bytes: &[u8]) -> Result<Graph, OnnxError> {
    import(bytes, None)
}

fn import(bytes: &[u8], beside: Option<Beside>) -> Result<Graph, OnnxError> {
    import::graph(decoded::<ModelProto>(bytes)?, beside)
}

/// The tensor of an ONNX tensor message, as data sets of ONNX's tests hold them.
///
/// # Errors
/// [`OnnxError::NotOnnx`] if the bytes are no such message, otherwise what is wrong with the tensor.
pub fn tensor_from_bytes(bytes: &[u8]) -> Result<Tensor, OnnxError> {
    let proto = TensorProto::decode(bytes).map_err(|e| OnnxError::NotOnnx { problem: e.to_string() })?;
    from_proto(proto.name.as_deref().unwrap_or_default(), &proto, None)
}

/// Reads an ONNX file, and the files in its folder that it keeps tensors in.
///
/// # Errors
/// [`OnnxError::Read`] if the file cannot be read, [`OnnxError::File`] with the error of [`from_bytes`] otherwise.
pub fn read(path: impl AsRef<Path>) -> Result<Graph, OnnxError> {
    let path = path.as_ref();
    import(&bytes_of(path)?, Some(Beside::of(path))).map_err(of_file(path))
}

/// The metadata of an ONNX file, of which nothing else is decoded: whether the rest can be used remains open.
///
/// # Errors
/// [`OnnxError::Read`] if the file cannot be read, [`OnnxError::File`] if it is no ONNX file.
pub fn read_metadata(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>, OnnxError> {
    let path = path.as_ref();
    let model: MetadataProto = decoded(&bytes_of(path)?).map_err(of_file(path))?;
    let entry = |e: StringStringEntryProto| (e.key.unwrap_or_default(), e.value.unwrap_or_default());
    Ok(model.metadata_props.into_iter().map(entry).collect())
}

/// Names the file in an error of its content.
fn of_file(path: &Path) -> impl Fn(OnnxError) -> OnnxError {
    |problem| OnnxError::File { path: path.to_owned(), problem: Box::new(problem) }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, OnnxError> {
    let failed = |cause| OnnxError::Read { path: path.to_owned(), cause };
    if path.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not an ONNX file")));
    }
    oculist_files::read(path).map_err(failed)
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, OnnxError> {
    if bytes.is_empty() {
        return Err(OnnxError::NotOnnx { problem: "it is empty".to_owned() });
    }
    M::decode(bytes).map_err(|e| OnnxError::NotOnnx { problem: e.to_string() })
}

/// Writes the file whole or not at all, and flushes its name to the disk as well.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    oculist_files::write(path, bytes)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    oculist_files::sync_folder(folder);
    Ok(())
}

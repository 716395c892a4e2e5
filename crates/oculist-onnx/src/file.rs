//! Bytes and files.

use std::io;
use std::path::Path;

use oculist_graph::{Graph, Tensor};
use prost::Message;

use crate::error::OnnxError;
use crate::import;
use crate::proto::{ModelProto, TensorProto};
use crate::tensor::from_proto;

/// The graph as an ONNX model.
///
/// The same graph gives the same bytes. The opset stands at the very end, so that a file that lost its tail has
/// none and is refused by [`from_bytes`] instead of silently missing its metadata.
///
/// # Errors
/// [`OnnxError::Graph`] if the graph fails its own check.
#[cfg(any())]
pub fn to_bytes(graph: &Graph) -> Result<Vec<u8>, OnnxError> {
    let mut model = export::model(graph)?;
    let tail = ModelProto { opset_import: std::mem::take(&mut model.opset_import), ..ModelProto::default() };
    let mut bytes = model.encode_to_vec();
    bytes.extend(tail.encode_to_vec());
    Ok(bytes)
}

/// Writes the graph as an ONNX model; a file of that name is replaced only once the new one is safely on disk.
///
/// # Errors
/// As [`to_bytes`], and [`OnnxError::Write`] if the system refuses.
#[cfg(any())]
pub fn write(graph: &Graph, path: impl AsRef<Path>) -> Result<(), OnnxError> {
    let path = path.as_ref();
    let bytes = to_bytes(graph)?;
    replace(path, &bytes).map_err(|cause| OnnxError::Write { path: path.to_owned(), cause })
}

/// The graph of an ONNX model.
///
/// # Errors
/// [`OnnxError::NotOnnx`] if the bytes are no whole ONNX model, otherwise the variant that names what cannot be
/// used: node, tensor, input.
pub fn from_bytes(bytes: &[u8]) -> Result<Graph, OnnxError> {
    let not_onnx = |problem: String| OnnxError::NotOnnx { problem };
    if bytes.is_empty() {
        return Err(not_onnx("it is empty".to_owned()));
    }
    let model = ModelProto::decode(bytes).map_err(|e| not_onnx(e.to_string()))?;
    import::graph(model)
}

/// The tensor of an ONNX tensor message, as data sets of ONNX's tests hold them.
///
/// # Errors
/// [`OnnxError::NotOnnx`] if the bytes are no such message, otherwise what is wrong with the tensor.
pub fn tensor_from_bytes(bytes: &[u8]) -> Result<Tensor, OnnxError> {
    let proto = TensorProto::decode(bytes).map_err(|e| OnnxError::NotOnnx { problem: e.to_string() })?;
    from_proto(proto.name.as_deref().unwrap_or_default(), &proto)
}

/// Reads an ONNX file.
///
/// # Errors
/// [`OnnxError::Read`] if the file cannot be read, [`OnnxError::File`] with the error of [`from_bytes`] otherwise.
pub fn read(path: impl AsRef<Path>) -> Result<Graph, OnnxError> {
    let path = path.as_ref();
    let failed = |cause| OnnxError::Read { path: path.to_owned(), cause };
    if path.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not an ONNX file")));
    }
    let bytes = oculist_files::read(path).map_err(failed)?;
    from_bytes(&bytes)
        .map_err(|problem| OnnxError::File { path: path.to_owned(), problem: Box::new(problem) })
}

/// Writes the file whole or not at all, and flushes its name to the disk as well.
#[cfg(any())]
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    oculist_files::write(path, bytes)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    oculist_files::sync_folder(folder);
    Ok(())
}

//! Bytes and files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oculist_graph::Graph;
use prost::Message;

use crate::error::OnnxError;
use crate::proto::ModelProto;
use crate::{export, import};

/// The graph as an ONNX model.
///
/// The same graph gives the same bytes. The opset stands at the very end, so that a file that lost its tail has
/// none and is refused by [`from_bytes`] instead of silently missing its metadata.
///
/// # Errors
/// [`OnnxError::Graph`] if the graph fails its own check.
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

/// A new file in the folder, under a hidden name that no other writer uses.
fn create_beside(folder: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    let mut attempt = 0u32;
    loop {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let path = folder.join(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Writes beside `path`, flushes to the disk, then renames over it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path must end with the name of a file")
    })?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let (temporary, mut file) = create_beside(&folder, name)?;
    let written = (|| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to tell; the leftover may not even exist.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The new name lives in the folder; some systems cannot open folders, and there the rename is enough.
    if let Ok(folder) = File::open(&folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

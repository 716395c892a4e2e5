//! Reading files of weights, whatever their format.

use std::path::Path;

use oculist_graph::Tensor;

use crate::error::WeightsError;
use crate::torch::Found;
use crate::{index, names, safetensors, torch};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// The zip archive of `torch.save`.
    TorchArchive,
    /// What `torch.save` wrote before version 1.6.
    TorchLegacy,
}

/// Named tensors of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Name of the file, for messages.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// Where the state dict lies in the file, as keys joined by dots; `None` if it is the whole file.
    pub key: Option<String>,
    /// What stood before all names and was taken off.
    pub prefix: String,
    /// Names and tensors in the file's order, element types as the file has them.
    pub tensors: Vec<(String, Tensor)>,
    /// Entries of the state dict that are no tensors.
    pub skipped: Vec<String>,
    /// What a user should know about how the file was read.
    pub notes: Vec<String>,
}

impl Weights {
    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor)
    }
}

/// Reads a file of weights; which format it is, its content tells.
///
/// The index of several files (`model.safetensors.index.json`) is read with all of them, from its folder.
///
/// A file that holds several sets of weights needs `choose`: the key of one of them, as the error names it.
///
/// # Errors
/// [`WeightsError::Read`] if the file cannot be read, [`WeightsError::File`] with what is wrong with its content.
pub fn read(path: impl AsRef<Path>, choose: Option<&str>) -> Result<Weights, WeightsError> {
    let path = path.as_ref();
    let bytes =
        oculist_files::read(path).map_err(|cause| WeightsError::Read { path: path.to_owned(), cause })?;
    let name = path.to_string_lossy();
    if !index::is_index(&bytes) {
        return read_bytes(&bytes, &name, choose);
    }
    if let Some(asked) = choose {
        let none = WeightsError::NoSuchChoice { asked: asked.to_owned(), choices: Vec::new() };
        return Err(none.of_file(&name));
    }
    let (format, found, note) = index::read(path, &bytes).map_err(|problem| problem.of_file(&name))?;
    let mut weights = finish(&name, format, found);
    weights.notes.extend(note);
    Ok(weights)
}

/// Reads the bytes of a file of weights called `name`.
///
/// # Errors
/// [`WeightsError::File`] with what is wrong with the content.
pub fn read_bytes(bytes: &[u8], name: &str, choose: Option<&str>) -> Result<Weights, WeightsError> {
    parse(bytes, choose)
        .map(|(format, found)| finish(name, format, found))
        .map_err(|problem| problem.of_file(name))
}

pub(crate) fn parse(bytes: &[u8], choose: Option<&str>) -> Result<(Format, Found), WeightsError> {
    let format = format_of(bytes)?;
    let found = match format {
        Format::Safetensors => match choose {
            None => safetensors::read(bytes)?,
            Some(asked) => {
                return Err(WeightsError::NoSuchChoice { asked: asked.to_owned(), choices: Vec::new() });
            }
        },
        Format::TorchArchive => torch::read_archive(bytes, choose)?,
        Format::TorchLegacy => torch::read_legacy(bytes, choose)?,
    };
    Ok((format, found))
}

fn format_of(bytes: &[u8]) -> Result<Format, WeightsError> {
    let begins = |text: &str| {
        bytes.trim_ascii_start().get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()))
    };
    let other = |problem: &str| Err(WeightsError::format(problem));
    if bytes.is_empty() {
        return other("it is empty");
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Ok(Format::TorchArchive);
    }
    if bytes.get(8) == Some(&b'{') {
        return Ok(Format::Safetensors);
    }
    // Protocol 2 and later; the decimal text of the magic number is how earlier ones begin.
    if bytes[0] == 0x80 || bytes.starts_with(b"L119547037146038801333356L") {
        return Ok(Format::TorchLegacy);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return other(
            "it is a tar archive, as PyTorch wrote before version 0.1.10, which is not read; load it with PyTorch and \
             save it again: `torch.save(state_dict, \"weights.pth\")`",
        );
    }
    if index::is_index(bytes) {
        return other("it is JSON: only the index of several files of weights is read, by its path");
    }
    if begins("version https://git-lfs") {
        return other("it is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`");
    }
    if begins("<!doctype") || begins("<html") {
        return other("it is a web page, not a file of weights: the download went wrong");
    }
    other("expected a file of safetensors or of `torch.save`, found neither")
}

fn finish(name: &str, format: Format, found: Found) -> Weights {
    let Found { key, mut tensors, skipped, examples } = found;
    let mut notes = Vec::new();
    if let Some(key) = &key {
        notes.push(format!("read the weights under `{}`", oculist_text::name(key)));
    }
    let prefix = names::strip(&mut tensors);
    if !prefix.is_empty() {
        notes.push(format!("took `{prefix}` off all names"));
    }
    if !skipped.is_empty() {
        let more = skipped.len() - examples.len();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        notes.push(format!("skipped what is no tensor: {}{rest}", examples.join(", ")));
    }
    Weights { file: name.to_owned(), format, key, prefix, tensors, skipped, notes }
}

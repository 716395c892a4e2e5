//! Files of `torch.save`: a pickle that names storages, and the storages.

mod archive;
mod directory;
mod legacy;
mod numpy;
mod storage;
mod tensor;

use oculist_graph::Tensor;

use crate::error::WeightsError;
use crate::pickle::{self, Id, Values};
use crate::state_dict::{self, Entries};
use archive::Archive;
use legacy::Legacy;
use tensor::Maker;
pub(crate) use tensor::is_tensor;

/// What was found in a file.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where the state dict lies, as keys joined by dots; `None` if it is the whole file.
    pub(crate) key: Option<String>,
    /// Its tensors in its order.
    pub(crate) tensors: Vec<(String, Tensor)>,
    /// Names of its other entries.
    pub(crate) skipped: Vec<String>,
    /// What the first of these are, for a note.
    pub(crate) examples: Vec<String>,
}

/// Where the storages of a file are.
#[derive(Debug)]
enum Storages<'a> {
    Archive(Archive<'a>),
    Legacy(Legacy<'a>),
}

/// Reads a zip archive of `torch.save`.
///
/// # Errors
/// As [`crate::read_bytes`].
pub(crate) fn read_archive(bytes: &[u8], choose: Option<&str>) -> Result<Found, WeightsError> {
    let mut archive = Archive::open(bytes)?;
    let pickle = archive.take_pickle()?;
    let parsed = pickle::parse(&pickle)?;
    collect(&parsed.values, parsed.root, Storages::Archive(archive), bytes.len(), choose)
}

/// Reads a file of `torch.save` of before version 1.6.
///
/// # Errors
/// As [`crate::read_bytes`].
pub(crate) fn read_legacy(bytes: &[u8], choose: Option<&str>) -> Result<Found, WeightsError> {
    let (parsed, legacy) = Legacy::open(bytes)?;
    collect(&parsed.values, parsed.root, Storages::Legacy(legacy), bytes.len(), choose)
}

fn collect(
    values: &Values<'_>,
    root: Id,
    storages: Storages<'_>,
    size: usize,
    choose: Option<&str>,
) -> Result<Found, WeightsError> {
    let place = state_dict::find(values, root, choose)?;
    let Entries { tensors: places, skipped, examples } = state_dict::entries(values, place.dict);
    let mut maker = Maker::new(values, storages, size);
    let mut tensors = Vec::with_capacity(places.len());
    for (name, id) in places {
        let tensor = maker.make(id, &name)?;
        tensors.push((name, tensor));
    }
    Ok(Found { key: place.key, tensors, skipped, examples })
}

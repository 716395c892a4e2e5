//! Elements of tensors that lie in files beside the model.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::proto::TensorProto;

/// The folder that a model's other files lie in.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    folder: PathBuf,
}

/// Whether a tensor's elements lie in another file.
pub(crate) fn is_outside(proto: &TensorProto) -> bool {
    proto.data_location.unwrap_or(0) != 0 || !proto.external_data.is_empty()
}

impl Beside {
    /// The folder of a model file.
    pub(crate) fn of(model: &Path) -> Self {
        let folder = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Self { folder: folder.to_owned() }
    }

    /// The bytes of a tensor that takes `expected` of them. Nothing is read before the file is known to hold them.
    ///
    /// # Errors
    /// What is wrong, with the file's name as the model gives it.
    pub(crate) fn read(&self, proto: &TensorProto, expected: usize) -> Result<Vec<u8>, String> {
        let entry = |key: &str| {
            proto
                .external_data
                .iter()
                .find(|e| e.key.as_deref() == Some(key))
                .and_then(|e| e.value.as_deref())
        };
        let location =
            entry("location").ok_or("its elements are kept outside the model, and no file is named")?;
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text
                .trim()
                .parse::<u64>()
                .map(Some)
                .map_err(|_| format!("its {key} in `{location}` is `{text}`, expected a number")),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let path = self.path(location)?;
        let mut file = oculist_files::open(&path).map_err(|e| format!("cannot open `{location}`: {e}"))?;
        let size = file.metadata().map_err(|e| format!("cannot read `{location}`: {e}"))?.len();
        let length = length.unwrap_or(size.saturating_sub(offset));
        let expected = u64::try_from(expected).unwrap_or(u64::MAX);
        if length != expected {
            return Err(format!("its shape needs {expected} bytes, it has {length} in `{location}`"));
        }
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!(
                "its {length} bytes begin at {offset} of `{location}`, which has only {size} bytes"
            ));
        }
        let failed = |e: std::io::Error| format!("cannot read `{location}`: {e}");
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))
            .map_err(|_| format!("there is no memory for its {length} bytes"))?;
        file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()) == Ok(length) {
            Ok(bytes)
        } else {
            Err(format!("`{location}` became shorter while it was read"))
        }
    }

    /// The file of a name, which must lie in the model's folder.
    fn path(&self, location: &str) -> Result<PathBuf, String> {
        let relative = Path::new(location);
        let inside = !location.is_empty()
            && relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(format!(
                "its elements are kept in `{location}`; supported are files in the model's folder"
            ));
        }
        let path = self.folder.join(relative);
        let canonical =
            |path: &Path| fs::canonicalize(path).map_err(|e| format!("cannot open `{location}`: {e}"));
        if canonical(&path)?.starts_with(canonical(&self.folder)?) {
            Ok(path)
        } else {
            Err(format!("`{location}` is a link out of the model's folder"))
        }
    }
}

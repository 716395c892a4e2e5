//! Files that appear whole or not at all.

use std::path::Path;

use crate::error::OculistError;

/// Writes a file whole or not at all, and its folder if need be.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), OculistError> {
    make_folder(path)?;
    oculist_train::write_atomically(path, bytes)
        .map_err(|e| OculistError::Output { path: path.to_path_buf(), problem: e.to_string() })
}

/// Makes the folder that a file is to be in.
pub(crate) fn make_folder(path: &Path) -> Result<(), OculistError> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|e| OculistError::Output { path: path.to_path_buf(), problem: e.to_string() })
}

//! Checking a data set, splitting it, and writing what was approved as a manifest.

mod check;
mod confident;
mod fix;
mod labels;
mod manifest;
mod split;

use std::path::{Path, PathBuf};

use oculist_data::{Dataset, OpenOptions, Purpose, Verify};

use crate::error::{OculistError, wrong};
use crate::message::setting;
use crate::settings::Settings;

pub use check::{AUDIT_FILE, AUDIT_PAGE_FILE, CheckOptions, Checked, LabelOptions, check_data, check_source};
pub use confident::{Confident, LabelIssue, confident_learning};
pub use fix::{FixOptions, Fixed, fix_data};
pub use split::{Grouping, NewSplits, SplitOptions, split_data};

/// Opens the data set that the settings name, however many of its files are unreadable.
fn open(settings: &Settings, verify: Verify) -> Result<Dataset, OculistError> {
    open_for(settings, verify, Purpose::Train)
}

/// As [`open`], for a purpose.
fn open_for(settings: &Settings, verify: Verify, purpose: Purpose) -> Result<Dataset, OculistError> {
    let name = settings
        .data
        .as_deref()
        .ok_or_else(|| wrong("data", "expected `demo`, `fashion-mnist` or a folder, found nothing"))?;
    let mut options = OpenOptions::default();
    options.data_dir.clone_from(&settings.data_dir);
    options.seed = settings.seed.unwrap_or(0);
    options.strict = settings.strict.unwrap_or(false);
    options.threads = settings.threads();
    options.layout = settings.layout;
    options.duplicates = settings.duplicates.unwrap_or_default();
    options.exclude = settings.exclude.clone().unwrap_or_default();
    if let Some(limit) = settings.max_image_bytes {
        options.max_encoded_bytes = limit.0;
    }
    options.max_unreadable = 0.999;
    options.verify = verify;
    options.purpose = purpose;
    Ok(Dataset::open(name, &options)?)
}

/// Reads a text file.
fn read_text(path: &Path) -> Result<String, OculistError> {
    oculist_files::read_to_string(path).map_err(|source| OculistError::Io { path: path.into(), source })
}

/// Refuses to replace a file unless told to.
fn check_new(path: &Path, force: bool) -> Result<(), OculistError> {
    if path.is_dir() || (path.exists() && !force) {
        let exists = || format!("exists; replace it with {}", setting("force"));
        let problem = if path.is_dir() { "is a folder, expected a file".to_owned() } else { exists() };
        return Err(OculistError::Output { path: path.into(), problem: problem.into() });
    }
    Ok(())
}

/// The folder as an absolute path without links.
fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
}

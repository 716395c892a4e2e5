//! Makes the page of a finished run again from its stored numbers.

use std::path::{Path, PathBuf};

use oculist_report::RunSummary;

use crate::error::OculistError;
use crate::run_folder::{REPORT_DATA_FILE, REPORT_FILE, SUMMARY_FILE};

/// Reads the numbers of a run and, unless `only_read`, writes `report.html` again; returns the page's path.
///
/// # Errors
/// [`OculistError::Io`] if the folder holds no finished run; [`OculistError::Report`] if its numbers are unreadable.
pub fn report_again(run: &Path, only_read: bool) -> Result<(RunSummary, Option<PathBuf>), OculistError> {
    // The file with pictures is preferred; the numbers alone make a page without them.
    let with_pictures = run.join(REPORT_DATA_FILE);
    let path = if with_pictures.exists() { with_pictures } else { run.join(SUMMARY_FILE) };
    let text = std::fs::read_to_string(&path).map_err(|source| OculistError::Io { path, source })?;
    let summary = RunSummary::from_json(&text)?;
    if only_read {
        return Ok((summary, None));
    }
    let page = run.join(REPORT_FILE);
    oculist_train::write_atomically(&page, oculist_report::render_html(&summary)?.as_bytes())?;
    Ok((summary, Some(page)))
}

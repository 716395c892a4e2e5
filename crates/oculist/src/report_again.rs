//! Makes the page of a finished run again from its stored numbers.

use std::path::{Path, PathBuf};

use oculist_report::RunSummary;

use crate::error::OculistError;
use crate::files::{take_folder, write};
use crate::message::setting;
use crate::progress::Watch;
use crate::sink::folder::{CONFIG_FILE, REPORT_DATA_FILE, REPORT_FILE, SUMMARY_FILE};

/// Reads the numbers of a run and, unless `only_read`, writes `report.html` again; returns the page's path.
///
/// # Errors
/// [`OculistError::Output`] if the folder holds no finished run, if another process is writing it, if its numbers are unreadable, or if the page cannot
/// be written.
pub fn report_again(
    run: &Path,
    only_read: bool,
    watch: &mut Watch<'_>,
) -> Result<(RunSummary, Option<PathBuf>), OculistError> {
    // A run that is still going would write the page itself, and an interrupted rewriting is tidied up.
    let writing = !only_read && run.is_dir();
    let _taken = if writing { Some(take_folder(run, &[], "report", watch)?) } else { None };
    // The file with pictures is preferred; the numbers alone make a page without them.
    let with_pictures = run.join(REPORT_DATA_FILE);
    let path = if with_pictures.exists() { with_pictures } else { run.join(SUMMARY_FILE) };
    let output = |path: &Path, problem: String| OculistError::Output {
        path: path.to_path_buf(),
        problem: problem.into(),
    };
    let text = oculist_files::read_to_string(&path).map_err(|e| output(run, missing(run, &e)))?;
    let summary = RunSummary::from_json(&text).map_err(|e| output(&path, e.to_string()))?;
    if only_read {
        return Ok((summary, None));
    }
    let page = run.join(REPORT_FILE);
    write(&page, oculist_report::render_html(&summary)?.as_bytes())?;
    Ok((summary, Some(page)))
}

/// Why a folder has no numbers to make a page of.
pub(crate) fn missing(run: &Path, error: &std::io::Error) -> String {
    if !run.exists() {
        "expected the folder of a finished run, found nothing".into()
    } else if run.join(CONFIG_FILE).exists() {
        format!("the run is not finished ({SUMMARY_FILE}: {error}); continue it with {}", setting("resume"))
    } else {
        format!("expected the folder of a finished run, found no {SUMMARY_FILE} in it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_finished_run_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let text = || {
            let watch = &mut Watch { observer: &mut |_| {}, stop: &stop };
            report_again(&run, true, watch).unwrap_err().to_string()
        };
        assert!(text().contains("run: expected the folder of a finished run, found nothing"), "{}", text());
        std::fs::create_dir(&run).unwrap();
        assert!(text().contains("found no summary.json"), "{}", text());
        std::fs::write(run.join(CONFIG_FILE), "").unwrap();
        assert!(text().contains("continue it with resume"), "{}", text());
        std::fs::write(run.join(SUMMARY_FILE), "{").unwrap();
        assert!(text().contains("summary.json: not a run summary"), "{}", text());
    }
}

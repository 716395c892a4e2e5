//! The main recipe: train a baseline, compress it within the promise, measure, export, report.

mod baseline;
mod finish;
pub(crate) mod inputs;
mod pruning;
mod resume;
pub(crate) mod state;

use std::path::PathBuf;
use std::time::Instant;

use oculist_report::RunSummary;

use crate::error::OculistError;
use crate::progress::Watch;
use crate::run_folder::Existing;
use crate::settings::Settings;
use state::Run;

/// Where a run goes and how it came about.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// `optimize`, `train` or `compress`.
    pub verb: String,
    /// Folder of the run.
    pub output: PathBuf,
    /// What to do if it holds a run already.
    pub existing: Existing,
    /// Whether a run that is continued reads every image again, instead of trusting size, times and inode of those that
    /// it has read before.
    pub verify: bool,
    /// The exact command, for the report.
    pub command: String,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// All numbers, with pictures.
    pub summary: RunSummary,
    /// What was written.
    pub files: Vec<PathBuf>,
}

/// Trains (or takes `settings.model`), prunes, quantises, measures, exports and reports.
///
/// # Errors
/// [`OculistError`] naming what is wrong with the settings, the data, the model or the output folder.
pub fn optimize(
    settings: &Settings,
    options: &RunOptions,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    let began = Instant::now();
    let mut run = Run::prepare(settings, options, watch)?;
    let work = || {
        let baseline = baseline::obtain(&mut run, watch)?;
        let compressed = pruning::compress(&mut run, &baseline, watch)?;
        finish::finish(run, &baseline, Some(&compressed), began, watch)
    };
    work().map_err(OculistError::resumable)
}

/// Trains a model, measures and exports it; no compression.
///
/// # Errors
/// As [`optimize`].
pub fn train(
    settings: &Settings,
    options: &RunOptions,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    let began = Instant::now();
    let mut run = Run::prepare(settings, options, watch)?;
    let work = || {
        let baseline = baseline::obtain(&mut run, watch)?;
        finish::finish(run, &baseline, None, began, watch)
    };
    work().map_err(OculistError::resumable)
}

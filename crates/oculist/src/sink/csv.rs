//! Learning curves as a CSV file.

use std::path::PathBuf;

use oculist_report::Epoch;

use super::Sink;
use crate::error::OculistError;
use crate::files::write;
use crate::progress::Progress;
use crate::summary::{curve, metrics_csv};

/// Writes one line per epoch of every training; the file is whole after each.
///
/// Columns: `phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait,val`, the last of
/// the metric that decides.
#[derive(Debug)]
pub struct Csv {
    path: PathBuf,
    epochs: Vec<Epoch>,
}

impl Csv {
    /// Writes to a file, which is replaced.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), epochs: Vec::new() }
    }
}

impl Sink for Csv {
    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        match event {
            Progress::Epoch { phase, record, metric, .. } => {
                self.epochs.extend(curve(phase, std::slice::from_ref(*record), *metric));
            }
            // With the epochs before a resumption.
            Progress::Trained { phase, history } => {
                self.epochs.retain(|epoch| epoch.phase != *phase);
                self.epochs.extend(history.iter().cloned());
            }
            _ => return Ok(()),
        }
        write(&self.path, metrics_csv(&self.epochs).as_bytes())
    }
}

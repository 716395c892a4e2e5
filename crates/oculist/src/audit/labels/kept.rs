//! What the folds of a check have said so far, kept for the case that it is interrupted.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use oculist_data::{Dataset, Identity, KnownDigests};
use oculist_files::Hasher;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::OculistError;
use crate::files::write;
use crate::progress::{Watch, flow};

/// The file in the output folder; it is gone when the check is complete.
const FILE: &str = "labels-so-far.json";
/// Logits up to which the file is written: some hundred megabytes.
const LARGEST: usize = 50_000_000;

/// What one fold has said of the images that it judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Judged {
    /// Positions among all images.
    pub(super) at: Vec<usize>,
    /// `[at.len(), classes]`: logits of the network, as bits.
    pub(super) logits: Vec<u32>,
}

/// All folds that are done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct File {
    /// Digest of images, labels and everything that the networks depend on.
    of: String,
    folds: Vec<Judged>,
}

/// The folds that are done, in a file.
pub(super) struct Kept {
    path: PathBuf,
    file: File,
    /// Whether the file is small enough to be written.
    writes: bool,
}

impl Kept {
    /// Opens what an interrupted check has left, if it was one of the same images, labels and settings. `numbers` are the
    /// logits that there will be.
    ///
    /// # Errors
    /// [`OculistError::Data`] for a file that cannot be read; [`OculistError::Stopped`].
    pub(super) fn open(
        folder: &Path,
        dataset: &Dataset,
        recipe: &Config,
        folds: usize,
        numbers: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        let stop = watch.stop;
        let none = KnownDigests::default();
        let data = Identity::of(dataset, &none, recipe.threads, &mut |_, _| flow(stop))?;
        let data = data.ok_or(OculistError::Stopped { resumable: false })?;
        let mut hasher = Hasher::new();
        let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        for part in [version, &recipe.to_toml(), &folds.to_string(), &data.digest().to_string()] {
            hasher.part(part.as_bytes());
        }
        let of = hasher.finish().to_string();
        let path = folder.join(FILE);
        // Whatever else is there, or damaged, is worth nothing: it is written anew.
        let left = oculist_files::read_to_string(&path).ok();
        let left = left.and_then(|text| serde_json::from_str::<File>(&text).ok());
        let file = left.filter(|file| file.of == of).unwrap_or_else(|| File { of, folds: Vec::new() });
        let writes = numbers <= LARGEST;
        if !writes {
            watch.note("labels: too many images and classes to keep what is known: a check that is interrupted begins anew");
        }
        Ok(Self { path, file, writes })
    }

    /// Whether a fold is done: the images that it was to judge must be these.
    pub(super) fn knows(&self, fold: usize, at: &[usize], classes: usize) -> bool {
        let known: HashSet<usize> = at.iter().copied().collect();
        self.file.folds.get(fold).is_some_and(|judged| {
            judged.logits.len() == judged.at.len() * classes && judged.at.iter().all(|at| known.contains(at))
        })
    }

    /// What a fold has said that is done.
    pub(super) fn of(&self, fold: usize) -> Option<&Judged> {
        self.file.folds.get(fold)
    }

    /// Adds what the next fold has said, and writes all.
    ///
    /// # Errors
    /// [`OculistError::Output`] if the file cannot be written.
    pub(super) fn add(&mut self, fold: usize, judged: Judged) -> Result<(), OculistError> {
        self.file.folds.truncate(fold);
        self.file.folds.push(judged);
        if !self.writes {
            return Ok(());
        }
        let text = serde_json::to_string(&self.file).unwrap_or_default();
        write(&self.path, text.as_bytes())
    }

    /// The check is complete: the file goes.
    pub(super) fn close(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

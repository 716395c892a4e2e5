//! The folder of one run: refused if it holds another run or if another process is writing it, checked for permission
//! before work starts, and locked until the run ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OculistError;
use crate::files::{TakenFolder, check_free, take_folder, unwritable};
use crate::message::setting;
use crate::progress::Watch;

/// The resolved recipe of the run; its presence says that a folder holds a run.
pub const CONFIG_FILE: &str = "config.toml";
/// The settings of the run, flat, for `--config`.
pub const SETTINGS_FILE: &str = "settings.toml";
/// The stages of the run, for `--recipe`.
pub const RECIPE_FILE: &str = "recipe.toml";
/// What the run read: every image with its label and the digest of its bytes, and the model and pipeline given.
pub const INPUTS_FILE: &str = "inputs.jsonl";
/// The numbers of the run.
pub const SUMMARY_FILE: &str = "summary.json";
/// The numbers of the run with pictures, from which `oculist report` makes the page again.
pub const REPORT_DATA_FILE: &str = "report-data.json";
/// The page.
pub const REPORT_FILE: &str = "report.html";
/// One line per epoch.
pub const METRICS_FILE: &str = "metrics.csv";
/// The recommended model's answers on every test image.
pub const PREDICTIONS_FILE: &str = "predictions.csv";
/// The compressed model in f32.
pub const MODEL_FILE: &str = "model.onnx";
/// The compressed model in int8.
pub const INT8_FILE: &str = "model.int8.onnx";
/// The model before compression.
pub const BASELINE_FILE: &str = "baseline.onnx";

/// Its folder of event files, where none other is named.
pub(crate) const TENSORBOARD: &str = "tensorboard";

/// Its folder of checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// The files of a run. The first to be written is the last here: as long as it is there, the folder holds a run.
const FILES: [&str; 12] = [
    SUMMARY_FILE,
    REPORT_DATA_FILE,
    REPORT_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    MODEL_FILE,
    INT8_FILE,
    BASELINE_FILE,
    RECIPE_FILE,
    INPUTS_FILE,
    SETTINGS_FILE,
    CONFIG_FILE,
];

/// What to do with a folder that holds a run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// An error.
    Refuse,
    /// Its files are replaced.
    Replace,
    /// The run goes on from its checkpoints; an error if there is none.
    Resume,
}

/// A folder that is ready for a run, and this process's alone as long as a copy of this value lives.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    _taken: Arc<TakenFolder>,
}

impl RunFolder {
    /// Makes the folder, takes it for a job such as `train`, removes what interrupted processes left half written, and
    /// checks that a run can be written there. Nothing else is removed before [`RunFolder::clear`].
    ///
    /// # Errors
    /// As [`RunFolder::check`]; [`OculistError::Output`] if another process has it, or if it cannot be made or written.
    pub fn prepare(
        path: &Path,
        existing: Existing,
        job: &str,
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        Self::check(path, existing)?;
        let taken = take_folder(path, &[CHECKPOINTS], job, watch)?;
        // Again, now that nobody else can change it.
        Self::check_content(path, existing)?;
        if path.join(CONFIG_FILE).exists() {
            remove_old_leftovers(&path.join(CHECKPOINTS));
        }
        oculist_files::check_writable(path).map_err(|e| OculistError::Output {
            path: path.to_path_buf(),
            problem: format!("is not writable: {e}").into(),
        })?;
        Ok(Self { path: path.to_path_buf(), _taken: Arc::new(taken) })
    }

    /// Removes the files of the run that the folder held, and nothing else that may lie there.
    ///
    /// # Errors
    /// [`OculistError::Output`] if one cannot be removed.
    pub fn clear(&self) -> Result<(), OculistError> {
        clear(&self.path).map_err(|e| OculistError::Output {
            path: self.path.clone(),
            problem: format!("the old run cannot be removed: {e}").into(),
        })
    }

    /// What to say if a run that is estimated to need so many bytes finds fewer: an estimate refuses nothing, since what
    /// the run finds when it is there is certain, and a full disk costs no finished epoch.
    pub fn space_warning(&self, needed_bytes: u64) -> Option<String> {
        let free = match fs4::available_space(&self.path) {
            Ok(free) => free,
            Err(e) => return Some(format!("{}: free space is unknown: {e}", self.path.display())),
        };
        // What is there of this run is written over.
        let there: u64 = files_below(&self.path.join(CHECKPOINTS))
            .chain(FILES.iter().map(|name| self.file(name)))
            .filter_map(|file| Some(std::fs::metadata(file).ok()?.len()))
            .sum();
        let needed = needed_bytes.saturating_sub(there);
        (free < needed).then(|| {
            format!(
                "{}: the run may need about {} MB, and {} MB are free",
                self.path.display(),
                needed.div_ceil(1_000_000),
                free / 1_000_000
            )
        })
    }

    /// Checks, without writing, that what the folder holds fits what is to be done with it.
    ///
    /// # Errors
    /// [`OculistError::RunExists`] if it holds another run; [`OculistError::Output`] if it is no folder, if another process
    /// is writing it, if it holds files that a run would replace, or no run to go on with.
    pub fn check(path: &Path, existing: Existing) -> Result<(), OculistError> {
        check_free(path)?;
        Self::check_content(path, existing)
    }

    fn check_content(path: &Path, existing: Existing) -> Result<(), OculistError> {
        let output =
            |problem: String| OculistError::Output { path: path.to_path_buf(), problem: problem.into() };
        if path.exists() && !path.is_dir() {
            return Err(output("expected a folder, found a file".into()));
        }
        if existing == Existing::Resume && !path.join(CONFIG_FILE).exists() {
            return Err(output(format!(
                "holds no run to continue ({CONFIG_FILE} is not there); begin one without {}",
                setting("resume")
            )));
        }
        if existing == Existing::Refuse {
            if path.join(CONFIG_FILE).exists() {
                return Err(OculistError::RunExists { path: path.to_path_buf() });
            }
            // A file of the user's own that happens to bear one of our names must not be lost.
            if let Some(taken) = FILES.into_iter().find(|name| path.join(name).exists()) {
                return Err(output(format!(
                    "holds a file `{taken}` that the run would replace; choose another folder with {}, or replace it \
                     with {}",
                    setting("output"),
                    setting("force")
                )));
            }
        }
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// [`OculistError::Output`] if it cannot be made.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf, OculistError> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).map_err(|e| OculistError::Output {
            path: path.clone(),
            problem: format!("cannot be made: {e}").into(),
        })?;
        Ok(path)
    }

    /// Writes a file beside its place and renames it.
    ///
    /// # Errors
    /// [`OculistError::Output`] naming the file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), OculistError> {
        let path = self.file(name);
        oculist_files::write(&path, bytes).map_err(|e| unwritable(&path, &e))
    }
}

/// Removes what an earlier run wrote, and nothing else that may lie in the folder. Interrupted, it leaves a run that has
/// lost its results and no results that have lost their run.
fn clear(path: &Path) -> std::io::Result<()> {
    for name in [CHECKPOINTS, "candidates", TENSORBOARD] {
        let folder = path.join(name);
        if folder.is_dir() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    for name in FILES {
        let file = path.join(name);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// The files below a folder.
fn files_below(folder: &Path) -> Box<dyn Iterator<Item = PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    Box::new(entries.flat_map(|entry| -> Box<dyn Iterator<Item = PathBuf>> {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            _ => Box::new(std::iter::once(entry.path())),
        }
    }))
}

/// Removes the unfinished checkpoints that earlier versions left, `.tmp` and six letters, where nobody else writes.
fn remove_old_leftovers(checkpoints: &Path) {
    for file in files_below(checkpoints) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.strip_prefix(".tmp").is_some_and(|rest| rest.len() == 6) {
            // One that stays harms nobody.
            let _ = std::fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// Prepares a folder and drops what was said.
    fn prepare(path: &Path, existing: Existing) -> Result<RunFolder, OculistError> {
        RunFolder::prepare(
            path,
            existing,
            "train",
            &mut Watch { observer: &mut |_| {}, stop: &AtomicBool::new(false) },
        )
    }

    fn message(result: Result<RunFolder, OculistError>) -> String {
        result.map(|f| f.path().display().to_string()).expect_err("must be refused").to_string()
    }

    #[test]
    fn another_run_is_refused_replaced_or_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        prepare(&folder, Existing::Refuse).unwrap().write(CONFIG_FILE, b"seed = 1").unwrap();
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        let text = message(prepare(&folder, Existing::Refuse));
        assert!(text.contains("with force") && text.contains("run"), "{text}");
        assert!(prepare(&folder, Existing::Resume).unwrap().file(CONFIG_FILE).exists());
        let replaced = prepare(&folder, Existing::Replace).unwrap();
        assert!(replaced.file(CONFIG_FILE).exists(), "not before the new run is sure to begin");
        replaced.clear().unwrap();
        assert!(!replaced.file(CONFIG_FILE).exists());
        assert!(replaced.file("notes.txt").exists(), "files that no run wrote stay");
    }

    #[test]
    fn a_folder_in_use_is_refused_whatever_is_to_be_done_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let live = prepare(dir.path(), Existing::Refuse).unwrap();
        live.write(CONFIG_FILE, b"seed = 1").unwrap();
        for existing in [Existing::Refuse, Existing::Replace, Existing::Resume] {
            let text = message(prepare(dir.path(), existing));
            assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
            assert!(text.contains("oculist train, since 2"), "{text}");
        }
        let copy = live.clone();
        drop(live);
        message(prepare(dir.path(), Existing::Resume));
        drop(copy);
        prepare(dir.path(), Existing::Resume).unwrap();
    }

    #[test]
    fn what_interrupted_runs_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let phase = dir.path().join("checkpoints/baseline");
        std::fs::create_dir_all(&phase).unwrap();
        let go = [phase.join(".last.safetensors.77-0.oculist-tmp"), phase.join(".tmpAbCd12")];
        let stay = [dir.path().join(".tmpAbCd12"), phase.join(".tmp"), dir.path().join(CONFIG_FILE)];
        for file in go.iter().chain(&stay) {
            std::fs::write(file, "half").unwrap();
        }
        prepare(dir.path(), Existing::Resume).unwrap();
        assert!(go.iter().all(|file| !file.exists()) && stay.iter().all(|file| file.exists()));
    }

    #[test]
    fn a_run_that_comes_to_nothing_leaves_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        drop(prepare(&dir.path().join("runs/one"), Existing::Refuse).unwrap());
        assert!(!dir.path().join("runs").exists());
        prepare(&dir.path().join("runs/one"), Existing::Refuse).unwrap().write(CONFIG_FILE, b"").unwrap();
        assert!(dir.path().join("runs/one").join(CONFIG_FILE).exists());
    }

    #[test]
    fn a_folder_without_a_run_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        for folder in [dir.path().to_path_buf(), dir.path().join("absent")] {
            let text = message(prepare(&folder, Existing::Resume));
            let name = folder.display().to_string();
            assert!(text.contains(&name) && text.contains("no run to continue"), "{text}");
        }
        assert!(!dir.path().join("absent").exists());
    }

    #[test]
    fn a_file_of_the_users_own_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MODEL_FILE), "mine").unwrap();
        let text = message(prepare(dir.path(), Existing::Refuse));
        assert!(text.contains(MODEL_FILE) && text.contains("with force"), "{text}");
        assert_eq!(std::fs::read(dir.path().join(MODEL_FILE)).unwrap(), b"mine");
        prepare(dir.path(), Existing::Replace).unwrap();
    }

    #[test]
    fn too_little_space_is_said_and_refuses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = prepare(dir.path(), Existing::Refuse).unwrap();
        let text = folder.space_warning(u64::MAX).expect("a warning");
        assert!(text.contains("may need about") && text.contains("MB are free"), "{text}");
        assert_eq!(folder.space_warning(0), None);
        // What is there is written over.
        let free = fs4::available_space(dir.path()).unwrap();
        let there = 1_000_000_000_000;
        let phase = folder.subfolder(CHECKPOINTS).unwrap();
        std::fs::File::create(phase.join("last.safetensors")).unwrap().set_len(there).unwrap();
        assert_eq!(folder.space_warning(free / 2 + there), None);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        std::fs::write(&file, "x").unwrap();
        let text = message(prepare(&file, Existing::Refuse));
        assert!(text.contains("taken") && text.contains("found a file"), "{text}");
        let text = message(prepare(&file.join("below"), Existing::Refuse));
        assert!(text.contains("cannot be made"), "{text}");
    }
}

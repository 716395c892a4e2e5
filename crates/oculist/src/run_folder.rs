//! The folder of one run: refused if it holds another run, checked for space and permission before work starts.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::OculistError;

/// The resolved recipe of the run; its presence says that a folder holds a run.
pub const CONFIG_FILE: &str = "config.toml";
/// The settings of the run, flat, for `--config`.
pub const SETTINGS_FILE: &str = "settings.toml";
/// The numbers of the run.
pub const SUMMARY_FILE: &str = "summary.json";
/// The numbers of the run with pictures, from which `oculist report` makes the page again.
pub const REPORT_DATA_FILE: &str = "report-data.json";
/// The page.
pub const REPORT_FILE: &str = "report.html";
/// One line per epoch.
pub const METRICS_FILE: &str = "metrics.csv";
/// The compressed model in f32.
pub const MODEL_FILE: &str = "model.onnx";
/// The compressed model in int8.
pub const INT8_FILE: &str = "model.int8.onnx";
/// The model before compression.
pub const BASELINE_FILE: &str = "baseline.onnx";

/// The files of a run.
const FILES: [&str; 9] = [
    CONFIG_FILE,
    SETTINGS_FILE,
    SUMMARY_FILE,
    REPORT_DATA_FILE,
    REPORT_FILE,
    METRICS_FILE,
    MODEL_FILE,
    INT8_FILE,
    BASELINE_FILE,
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

/// A folder that is ready for a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder and checks that a run can be written there.
    ///
    /// # Errors
    /// As [`RunFolder::check`]; [`OculistError::Output`] if it cannot be made or written, or if fewer than `needed_bytes`
    /// are free.
    pub fn prepare(path: &Path, existing: Existing, needed_bytes: u64) -> Result<Self, OculistError> {
        let output = |problem: String| OculistError::Output { path: path.to_path_buf(), problem };
        Self::check(path, existing)?;
        std::fs::create_dir_all(path).map_err(|e| output(format!("cannot be made: {e}")))?;
        // The only sure way to know that a folder is writable is to write.
        let mut probe =
            tempfile::NamedTempFile::new_in(path).map_err(|e| output(format!("is not writable: {e}")))?;
        probe
            .write_all(&[0; 4096])
            .and_then(|()| probe.flush())
            .map_err(|e| output(format!("is not writable: {e}")))?;
        let free = fs4::available_space(path).map_err(|e| output(format!("free space is unknown: {e}")))?;
        if free < needed_bytes {
            return Err(output(format!(
                "the run needs about {} MB, only {} MB are free",
                needed_bytes.div_ceil(1_000_000),
                free / 1_000_000
            )));
        }
        if existing == Existing::Replace {
            clear(path).map_err(|e| output(format!("the old run cannot be removed: {e}")))?;
        }
        Ok(Self { path: path.to_path_buf() })
    }

    /// Checks, without writing, that what the folder holds fits what is to be done with it.
    ///
    /// # Errors
    /// [`OculistError::RunExists`] if it holds another run; [`OculistError::Output`] if it is no folder, holds files
    /// that a run would replace, or holds no run to go on with.
    pub fn check(path: &Path, existing: Existing) -> Result<(), OculistError> {
        let output = |problem: String| OculistError::Output { path: path.to_path_buf(), problem };
        if path.exists() && !path.is_dir() {
            return Err(output("expected a folder, found a file".into()));
        }
        if existing == Existing::Resume && !path.join(CONFIG_FILE).exists() {
            return Err(output(format!(
                "holds no run to continue ({CONFIG_FILE} is not there); begin one without --resume"
            )));
        }
        if existing == Existing::Refuse {
            if path.join(CONFIG_FILE).exists() {
                return Err(OculistError::RunExists { path: path.to_path_buf() });
            }
            // A file of the user's own that happens to bear one of our names must not be lost.
            if let Some(taken) = FILES.into_iter().find(|name| path.join(name).exists()) {
                return Err(output(format!(
                    "holds a file `{taken}` that the run would replace; choose another folder with --output, or \
                     replace it with --force"
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
            problem: format!("cannot be made: {e}"),
        })?;
        Ok(path)
    }

    /// Writes a file beside its place and renames it.
    ///
    /// # Errors
    /// [`OculistError::Output`] naming the file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), OculistError> {
        let path = self.file(name);
        oculist_train::write_atomically(&path, bytes)
            .map_err(|e| OculistError::Output { path, problem: e.to_string() })
    }
}

/// Removes what an earlier run wrote, and nothing else that may lie in the folder.
fn clear(path: &Path) -> std::io::Result<()> {
    for name in FILES {
        let file = path.join(name);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    for name in ["checkpoints", "candidates"] {
        let folder = path.join(name);
        if folder.is_dir() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<RunFolder, OculistError>) -> String {
        result.map(|f| f.path().display().to_string()).expect_err("must be refused").to_string()
    }

    #[test]
    fn another_run_is_refused_replaced_or_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        RunFolder::prepare(&folder, Existing::Refuse, 0).unwrap().write(CONFIG_FILE, b"seed = 1").unwrap();
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        let text = message(RunFolder::prepare(&folder, Existing::Refuse, 0));
        assert!(text.contains("--force") && text.contains("run"), "{text}");
        assert!(RunFolder::prepare(&folder, Existing::Resume, 0).unwrap().file(CONFIG_FILE).exists());
        let replaced = RunFolder::prepare(&folder, Existing::Replace, 0).unwrap();
        assert!(!replaced.file(CONFIG_FILE).exists());
        assert!(replaced.file("notes.txt").exists(), "files that no run wrote stay");
    }

    #[test]
    fn a_folder_without_a_run_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        for folder in [dir.path().to_path_buf(), dir.path().join("absent")] {
            let text = message(RunFolder::prepare(&folder, Existing::Resume, 0));
            let name = folder.display().to_string();
            assert!(text.contains(&name) && text.contains("no run to continue"), "{text}");
        }
        assert!(!dir.path().join("absent").exists());
    }

    #[test]
    fn a_file_of_the_users_own_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MODEL_FILE), "mine").unwrap();
        let text = message(RunFolder::prepare(dir.path(), Existing::Refuse, 0));
        assert!(text.contains(MODEL_FILE) && text.contains("--force"), "{text}");
        assert_eq!(std::fs::read(dir.path().join(MODEL_FILE)).unwrap(), b"mine");
        RunFolder::prepare(dir.path(), Existing::Replace, 0).unwrap();
    }

    #[test]
    fn too_little_space_is_noticed_before_work_starts() {
        let dir = tempfile::tempdir().unwrap();
        let text = message(RunFolder::prepare(dir.path(), Existing::Refuse, u64::MAX));
        assert!(text.contains("MB are free"), "{text}");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        std::fs::write(&file, "x").unwrap();
        let text = message(RunFolder::prepare(&file, Existing::Refuse, 0));
        assert!(text.contains("taken") && text.contains("found a file"), "{text}");
        let text = message(RunFolder::prepare(&file.join("below"), Existing::Refuse, 0));
        assert!(text.contains("cannot be made"), "{text}");
    }
}

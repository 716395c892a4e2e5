//! What a run keeps in its folder to go on after a crash.

use std::cell::RefCell;
use std::path::PathBuf;

use oculist_files::{Seal, seal, unseal};
use serde_json::{Map, Value};

use super::Keeper;
use super::folder::{CHECKPOINTS, RunFolder};
use crate::error::OculistError;

/// Measured numbers on which decisions rest.
const MEASURED: &str = "measured.json";

/// Keeps checkpoints and measured numbers in a run folder.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: RunFolder,
    resumes: bool,
    known: RefCell<Map<String, Value>>,
}

impl Kept {
    /// Reads what the run has kept, if it is continued.
    ///
    /// # Errors
    /// [`OculistError::Output`] naming a file that is damaged.
    pub(crate) fn new(folder: RunFolder, resumes: bool) -> Result<Self, OculistError> {
        let path = folder.file(CHECKPOINTS).join(MEASURED);
        let mut known = Map::new();
        if resumes && path.exists() {
            let bytes = oculist_files::read(&path)
                .map_err(|source| OculistError::Io { path: path.clone(), source })?;
            let problem = |problem: String| OculistError::Output {
                path: path.clone(),
                problem: format!("{problem}; remove it, and what it holds is measured anew").into(),
            };
            let text = unseal(&bytes, Seal::Json).map_err(|broken| problem(broken.to_string()))?;
            known = serde_json::from_str(text).map_err(|e| problem(e.to_string()))?;
        }
        Ok(Self { folder, resumes, known: RefCell::new(known) })
    }
}

impl Keeper for Kept {
    fn checkpoints(&self, phase: &str) -> PathBuf {
        self.folder.file(CHECKPOINTS).join(phase)
    }

    fn resumes(&self) -> bool {
        self.resumes
    }

    fn recall(&self, name: &str) -> Option<Value> {
        self.known.borrow().get(name).cloned()
    }

    fn remember(&self, name: &str, value: Value) -> Result<(), OculistError> {
        self.known.borrow_mut().insert(name.to_owned(), value);
        let text = serde_json::to_string(&*self.known.borrow()).unwrap_or_default();
        self.folder.subfolder(CHECKPOINTS)?;
        self.folder.write(&format!("{CHECKPOINTS}/{MEASURED}"), seal(&text, Seal::Json).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::progress::Watch;
    use crate::sink::folder::Existing;

    #[test]
    fn what_was_measured_is_known_again_only_when_the_run_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let watch = &mut Watch { observer: &mut |_| {}, stop: &AtomicBool::new(false) };
        let folder = RunFolder::prepare(dir.path(), Existing::Refuse, "train", watch).unwrap();
        let kept = Kept::new(folder.clone(), false).unwrap();
        kept.remember("latency a", 1.5.into()).unwrap();
        kept.remember("latency b", 2.5.into()).unwrap();
        assert_eq!(kept.recall("latency a"), Some(1.5.into()));
        let again = Kept::new(folder.clone(), true).unwrap();
        assert_eq!(again.recall("latency b"), Some(2.5.into()));
        assert_eq!(Kept::new(folder.clone(), false).unwrap().recall("latency b"), None);
        // A flipped digit is no measurement.
        let path = dir.path().join(CHECKPOINTS).join(MEASURED);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("2.5", "9.5")).unwrap();
        let text = Kept::new(folder, true).unwrap_err().to_string();
        assert!(text.contains(MEASURED) && text.contains("measured anew"), "{text}");
    }
}

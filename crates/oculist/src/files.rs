//! Files that appear whole or not at all, folders that one process writes at a time, and what is wrong with files that
//! are read.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use oculist_data::{Dataset, Split};
use oculist_files::{
    FolderLock, LOCK_FILE, LockError, RESULT_MARK, remove_leftovers, remove_leftovers_below,
};

use crate::error::OculistError;
use crate::message::setting;
use crate::progress::Watch;

/// Writes a file whole or not at all, and its folder if need be.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), OculistError> {
    make_folder(path)?;
    oculist_files::write(path, bytes).map_err(|e| unwritable(path, &e))
}

/// Makes the folder that a file is to be in.
pub(crate) fn make_folder(path: &Path) -> Result<(), OculistError> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|e| unwritable(path, &e))
}

/// The error of a file that cannot be written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> OculistError {
    OculistError::Output { path: path.to_path_buf(), problem: format!("cannot be written: {error}").into() }
}

/// Refuses a folder that another process is writing; makes nothing.
pub(crate) fn check_free(folder: &Path) -> Result<(), OculistError> {
    match FolderLock::holder(folder) {
        Some(holder) => Err(in_use(folder, &LockError::Held(holder))),
        None => Ok(()),
    }
}

/// A folder that is this process's until the value is dropped.
#[derive(Debug)]
pub(crate) struct TakenFolder {
    lock: Option<FolderLock>,
    /// The folder, if it held nothing, and the job: all that it comes to hold is of the result.
    fresh: Option<(PathBuf, String)>,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
}

impl Drop for TakenFolder {
    fn drop(&mut self) {
        if let Some((folder, job)) = &self.fresh
            && !is_empty(folder)
        {
            // A result without its mark is still known by its files.
            let _ = std::fs::write(folder.join(RESULT_MARK), format!("{job}\n"));
        }
        self.lock.take();
        // What came to nothing leaves no folder; one that holds anything stays.
        for folder in &self.made {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Makes a folder, takes it for a job, and removes what interrupted processes left in it and anywhere below those of its
/// folders that are ours alone. Others are not looked through: they may hold anything.
pub(crate) fn take_folder(
    folder: &Path,
    ours: &[&str],
    job: &str,
    watch: &mut Watch<'_>,
) -> Result<TakenFolder, OculistError> {
    let named = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
    let made = folder.ancestors().take_while(named).map(Path::to_path_buf).collect();
    let mut taken = TakenFolder { lock: None, fresh: None, made };
    std::fs::create_dir_all(folder).map_err(|e| OculistError::Output {
        path: folder.to_path_buf(),
        problem: format!("cannot be made: {e}").into(),
    })?;
    let fresh = is_empty(folder).then(|| (folder.to_path_buf(), job.to_owned()));
    let lock = FolderLock::acquire(folder, job).map_err(|e| in_use(folder, &e))?;
    if !lock.is_exclusive() {
        watch.warn(&format!(
            "the file system of {} has no locks: nothing keeps another process out of it",
            folder.display()
        ));
    }
    taken.lock = Some(lock);
    taken.fresh = fresh;
    let mut removed = remove_leftovers(folder);
    for below in ours {
        removed += remove_leftovers_below(&folder.join(below));
    }
    if removed.files > 0 {
        watch.note(&format!("{}: {removed}", folder.display()));
    }
    Ok(taken)
}

/// Refuses a file that lies in the folder that another process is writing, and might replace it; makes nothing.
pub(crate) fn check_free_beside(file: &Path) -> Result<(), OculistError> {
    check_free(beside(file))
}

/// The folder of a file.
fn beside(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// True if nothing but a lock is in the folder.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == LOCK_FILE))
}

/// Refuses a folder that holds images of the data that are read: the result would lie among them, and the folder could be
/// taken for a result and no longer for a class.
///
/// # Errors
/// [`OculistError::Output`] naming one of the images.
pub(crate) fn check_no_images_of(folder: &Path, dataset: &Dataset) -> Result<(), OculistError> {
    // A folder that is not there holds nothing.
    let Ok(folder_itself) = folder.canonicalize() else { return Ok(()) };
    let mut parents = BTreeMap::new();
    for split in Split::ALL {
        let images = dataset.split(split);
        for path in (0..images.len()).filter_map(|i| images.path(i)) {
            let parent =
                path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            parents.entry(parent).or_insert(path);
        }
    }
    let inside =
        |(parent, _): &(&Path, &Path)| parent.canonicalize().is_ok_and(|parent| parent == folder_itself);
    match parents.into_iter().find(inside) {
        None => Ok(()),
        Some((_, image)) => Err(OculistError::Output {
            path: folder.to_path_buf(),
            problem: format!(
                "holds images of the data set itself, such as {}; choose another folder with {}",
                image.display(),
                setting("output")
            )
            .into(),
        }),
    }
}

/// Removes what interrupted processes left beside a file that is to be written.
pub(crate) fn tidy_beside(file: &Path, watch: &mut Watch<'_>) {
    let folder = beside(file);
    let removed = remove_leftovers(folder);
    if removed.files > 0 {
        watch.note(&format!("{}: {removed}", folder.display()));
    }
}

fn in_use(folder: &Path, error: &LockError) -> OculistError {
    let problem = match error {
        LockError::Held(_) => {
            format!("{error}; wait for its end, or choose another folder with {}", setting("output"))
        }
        LockError::NoFile { .. } => format!("cannot be taken for this process: {error}"),
        _ => format!("is not writable: {error}"),
    };
    OculistError::Output { path: folder.to_path_buf(), problem: problem.into() }
}

/// What is wrong with a TOML text, in one line with the place: `line 2, column 5: ...`.
pub(crate) fn toml_problem(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim_end().replace('\n', "; ");
    let Some(span) = error.span() else { return message };
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_toml_is_one_line_with_its_place() {
        for (text, place) in
            [("a = 1\nb = = 2", "line 2, column 5: "), ("[s]\nx = \"y\" z", "line 2, column ")]
        {
            let error = toml::from_str::<toml::Table>(text).unwrap_err();
            let problem = toml_problem(&error, text);
            assert!(problem.starts_with(place) && !problem.contains('\n'), "{problem}");
        }
    }
}

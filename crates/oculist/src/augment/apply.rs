//! An enlarged data set on disk: the images, augmented copies of the training images, and a manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oculist_augment::{Image, Transform};
use oculist_data::{Split, Subset};
use oculist_files::{LOCK_FILE, RESULT_MARK, Seal, seal, unseal};
use serde::Serialize;

use super::Augmenter;
use super::class_folder::folder_names;
use crate::error::OculistError;
use crate::files::{check_no_images_of, take_folder, write};
use crate::pictures::encode;
use crate::progress::{Watch, go_on};
use crate::settings::Settings;
use crate::sink::inputs::Inputs;

/// One line of JSON for each image of the new data set.
pub const MANIFEST_FILE: &str = "manifest.jsonl";
/// What the copies were made with; tells an interrupted run from another one.
const SETTINGS_FILE: &str = "augment.toml";
/// What the copies were made of; hidden, so that the folder is a data set and nothing else.
const INPUTS_FILE: &str = ".inputs.jsonl";

/// How many copies, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Folder of the new data set: new, empty, or of an earlier run with the same settings, which is then completed.
    pub output: PathBuf,
    /// Augmented copies of each training image.
    pub copies: usize,
}

impl ApplyOptions {
    /// So many copies, in this folder.
    pub fn new(output: impl Into<PathBuf>, copies: usize) -> Self {
        Self { output: output.into(), copies }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Images of the new data set.
    pub images: usize,
    /// Those of them that an earlier run had written already.
    pub kept: usize,
    /// Images that could not be read and are left out.
    pub unreadable: usize,
}

/// A line of the manifest.
#[derive(Debug, Serialize)]
struct Line<'a> {
    file_name: String,
    label: &'a str,
    split: &'a str,
    source: String,
    /// Number of the copy; absent for the image itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transforms: Vec<Transform>,
}

/// One image to write.
struct Job {
    split: Split,
    index: usize,
    copy: Option<usize>,
}

/// Writes `train`, `val` and `test` with a folder for each class: every image as PNG, and `copies` augmented copies of
/// each training image.
///
/// An interrupted run continues when it is started again with the same settings; files that are there are kept.
///
/// # Errors
/// [`OculistError::Output`] for a folder that holds something else or lies in the data set's own, or a file that cannot
/// be written; [`OculistError::Stopped`].
pub fn apply_augmentation(
    settings: &Settings,
    options: &ApplyOptions,
    watch: &mut Watch<'_>,
) -> Result<Applied, OculistError> {
    let augmenter = Augmenter::new(settings, watch)?;
    for line in augmenter.source.describe_lines() {
        watch.note(&line);
    }
    check_apart(&augmenter, options)?;
    check_no_images_of(&options.output, augmenter.source.dataset())?;
    let _taken = take_folder(&options.output, &Split::ALL.map(split_name), "augment apply", watch)?;
    prepare_folder(settings, &augmenter, options, watch)?;
    let names = folder_names(augmenter.source.class_names());
    let mut jobs = Vec::new();
    for split in [Split::Train, Split::Val, Split::Test] {
        for index in 0..augmenter.source.split(split).len() {
            jobs.push(Job { split, index, copy: None });
            if split == Split::Train {
                jobs.extend((0..options.copies).map(|copy| Job { split, index, copy: Some(copy) }));
            }
        }
    }
    let (next, kept) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = Mutex::new(None);
    let unreadable = Mutex::new(BTreeSet::new());
    let lines = Mutex::new(vec![None; jobs.len()]);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { break };
            let result = go_on(watch.stop).and_then(|()| make(&augmenter, options, &names, job));
            match result {
                Ok(Made { line, fresh }) => {
                    kept.fetch_add(usize::from(!fresh), Ordering::Relaxed);
                    lock(&lines)[at] = Some(line);
                }
                Err(OculistError::Data(oculist_data::Error::Image { path, .. })) => {
                    lock(&unreadable).insert(path);
                }
                Err(error) => {
                    lock(&failed).get_or_insert(error);
                    next.store(jobs.len(), Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..settings.threads() {
            scope.spawn(work);
        }
        work();
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    let lines: Vec<String> = std::mem::take(&mut *lock(&lines)).into_iter().flatten().collect();
    write(&options.output.join(MANIFEST_FILE), (lines.join("\n") + "\n").as_bytes())?;
    let unreadable = lock(&unreadable).len();
    Ok(Applied { images: lines.len(), kept: kept.into_inner(), unreadable })
}

/// A panic in a thread ends the run anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Made {
    line: String,
    fresh: bool,
}

fn make(
    augmenter: &Augmenter,
    options: &ApplyOptions,
    names: &[String],
    job: &Job,
) -> Result<Made, OculistError> {
    let subset: &Subset = augmenter.source.split(job.split);
    let class = subset.label(job.index) as usize;
    let split = split_name(job.split);
    let suffix = job.copy.map(|copy| format!("-{copy}")).unwrap_or_default();
    let file_name = format!("{split}/{}/{:06}{suffix}.png", names[class], job.index);
    let path = options.output.join(&file_name);
    let image = subset.image(job.index)?;
    let (image, transforms): (Image, Vec<Transform>) = match job.copy {
        Some(copy) => augmenter.copy(image, job.index, copy)?,
        None => (image, Vec::new()),
    };
    let fresh = !path.exists();
    if fresh {
        let bytes = encode(&image)
            .map_err(|problem| OculistError::Output { path: path.clone(), problem: problem.into() })?;
        write(&path, &bytes)?;
    }
    let line = Line {
        file_name,
        label: &augmenter.source.class_names()[class],
        split,
        source: subset.name(job.index),
        copy: job.copy,
        transforms,
    };
    Ok(Made { line: serde_json::to_string(&line).unwrap_or_default(), fresh })
}

fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test",
    }
}

/// Refuses a folder within the data set's own, or around it.
fn check_apart(augmenter: &Augmenter, options: &ApplyOptions) -> Result<(), OculistError> {
    let path = &options.output;
    let source = Path::new(augmenter.source.dataset().source());
    if let (Ok(source), Some(output)) = (source.canonicalize(), real(path))
        && (output.starts_with(&source) || source.starts_with(&output))
    {
        let problem = format!("is not apart from the data set {}", source.display());
        return Err(OculistError::Output { path: path.clone(), problem: problem.into() });
    }
    Ok(())
}

/// Checks that the folder is empty or one of a run with the same settings and images, and notes what they are.
fn prepare_folder(
    settings: &Settings,
    augmenter: &Augmenter,
    options: &ApplyOptions,
    watch: &mut Watch<'_>,
) -> Result<(), OculistError> {
    let path = &options.output;
    let fail = |problem: String| Err(OculistError::Output { path: path.clone(), problem: problem.into() });
    let identity = format!(
        "data = {:?}\nseed = {}\ncopies = {}\n\n[preprocessing]\n{}\n[augmentation]\n{}",
        augmenter.source.dataset().source(),
        augmenter.seed,
        options.copies,
        toml::to_string(&augmenter.preprocessing).unwrap_or_default(),
        toml::to_string(&augmenter.pipeline).unwrap_or_default(),
    );
    let (file, list) = (path.join(SETTINGS_FILE), path.join(INPUTS_FILE));
    let before = match oculist_files::read(&list) {
        Ok(bytes) => {
            let text = unseal(&bytes, Seal::Json).map_err(|e| e.to_string());
            match text.and_then(Inputs::from_lines) {
                Ok(inputs) => Some(inputs),
                Err(problem) => return Err(OculistError::Output { path: list, problem: problem.into() }),
            }
        }
        Err(_) => None,
    };
    let inputs = Inputs::read(settings, augmenter.source.dataset(), before.as_ref(), watch)?;
    match (oculist_files::read_to_string(&file), &before) {
        (Ok(found), Some(before)) => {
            let typed = |text: &str| text.split("[preprocessing]").next().map(str::to_owned);
            if typed(&found) != typed(&identity) {
                return fail(format!("holds images made with other settings; see {SETTINGS_FILE} there"));
            }
            // The preprocessing follows from the images, so these are told first.
            if let Some(changes) = before.changes(&inputs) {
                return fail(format!("holds images made of other data: {changes}"));
            }
            if found != identity {
                return fail(format!("holds images made with other settings; see {SETTINGS_FILE} there"));
            }
            return Ok(());
        }
        (Ok(_), None) => {
            return fail(format!(
                "{INPUTS_FILE} is not there, which says what its images were made of: it was removed, or an older \
                 version made them; expected a new or empty folder"
            ));
        }
        (Err(_), _) => {}
    }
    let entries =
        std::fs::read_dir(path).map_err(|source| OculistError::Io { path: path.clone(), source })?;
    // The list is written first: alone, it is of a run that was interrupted before it had made anything.
    let ours = [LOCK_FILE, RESULT_MARK, INPUTS_FILE];
    if entries.flatten().any(|entry| !ours.iter().any(|name| entry.file_name() == *name)) {
        return fail("holds other files; expected a new or empty folder".into());
    }
    write(&list, seal(&inputs.to_lines(), Seal::Json).as_bytes())?;
    write(&file, identity.as_bytes())
}

/// Where a path leads that need not exist yet: its last existing folder without links, and the rest.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|existing| {
        let rest = path.strip_prefix(existing).ok()?;
        Some(existing.canonicalize().ok()?.join(rest))
    })
}

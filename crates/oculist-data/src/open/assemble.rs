//! From labelled files to a data set: the rules for classes, splits and unusable files that all sources share.

use super::folder::may_be_an_image;
use super::labels;
use crate::alike::Alike;
use crate::error::{Error, Result};
use crate::limits::{MAX_NAMES, read_text};
use crate::reasons::{other_reasons, passed_over};
use crate::scan::{Candidate, scan};
use crate::store::FileStore;
use crate::{
    Dataset, Exclude, ImageStore, OpenOptions, Purpose, SkipKind, Skipped, Split, Subset, Targets, Task,
    natural_cmp,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The classes of an image, by their places among the names of [`Collected`]; one alone, as most have, needs no memory of
/// its own.
pub(super) enum ClassList {
    One(u32),
    Any(Box<[u32]>),
}

impl From<u32> for ClassList {
    fn from(class: u32) -> Self {
        Self::One(class)
    }
}

impl From<Vec<u32>> for ClassList {
    fn from(classes: Vec<u32>) -> Self {
        match classes[..] {
            [class] => Self::One(class),
            _ => Self::Any(classes.into()),
        }
    }
}

impl std::ops::Deref for ClassList {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::One(class) => std::slice::from_ref(class),
            Self::Any(classes) => classes,
        }
    }
}

/// An image that a source names.
pub(super) struct Entry {
    pub(super) split: Split,
    pub(super) classes: ClassList,
    /// The image in the store; None if it cannot be used.
    pub(super) item: Option<u32>,
}

/// All that a source holds, not yet checked.
pub(super) struct Collected {
    /// The source, for messages.
    pub(super) root: PathBuf,
    pub(super) class_names: Vec<String>,
    /// The source gives the names in the order of its labels; else they are sorted.
    pub(super) ordered: bool,
    pub(super) entries: Vec<Entry>,
    pub(super) skipped: Vec<Skipped>,
    /// The first file of a class in a split that cannot be used, and why, as an error goes on: `: a.jpg: the file is empty`.
    pub(super) failed: BTreeMap<(Split, u32), String>,
    pub(super) store: Arc<dyn ImageStore>,
}

/// Numbers class names as they come.
#[derive(Default)]
pub(super) struct ClassNames {
    pub(super) names: Vec<String>,
    index: BTreeMap<String, u32>,
}

impl ClassNames {
    /// The number of `name`.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(&class) = self.index.get(name) {
            return class;
        }
        let class = self.names.len() as u32;
        self.index.insert(name.to_owned(), class);
        self.names.push(name.to_owned());
        class
    }
}

/// One image file that a source names, before it is looked at.
pub(super) struct Named {
    pub(super) candidate: Candidate,
    pub(super) split: Split,
    pub(super) classes: ClassList,
}

/// A sample that the source declares and that does not become one; it counts towards the limit.
pub(super) fn lost(path: PathBuf, reason: impl Into<String>) -> Skipped {
    Skipped { path, reason: reason.into(), kind: SkipKind::Unreadable }
}

/// Something worth telling that is no damage.
pub(super) fn note(path: &Path, reason: String) -> Skipped {
    Skipped { path: path.into(), reason, kind: SkipKind::Unused }
}

/// Images that are there and not read.
pub(super) fn unread(path: &Path, reason: String) -> Skipped {
    Skipped { path: path.into(), reason, kind: SkipKind::Unread }
}

impl Collected {
    /// Looks at every file.
    ///
    /// # Errors
    /// More unusable files than the options allow.
    pub(super) fn look_at(
        root: &Path,
        named: Vec<Named>,
        class_names: Vec<String>,
        ordered: bool,
        mut skipped: Vec<Skipped>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let mut entries = Vec::with_capacity(named.len());
        let mut candidates = Vec::with_capacity(named.len());
        for Named { candidate, split, classes } in named {
            entries.push(Entry { split, classes, item: None });
            candidates.push(candidate);
        }
        let mut files = Vec::new();
        let mut failed = BTreeMap::new();
        // Annotations and notes beside the pictures are no samples.
        let mut beside: Vec<Skipped> = Vec::new();
        for (found, entry) in scan(&candidates, options).into_iter().zip(&mut entries) {
            match found {
                Ok(file) => {
                    entry.item = Some(files.len() as u32);
                    files.push(file);
                }
                Err(skip) => {
                    for &class in &*entry.classes {
                        let class = failed.entry((entry.split, class));
                        class.or_insert_with(|| format!(": {}: {}", skip.path.display(), skip.reason));
                    }
                    let by_name = skip.kind == SkipKind::NotAnImage && !may_be_an_image(&skip.path);
                    if by_name { beside.push(skip) } else { skipped.push(skip) }
                }
            }
        }
        if let Some(first) = beside.first() {
            let text = match beside.len() {
                1 => format!("{} is no image by its name and was not used", first.path.display()),
                n => format!(
                    "{n} files among the images are none by their names and were not used, such as {}",
                    first.path.display()
                ),
            };
            skipped.push(note(root, text));
        }
        check_skipped(root, &skipped, files.len(), options)?;
        let store = Arc::new(FileStore::new(files, options.max_pixels));
        Ok(Self { root: root.into(), class_names, ordered, entries, skipped, failed, store })
    }

    /// Checks the classes and draws the missing splits.
    ///
    /// # Errors
    /// No class, or one where images have one each; a class that only the validation or test split has; a class or a split
    /// without a usable image.
    pub(super) fn into_dataset(mut self, options: &OpenOptions) -> Result<Dataset> {
        let root = self.root.clone();
        // Of images with one label each, as many as there are images.
        let marks = self.entries.iter().map(|entry| entry.classes.len()).sum();
        if options.purpose == Purpose::Train
            && let Some(error) = labels::continuous(&root, &self.class_names, marks, false)
        {
            return Err(error);
        }
        if marks == 0 {
            return Err(Error::Layout {
                path: root,
                expected: "at least one labelled image".into(),
                found: "none".into(),
            });
        }
        let training = options.purpose == Purpose::Train;
        if training && !self.entries.iter().any(|entry| entry.split == Split::Train) {
            return Err(Error::EmptySplit { path: root, split: Split::Train, images: 0 });
        }
        // By split and class: images named, and images that can be used.
        let mut named = [0, 1, 2].map(|_| vec![0usize; self.class_names.len()]);
        let mut usable = named.clone();
        for entry in &self.entries {
            for &class in &*entry.classes {
                named[entry.split as usize][class as usize] += 1;
                usable[entry.split as usize][class as usize] += usize::from(entry.item.is_some());
            }
        }
        let mut classes: Vec<usize> = Vec::new();
        for (class, name) in self.class_names.iter().enumerate() {
            if named.iter().all(|split| split[class] == 0) {
                self.skipped.push(note(&root, format!("class \"{name}\" is declared but has no image")));
                continue;
            }
            for split in Split::ALL.into_iter().filter(|_| training) {
                let (path, class_name) = (root.clone(), name.clone());
                if named[Split::Train as usize][class] == 0 && named[split as usize][class] > 0 {
                    return Err(Error::UnknownClass { path, class: class_name, split });
                }
                // Of several labels, one without a usable image to measure on is no reason to refuse the others.
                let needed = options.task == Task::SingleLabel || split == Split::Train;
                if needed && named[split as usize][class] > 0 && usable[split as usize][class] == 0 {
                    let why = self.failed.remove(&(split, class as u32)).unwrap_or_default();
                    return Err(Error::EmptyClass { path, class: class_name, split, why });
                }
            }
            classes.push(class);
        }
        if let ([only], true, Task::SingleLabel) = (&classes[..], training, options.task) {
            let only = *only;
            let passed = passed_over(&self.skipped);
            return Err(Error::OneClass { path: root, class: self.class_names[only].clone(), passed });
        }
        if !self.ordered {
            classes.sort_by(|&a, &b| natural_cmp(&self.class_names[a], &self.class_names[b]));
        }
        let mut labels = vec![0u32; self.class_names.len()];
        for (label, &class) in classes.iter().enumerate() {
            labels[class] = label as u32;
        }
        let subset = |split: Split| {
            let of_split = self.entries.iter().filter(|entry| entry.split == split);
            let (mut items, mut targets) = (Vec::new(), Targets::none(options.task, classes.len()));
            for (item, entry) in of_split.filter_map(|entry| Some((entry.item?, entry))) {
                let row: Vec<u32> = entry.classes.iter().map(|&class| labels[class as usize]).collect();
                items.push(item);
                targets.push(&row)?;
            }
            Subset::new(Arc::clone(&self.store), items, targets, classes.len())
        };
        let [train, val, test] = [subset(Split::Train)?, subset(Split::Val)?, subset(Split::Test)?];
        let unlikely = labels::unlikely(&self.class_names, classes.len(), marks).filter(|_| training);
        let given = [train.len(), val.len(), test.len()];
        let [train, val, test] = fill_splits(&root, train, val, test, options).map_err(|error| {
            match (labels::continuous(&root, &self.class_names, marks, true), &unlikely) {
                (Some(other), _) => other,
                (None, Some(hint)) => error.with_hint(hint.clone()),
                (None, None) => error,
            }
        })?;
        let lists = (options.task == Task::SingleLabel).then(|| labels::lists(&self.class_names)).flatten();
        for text in lists.into_iter().chain(unlikely) {
            self.skipped.insert(0, note(&root, text));
        }
        let class_names = classes.iter().map(|&class| self.class_names[class].clone()).collect();
        let source = root.display().to_string();
        let drawn = Drawn::new(given, [train.len(), val.len(), test.len()]);
        Ok(Dataset {
            source,
            class_names,
            train,
            val,
            test,
            skipped: self.skipped,
            drawn,
            alike: Alike::default(),
        })
    }
}

/// For training, draws the splits that the source does not have from the training images; to measure, leaves them as
/// they are.
///
/// # Errors
/// A split that stays empty; to measure, no image in any.
pub(super) fn fill_splits(
    root: &Path,
    train: Subset,
    val: Subset,
    test: Subset,
    options: &OpenOptions,
) -> Result<[Subset; 3]> {
    if options.purpose == Purpose::Evaluate {
        if train.is_empty() && val.is_empty() && test.is_empty() {
            return Err(Error::Layout {
                path: root.into(),
                expected: "at least one labelled image".into(),
                found: "none that can be read".into(),
            });
        }
        return Ok([train, val, test]);
    }
    let fractions = options.fractions(!val.is_empty(), !test.is_empty());
    let parts = train.targets().parts(train.classes(), &fractions, options.seed);
    let filled = [
        train.select(&parts[2])?,
        if val.is_empty() { train.select(&parts[0])? } else { val },
        if test.is_empty() { train.select(&parts[1])? } else { test },
    ];
    let lacks = |split: &Split| filled[*split as usize].is_empty() && !options.may_lack(*split);
    match Split::ALL.into_iter().find(lacks) {
        Some(split) => Err(Error::EmptySplit { path: root.into(), split, images: train.len() }),
        None => Ok(filled),
    }
}

/// Which splits were drawn.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    /// In words: which, how many images, and from how many.
    pub(crate) text: String,
    /// The images of each split before.
    pub(crate) given: [usize; 3],
    /// Whether each image could have been drawn by itself.
    pub(crate) is_free: bool,
}

impl Drawn {
    /// By the images of each split before and after; None if none was drawn.
    pub(crate) fn new(given: [usize; 3], now: [usize; 3]) -> Option<Self> {
        drawn_text(given, now).map(|text| Self { text, given, is_free: true })
    }
}

fn drawn_text(given: [usize; 3], now: [usize; 3]) -> Option<String> {
    let missing: Vec<Split> = Split::ALL
        .into_iter()
        .filter(|&split| given[split as usize] == 0 && now[split as usize] > 0)
        .collect();
    let train = given[Split::Train as usize];
    match missing[..] {
        [] => None,
        [only] => Some(format!(
            "the source has no {only} split: {} of its {train} training images are drawn for it, {} stay",
            now[only as usize], now[0]
        )),
        _ => Some(format!(
            "the source has no val and no test split: {} and {} of its {train} images are drawn for them, {} stay to train \
             on",
            now[1], now[2], now[0]
        )),
    }
}

/// Decides whether what cannot be used is tolerable.
pub(super) fn check_skipped(
    root: &Path,
    skipped: &[Skipped],
    usable: usize,
    options: &OpenOptions,
) -> Result<()> {
    let mut unusable = skipped.iter().filter(|skip| !skip.kind.is_note());
    let count = unusable.clone().count();
    if let (true, Some(first)) = (options.strict, unusable.next()) {
        let (path, reason) = (first.path.clone(), first.reason.clone());
        return Err(Error::Strict { path, reason, count, total: count + usable });
    }
    let unreadable = skipped.iter().filter(|skip| skip.kind == SkipKind::Unreadable);
    let count = unreadable.clone().count();
    if let (true, Some(first)) =
        (count as f64 > options.max_unreadable * (count + usable) as f64, unreadable.clone().next())
    {
        return Err(Error::TooManyUnreadable {
            path: root.into(),
            count,
            total: count + usable,
            allowed_percent: options.max_unreadable * 100.0,
            first: first.path.clone(),
            reason: first.reason.clone(),
            others: other_reasons(unreadable, first).into(),
        });
    }
    Ok(())
}

/// The lines of `classes.txt` in a folder, if there is one.
pub(super) fn classes_file(folder: &Path) -> Result<Option<Vec<String>>> {
    let path = folder.join("classes.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_text(&path, MAX_NAMES, "a list of class names")?;
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(str::to_owned).collect();
    if names.is_empty() {
        let expected = "the name of a class in each line".into();
        return Err(Error::Layout { path, expected, found: "none".into() });
    }
    Ok(Some(names))
}

/// The files in a folder whose name ends in `end`, in natural order, without hidden ones and those that are left out.
pub(super) fn files_ending_in(folder: &Path, end: &str, exclude: &Exclude) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = file_name(&path);
        let fits = !name.starts_with('.') && name.to_ascii_lowercase().ends_with(end);
        if fits && path.is_file() && exclude.matching(&path).is_none() {
            files.push(path);
        }
    }
    files.sort_by(|a, b| natural_cmp(&file_name(a), &file_name(b)));
    Ok(files)
}

/// The split of each file by the beginning of its name; where no name tells, all are for training.
///
/// # Errors
/// Some names tell and others do not.
pub(super) fn splits_of(folder: &Path, files: &[PathBuf]) -> Result<Vec<Split>> {
    let splits: Vec<Option<Split>> = files.iter().map(|path| Split::by_prefix(&file_name(path))).collect();
    if splits.iter().all(Option::is_none) {
        return Ok(vec![Split::Train; files.len()]);
    }
    match splits.iter().position(Option::is_none) {
        Some(at) => Err(Error::Layout {
            path: folder.into(),
            expected: "every file's name to begin with its split (train, val or validation, test), or none"
                .into(),
            found: format!("{} beside files of splits", file_name(&files[at])),
        }),
        None => Ok(splits.into_iter().flatten().collect()),
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

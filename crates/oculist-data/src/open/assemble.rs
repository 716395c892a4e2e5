//! From labelled files to a data set: the rules for classes, splits and unusable files that all sources share.

use crate::error::{Error, Result, shortened};
use crate::limits::{MAX_NAMES, read_text};
use crate::reasons::{other_reasons, passed_over};
use crate::scan::{Candidate, scan};
use crate::store::FileStore;
use crate::{
    Dataset, ImageStore, OpenOptions, Purpose, SkipKind, Skipped, Split, Subset, natural_cmp,
    stratified_parts,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image that a source names.
pub(super) struct Entry {
    pub(super) split: Split,
    /// Index into the names of [`Collected`].
    pub(super) class: u32,
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
    pub(super) class: u32,
}

/// A sample that the source declares and that does not become one; it counts towards the limit.
pub(super) fn lost(path: PathBuf, reason: impl Into<String>) -> Skipped {
    Skipped { path, reason: reason.into(), kind: SkipKind::Unreadable }
}

/// Something worth telling that is no damage.
pub(super) fn note(path: &Path, reason: String) -> Skipped {
    Skipped { path: path.into(), reason, kind: SkipKind::Unused }
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
        for Named { candidate, split, class } in named {
            entries.push(Entry { split, class, item: None });
            candidates.push(candidate);
        }
        let mut files = Vec::new();
        for (found, entry) in scan(&candidates, options).into_iter().zip(&mut entries) {
            match found {
                Ok(file) => {
                    entry.item = Some(files.len() as u32);
                    files.push(file);
                }
                Err(skip) => skipped.push(skip),
            }
        }
        check_skipped(root, &skipped, files.len(), options)?;
        let store = Arc::new(FileStore::new(files, options.max_pixels));
        Ok(Self { root: root.into(), class_names, ordered, entries, skipped, store })
    }

    /// Checks the classes and draws the missing splits.
    ///
    /// # Errors
    /// No class or one; a class that only the validation or test split has; a class or a split without a
    /// usable image.
    pub(super) fn into_dataset(mut self, options: &OpenOptions) -> Result<Dataset> {
        let root = self.root.clone();
        if self.entries.is_empty() {
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
            named[entry.split as usize][entry.class as usize] += 1;
            usable[entry.split as usize][entry.class as usize] += usize::from(entry.item.is_some());
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
                if named[split as usize][class] > 0 && usable[split as usize][class] == 0 {
                    return Err(Error::EmptyClass { path, class: class_name, split });
                }
            }
            classes.push(class);
        }
        if let ([only], true) = (&classes[..], training) {
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
            let (items, split_labels) = of_split
                .filter_map(|entry| Some((entry.item?, labels[entry.class as usize])))
                .unzip::<_, _, Vec<_>, Vec<_>>();
            Subset::new(Arc::clone(&self.store), items, split_labels, classes.len())
        };
        let [train, val, test] = [subset(Split::Train)?, subset(Split::Val)?, subset(Split::Test)?];
        let images = self.entries.len();
        if let Some(error) = continuous(&root, &self.class_names, images, false).filter(|_| training) {
            return Err(error);
        }
        let [train, val, test] = fill_splits(&root, train, val, test, options)
            .map_err(|error| continuous(&root, &self.class_names, images, true).unwrap_or(error))?;
        let class_names = classes.iter().map(|&class| self.class_names[class].clone()).collect();
        let source = root.display().to_string();
        Ok(Dataset { source, class_names, train, val, test, skipped: self.skipped })
    }
}

/// The error for labels that are quantities rather than classes: all are numbers, and a value has fewer than three images
/// on average. Whole numbers may well be classes, so that they count only where `whole` says that nothing else fits.
fn continuous(root: &Path, names: &[String], images: usize, whole: bool) -> Option<Error> {
    let number = |name: &String| name.trim().replace(',', ".").parse::<f64>().ok().filter(|v| v.is_finite());
    let values: Vec<f64> = names.iter().map(number).collect::<Option<_>>()?;
    let fractions = values.iter().any(|value| value.fract() != 0.0);
    if values.len() * 3 <= images || values.len() < 3 || !(fractions || whole) {
        return None;
    }
    let examples = names.iter().take(3).map(|name| shortened(name)).collect::<Vec<_>>().join(", ");
    Some(Error::Continuous { path: root.into(), values: values.len(), images, examples })
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
    let parts = stratified_parts(train.labels(), train.classes(), &fractions, options.seed);
    let filled = [
        train.select(&parts[2])?,
        if val.is_empty() { train.select(&parts[0])? } else { val },
        if test.is_empty() { train.select(&parts[1])? } else { test },
    ];
    match Split::ALL.into_iter().find(|&split| filled[split as usize].is_empty()) {
        Some(split) => Err(Error::EmptySplit { path: root.into(), split, images: train.len() }),
        None => Ok(filled),
    }
}

/// Decides whether what cannot be used is tolerable.
pub(super) fn check_skipped(
    root: &Path,
    skipped: &[Skipped],
    usable: usize,
    options: &OpenOptions,
) -> Result<()> {
    let mut unusable = skipped.iter().filter(|skip| skip.kind != SkipKind::Unused);
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

/// The files in a folder whose name ends in `end`, in natural order, without hidden ones.
pub(super) fn files_ending_in(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = file_name(&path);
        if path.is_file() && !name.starts_with('.') && name.to_ascii_lowercase().ends_with(end) {
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

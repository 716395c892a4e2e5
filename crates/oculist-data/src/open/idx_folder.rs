//! A folder of IDX files.

use crate::error::{Error, Result};
use crate::idx::{IdxImages, read_idx_images, read_idx_labels};
use crate::{Dataset, MemoryStore, OpenOptions, Purpose, Split, Subset, stratified_parts};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TRAIN: [&str; 1] = ["train"];
const TEST: [&str; 2] = ["t10k", "test"];

/// The file `<prefix>-<images|labels>-idx<n>-ubyte`, also with a dot before `idx`, also with `.gz`.
fn find(folder: &Path, prefixes: &[&str], what: &str) -> Option<PathBuf> {
    for prefix in prefixes {
        for separator in ["-", "."] {
            for dimensions in [1, 3, 4] {
                for end in ["", ".gz"] {
                    let name = format!("{prefix}-{what}{separator}idx{dimensions}-ubyte{end}");
                    let path = folder.join(name);
                    if path.is_file() {
                        return Some(path);
                    }
                }
            }
        }
    }
    None
}

/// True if any file of a pair is there.
pub(super) fn is_idx_folder(folder: &Path) -> bool {
    let has = |prefixes: &[&str], what| find(folder, prefixes, what).is_some();
    ["images", "labels"].iter().any(|what| has(&TRAIN, what) || has(&TEST, what))
}

/// Images and labels that belong together.
pub(super) struct Pair {
    pub(super) images: IdxImages,
    pub(super) labels: Vec<u32>,
    pub(super) images_path: PathBuf,
    pub(super) labels_path: PathBuf,
}

impl Pair {
    pub(super) fn new(
        images_path: PathBuf,
        images: IdxImages,
        labels_path: PathBuf,
        labels: &[u8],
    ) -> Result<Self> {
        if images.count != labels.len() {
            return Err(Error::IdxCounts {
                images: images.count,
                labels: labels.len(),
                images_path,
                labels_path,
            });
        }
        let labels = labels.iter().map(|&label| u32::from(label)).collect();
        Ok(Self { images, labels, images_path, labels_path })
    }

    fn read(folder: &Path, prefixes: &[&str]) -> Result<Option<Self>> {
        let (images, labels) = (find(folder, prefixes, "images"), find(folder, prefixes, "labels"));
        let missing = |what, dimensions| Error::Missing {
            path: folder.join(format!("{}-{what}-idx{dimensions}-ubyte.gz", prefixes[0])),
        };
        match (images, labels) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(missing("images", 3)),
            (Some(_), None) => Err(missing("labels", 1)),
            (Some(images_path), Some(labels_path)) => {
                let images = read_idx_images(&images_path)?;
                let labels = read_idx_labels(&labels_path)?;
                Self::new(images_path, images, labels_path, &labels).map(Some)
            }
        }
    }

    fn into_subset(self, classes: usize) -> Result<Subset> {
        let Self { images, labels, images_path, labels_path } = self;
        if let Some(index) = labels.iter().position(|&label| label as usize >= classes) {
            let label = labels[index];
            return Err(Error::Label { path: labels_path, label, index, classes });
        }
        let shape = (images.width, images.height, images.channels);
        let store = MemoryStore::new(images_path.display().to_string(), shape, images.pixels)?;
        Subset::new(Arc::new(store), (0..labels.len() as u32).collect(), labels, classes)
    }
}

pub(super) fn open(folder: &Path, names: Option<&[String]>, options: &OpenOptions) -> Result<Dataset> {
    let train = Pair::read(folder, &TRAIN)?;
    let test = Pair::read(folder, &TEST)?;
    let names = match names {
        Some(names) => names.to_vec(),
        None => {
            let pairs = train.iter().chain(test.iter().filter(|_| options.purpose == Purpose::Evaluate));
            class_names(folder, pairs.flat_map(|pair| &pair.labels))?
        }
    };
    build(folder, train, test, names, options)
}

/// Names from `classes.txt`, else the labels' numbers.
fn class_names<'a>(folder: &Path, labels: impl Iterator<Item = &'a u32>) -> Result<Vec<String>> {
    let path = folder.join("classes.txt");
    if path.is_file() {
        let text = oculist_files::read_to_string(&path).map_err(Error::io(path))?;
        return Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect());
    }
    let classes = labels.max().map_or(0, |&max| max + 1);
    Ok((0..classes).map(|label| label.to_string()).collect())
}

/// Splits the training pair, and gives each part its checks; to measure, takes the pairs as they are.
pub(super) fn build(
    folder: &Path,
    train: Option<Pair>,
    test: Option<Pair>,
    class_names: Vec<String>,
    options: &OpenOptions,
) -> Result<Dataset> {
    if options.purpose == Purpose::Evaluate {
        return as_given(folder, train, test, class_names);
    }
    let train = train.ok_or_else(|| Error::Missing { path: folder.join("train-images-idx3-ubyte.gz") })?;
    let classes = class_names.len();
    let train_path = train.images_path.clone();
    let train = train.into_subset(classes)?;
    let fractions = options.fractions(false, test.is_some());
    let parts = stratified_parts(train.labels(), classes, &fractions, options.seed);
    let test_labels_path = test.as_ref().map(|pair| pair.labels_path.clone());
    let dataset = Dataset {
        source: folder.display().to_string(),
        val: train.select(&parts[0])?,
        test: match test {
            Some(pair) => pair.into_subset(classes)?,
            None => train.select(&parts[1])?,
        },
        train: train.select(&parts[2])?,
        class_names,
        skipped: Vec::new(),
    };
    let counts = dataset.train.class_counts();
    let present: Vec<usize> = (0..classes).filter(|&c| counts[c] > 0).collect();
    if let [only] = present[..] {
        return Err(Error::OneClass { path: train_path, class: dataset.class_names[only].clone() });
    }
    for (split, subset) in [(Split::Val, &dataset.val), (Split::Test, &dataset.test)] {
        if subset.is_empty() {
            return Err(Error::EmptySplit { path: folder.into(), split, images: train.len() });
        }
    }
    let test_counts = dataset.test.class_counts();
    for class in 0..classes {
        let name = || dataset.class_names[class].clone();
        if counts[class] == 0 && test_counts[class] > 0 {
            let path = test_labels_path.unwrap_or(train_path);
            return Err(Error::UnknownClass { path, class: name(), split: Split::Test });
        }
        if counts[class] == 0 {
            return Err(Error::EmptyClass { path: train_path, class: name(), split: Split::Train });
        }
    }
    Ok(dataset)
}

/// The pairs as splits, whatever classes they have; there is no validation split.
fn as_given(
    folder: &Path,
    train: Option<Pair>,
    test: Option<Pair>,
    class_names: Vec<String>,
) -> Result<Dataset> {
    let classes = class_names.len();
    let [train, test] = [train, test].map(|pair| pair.map(|pair| pair.into_subset(classes)).transpose());
    let (train, test) = (train?, test?);
    let given = train.as_ref().or(test.as_ref());
    let none = given
        .ok_or_else(|| Error::Layout {
            path: folder.into(),
            expected: "a pair of images and labels".into(),
            found: "none".into(),
        })?
        .select(&[])?;
    Ok(Dataset {
        source: folder.display().to_string(),
        train: train.unwrap_or_else(|| none.clone()),
        test: test.unwrap_or_else(|| none.clone()),
        val: none,
        class_names,
        skipped: Vec::new(),
    })
}

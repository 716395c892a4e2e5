//! A folder of IDX files.

use super::assemble::{Drawn, check_skipped, classes_file, lost, note};
use super::folder::listed;
use crate::alike::Alike;
use crate::error::{Error, Result};
use crate::idx::{IdxImages, read_images, read_labels};
use crate::reasons::passed_over;
use crate::{Dataset, MemoryStore, OpenOptions, Purpose, Skipped, Split, Subset};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TRAIN: [&str; 1] = ["train"];
const TEST: [&str; 2] = ["t10k", "test"];

/// The file `<prefix>-<images|labels>-idx<n>-ubyte`, also with a dot before `idx`, also with `.gz`.
fn find(folder: &Path, before: &str, prefixes: &[&str], what: &str) -> Option<PathBuf> {
    for prefix in prefixes {
        for separator in ["-", "."] {
            for dimensions in [1, 3, 4] {
                for end in ["", ".gz"] {
                    let name = format!("{before}{prefix}-{what}{separator}idx{dimensions}-ubyte{end}");
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

/// The names in the folder that end as those of IDX files do, sorted.
fn idx_names(folder: &Path) -> Vec<String> {
    let ends = |name: &str| {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        ["-", "."].iter().any(|sep| [1, 3, 4].iter().any(|n| name.ends_with(&format!("{sep}idx{n}-ubyte"))))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && ends(name)).collect();
    names.sort();
    names
}

/// What stands before `train-images` and so on: nothing, or the name of the data set, as in `emnist-letters-train-images`.
///
/// # Errors
/// [`Error::Layout`] for files of several data sets, or files whose names do not tell what they are.
fn name_of_set(folder: &Path) -> Result<String> {
    let names = idx_names(folder);
    let before = |name: &String| {
        let of = |split: &str| ["images", "labels"].map(|what| format!("{split}-{what}"));
        let marks = TRAIN.iter().chain(&TEST).flat_map(|split| of(split));
        let at = marks.filter_map(|mark| name.find(&mark)).max()?;
        Some(name[..at].to_owned())
    };
    let sets: BTreeSet<String> = names.iter().filter_map(before).collect();
    // The plain names are those of the data set, whatever lies beside them.
    if sets.contains("") {
        return Ok(String::new());
    }
    let wrong = |expected: &str| Error::Layout {
        path: folder.into(),
        expected: expected.into(),
        found: if names.is_empty() { "none".into() } else { listed(&names) },
    };
    match sets.len() {
        0 => Err(wrong(
            "IDX files called train-images-idx3-ubyte and train-labels-idx1-ubyte (with t10k or test for train: the test \
             split), perhaps behind the name of the data set",
        )),
        1 => Ok(sets.into_iter().next().unwrap_or_default()),
        _ => Err(wrong("the IDX files of one data set (put those of the others into folders of their own)")),
    }
}

/// True if any file is there that is called like an IDX file.
pub(super) fn is_idx_folder(folder: &Path) -> bool {
    !idx_names(folder).is_empty()
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

    fn read(folder: &Path, before: &str, prefixes: &[&str], options: &OpenOptions) -> Result<Option<Self>> {
        let (images, labels) =
            (find(folder, before, prefixes, "images"), find(folder, before, prefixes, "labels"));
        let missing = |what, dimensions| Error::Missing {
            path: folder.join(format!("{before}{}-{what}-idx{dimensions}-ubyte.gz", prefixes[0])),
        };
        match (images, labels) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(missing("images", 3)),
            (Some(_), None) => Err(missing("labels", 1)),
            (Some(images_path), Some(labels_path)) => {
                let images = read_images(&images_path, options.max_encoded_bytes)?;
                let labels = read_labels(&labels_path, options.max_encoded_bytes)?;
                Self::new(images_path, images, labels_path, &labels).map(Some)
            }
        }
    }

    /// The images whose label has a class.
    fn into_subset(self, numbers: &Numbers, skipped: &mut Vec<Skipped>) -> Result<Subset> {
        let Self { images, labels, images_path, labels_path } = self;
        let (mut items, mut classes) = (Vec::with_capacity(labels.len()), Vec::with_capacity(labels.len()));
        for (index, &label) in labels.iter().enumerate() {
            if let Some(&class) = numbers.classes.get(&label) {
                items.push(index as u32);
                classes.push(class);
            } else {
                let Numbers { first, named, .. } = numbers;
                let last = (first + named).saturating_sub(1);
                let reason = format!(
                    "expected a label from {first} to {last}, as {named} classes have names, found {label}"
                );
                skipped.push(lost(labels_path.join(format!("image {index}")), reason));
            }
        }
        let shape = (images.width, images.height, images.channels);
        let store = MemoryStore::new(images_path.display().to_string(), shape, images.pixels)?;
        Subset::new(Arc::new(store), items, classes, numbers.classes.len())
    }
}

pub(super) fn open(folder: &Path, names: Option<&[String]>, options: &OpenOptions) -> Result<Dataset> {
    let before = name_of_set(folder)?;
    let train = Pair::read(folder, &before, &TRAIN, options)?;
    let test = Pair::read(folder, &before, &TEST, options)?;
    let names = match names {
        Some(names) => Names::FromZero(names.to_vec()),
        None => classes_file(folder)?.map_or(Names::None, Names::Listed),
    };
    build(folder, train, test, names, options)
}

/// What the classes are called.
pub(super) enum Names {
    /// By the labels' numbers.
    None,
    /// By a list whose first name is that of label 0.
    FromZero(Vec<String>),
    /// By a list for the labels in their order, from 0 or, if no label is 0 and the last would have no name, from 1.
    Listed(Vec<String>),
}

/// From the numbers that labels are to classes.
struct Numbers {
    /// The label of the first name.
    first: usize,
    /// How many labels have a name.
    named: usize,
    /// The class of each label that occurs and has a name.
    classes: BTreeMap<u32, u32>,
    class_names: Vec<String>,
    notes: Vec<String>,
}

impl Numbers {
    /// The labels that occur are the classes, in their order.
    fn new(present: &BTreeSet<u32>, names: Names) -> Self {
        let (lowest, highest) = (present.first().copied(), present.last().copied().unwrap_or_default());
        let mut notes = Vec::new();
        let (first, names) = match names {
            Names::None => (0, (0..=highest).map(|label| label.to_string()).collect()),
            Names::Listed(names) if lowest > Some(0) && highest as usize == names.len() => {
                let n = names.len();
                notes.push(format!(
                    "labels from {} to {n} for {n} names: the first name is that of label 1",
                    lowest.unwrap_or(1)
                ));
                (1, names)
            }
            Names::FromZero(names) | Names::Listed(names) => (0, names),
        };
        let mut numbers =
            Self { first, named: names.len(), classes: BTreeMap::new(), class_names: Vec::new(), notes };
        let by_number = names.len() as u64 == u64::from(highest) + 1;
        for (i, name) in names.into_iter().enumerate() {
            let label = (i + first) as u32;
            if present.contains(&label) {
                numbers.classes.insert(label, numbers.class_names.len() as u32);
                numbers.class_names.push(name);
            } else if !(by_number && name == label.to_string()) {
                numbers.notes.push(format!("class \"{name}\" is declared but has no image"));
            }
        }
        numbers
    }
}

/// Splits the training pair, and gives each part its checks; to measure, takes the pairs as they are.
///
/// # Errors
/// Fewer than two classes; a class that only the test images have; more labels without a class than the options allow.
pub(super) fn build(
    folder: &Path,
    train: Option<Pair>,
    test: Option<Pair>,
    names: Names,
    options: &OpenOptions,
) -> Result<Dataset> {
    if train.is_none() && test.is_some() && options.purpose == Purpose::Train {
        return Err(Error::NoTraining { path: folder.into(), found: Split::Test });
    }
    if train.is_none() && options.purpose == Purpose::Train {
        return Err(Error::Missing { path: folder.join("train-images-idx3-ubyte.gz") });
    }
    let Some(given) = train.as_ref().or(test.as_ref()) else {
        return Err(Error::Layout {
            path: folder.into(),
            expected: "a pair of images and labels".into(),
            found: "none".into(),
        });
    };
    let (train_path, labels_path) = (given.images_path.clone(), given.labels_path.clone());
    let test_labels_path = test.as_ref().map(|pair| pair.labels_path.clone());
    let present: BTreeSet<u32> = train.iter().chain(&test).flat_map(|pair| &pair.labels).copied().collect();
    let numbers = Numbers::new(&present, names);
    let mut skipped: Vec<Skipped> =
        numbers.notes.iter().map(|text| note(&labels_path, text.clone())).collect();
    let mut subset =
        |pair: Option<Pair>| pair.map(|pair| pair.into_subset(&numbers, &mut skipped)).transpose();
    let (train, test) = (subset(train)?, subset(test)?);
    let images = train.as_ref().map_or(0, Subset::len) + test.as_ref().map_or(0, Subset::len);
    check_skipped(folder, &skipped, images, options)?;
    let classes = numbers.class_names.len();
    let train = match train {
        Some(train) if options.purpose == Purpose::Train => train,
        train => return as_given(folder, train, test, numbers.class_names, skipped),
    };
    let fractions = options.fractions(false, test.is_some());
    let given = [train.len(), 0, test.as_ref().map_or(0, Subset::len)];
    let parts = train.targets().parts(classes, &fractions, options.seed);
    let mut dataset = Dataset {
        source: folder.display().to_string(),
        val: train.select(&parts[0])?,
        test: match test {
            Some(test) => test,
            None => train.select(&parts[1])?,
        },
        train: train.select(&parts[2])?,
        class_names: numbers.class_names,
        skipped,
        drawn: None,
        alike: Alike::default(),
    };
    dataset.drawn = Drawn::new(given, [dataset.train.len(), dataset.val.len(), dataset.test.len()]);
    let counts = dataset.train.class_counts();
    let present: Vec<usize> = (0..classes).filter(|&c| counts[c] > 0).collect();
    if let [only] = present[..] {
        let (class, passed) = (dataset.class_names[only].clone(), passed_over(&dataset.skipped));
        return Err(Error::OneClass { path: train_path, class, passed });
    }
    for (split, subset) in [(Split::Val, &dataset.val), (Split::Test, &dataset.test)] {
        if subset.is_empty() && !options.may_lack(split) {
            return Err(Error::EmptySplit { path: folder.into(), split, images: train.len() });
        }
    }
    if let Some(class) = (0..classes).find(|&class| counts[class] == 0) {
        let path = test_labels_path.unwrap_or(train_path);
        let class = dataset.class_names[class].clone();
        return Err(Error::UnknownClass { path, class, split: Split::Test });
    }
    Ok(dataset)
}

/// The pairs as splits, whatever classes they have; there is no validation split.
fn as_given(
    folder: &Path,
    train: Option<Subset>,
    test: Option<Subset>,
    class_names: Vec<String>,
    skipped: Vec<Skipped>,
) -> Result<Dataset> {
    let none = train.as_ref().or(test.as_ref()).map(|given| given.select(&[])).transpose()?;
    let none = none.ok_or_else(|| Error::Missing { path: folder.into() })?;
    Ok(Dataset {
        source: folder.display().to_string(),
        train: train.unwrap_or_else(|| none.clone()),
        test: test.unwrap_or_else(|| none.clone()),
        val: none,
        class_names,
        skipped,
        drawn: None,
        alike: Alike::default(),
    })
}

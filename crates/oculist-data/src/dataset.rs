//! A data set: three splits, class names, and what was left out.

use crate::alike::{Alike, Duplicates, settle};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::open::{self, Drawn};
use crate::thin::told;
use crate::{DEFAULT_MAX_PIXELS, Exclude, LabelForm, SkipKind, Skipped, Split, Subset, Summary, Task};
use std::path::{Path, PathBuf};

/// How thoroughly image files are looked at when a folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Decode every file if the whole folder has at most 3 billion pixels (about 15,000 photos of
    /// 500x400), else headers and completeness only.
    #[default]
    Auto,
    /// Headers and completeness (a JPEG's end marker, a PNG's last chunk, a WebP's length).
    Headers,
    /// Decode every file.
    Decode,
}

/// What a data set is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To train on: there must be two classes and images of each to learn from, and the splits that the source does not
    /// have are drawn.
    #[default]
    Train,
    /// To measure a model on: the images are taken as the source gives them. No split is drawn, so that splits may be
    /// empty; one class is enough, and any split may have any class.
    Evaluate,
}

/// How to open a data set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Where the data of a named set lies instead of its usual place.
    pub data_dir: Option<PathBuf>,
    /// Seed of random splits.
    pub seed: u64,
    /// Part of the training images that becomes the validation split, where the source has none; without a
    /// value 0.1, and 0.15 where the test split must be drawn too.
    pub val_fraction: Option<f64>,
    /// Part of the training images that becomes the test split, where the source has none; with 0 there is no test split then.
    pub test_fraction: f64,
    /// Any unreadable file is an error.
    pub strict: bool,
    /// Largest part of the samples that may be lost: unreadable images, rows without a label or an image, members of
    /// archives without a partner, boxes outside their picture.
    pub max_unreadable: f64,
    /// Largest number of pixels an image may declare.
    pub max_pixels: u64,
    /// Largest number of bytes of images that a source may hold in memory (encoded ones of Parquet, pixels of IDX and
    /// CIFAR).
    pub max_encoded_bytes: u64,
    /// Threads for looking at files; 0 means as many as the machine has.
    pub threads: usize,
    /// How thoroughly to look.
    pub verify: Verify,
    /// What the images are for.
    pub purpose: Purpose,
    /// Whether an image has one label or any number of them.
    pub task: Task,
    /// What is done about images that repeat each other: splits that are drawn keep them on one side.
    pub duplicates: Duplicates,
    /// How a list says which labels an image has, where what it holds leaves a choice; for [`Task::MultiLabel`] only.
    pub label_form: Option<LabelForm>,
    /// How a folder is laid out, where what it holds leaves a choice.
    pub layout: Option<Layout>,
    /// Patterns of names that are left out, as for [`Exclude::new`](crate::Exclude::new): files and folders, rows of
    /// manifests, members of tar files, images of COCO lists.
    pub exclude: Vec<String>,
    /// The same, read when a data set is opened.
    pub(crate) left_out: Exclude,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            data_dir: None,
            seed: 0,
            val_fraction: None,
            test_fraction: 0.15,
            strict: false,
            max_unreadable: 0.05,
            max_pixels: DEFAULT_MAX_PIXELS,
            max_encoded_bytes: 4 << 30,
            threads: 0,
            verify: Verify::Auto,
            purpose: Purpose::Train,
            task: Task::SingleLabel,
            duplicates: Duplicates::Auto,
            label_form: None,
            layout: None,
            exclude: Vec::new(),
            left_out: Exclude::default(),
        }
    }
}

impl OpenOptions {
    /// The part of the training images for validation, where the source has a test split.
    pub(crate) const DEFAULT_VAL: f64 = 0.1;

    /// The part for validation, where the test split must be drawn too.
    pub(crate) const UNSPLIT_VAL: f64 = 0.15;

    /// Parts of the training images that become the validation and the test split.
    pub(crate) fn fractions(&self, has_val: bool, has_test: bool) -> [f64; 2] {
        let default_val = if has_test { Self::DEFAULT_VAL } else { Self::UNSPLIT_VAL };
        [
            if has_val { 0.0 } else { self.val_fraction.unwrap_or(default_val) },
            if has_test { 0.0 } else { self.test_fraction },
        ]
    }

    /// Whether a split may be without an image in data to train on: the test split, where none is to be drawn.
    pub(crate) fn may_lack(&self, split: Split) -> bool {
        split == Split::Test && self.test_fraction == 0.0
    }

    /// Threads to use.
    pub(crate) fn effective_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }

    fn validate(&self) -> Result<()> {
        let val = self.val_fraction.unwrap_or(Self::UNSPLIT_VAL);
        let fractions = [
            ("val_fraction", val),
            ("test_fraction", self.test_fraction),
            ("val_fraction + test_fraction", val + self.test_fraction),
            ("max_unreadable", self.max_unreadable),
        ];
        for (name, value) in fractions {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::Option {
                    name,
                    expected: "at least 0 and below 1",
                    found: value.to_string(),
                });
            }
        }
        match self.label_form {
            Some(form) if self.task == Task::SingleLabel => Err(Error::Option {
                name: "label_form",
                expected: "left out where images have one label",
                found: form.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// A labelled set of images in three splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the user named: a word or a path.
    pub(crate) source: String,
    pub(crate) class_names: Vec<String>,
    pub(crate) train: Subset,
    pub(crate) val: Subset,
    pub(crate) test: Subset,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) drawn: Option<Drawn>,
    pub(crate) alike: Alike,
}

impl Dataset {
    /// Opens a data set.
    ///
    /// `source` is one of
    /// - `demo`: 10,000 + 2,000 images of Fashion-MNIST, embedded;
    /// - `fashion-mnist`: the folder of the Debian package, or `options.data_dir`;
    /// - a folder with IDX files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, plain or
    ///   `.gz`), and optionally `classes.txt` with one class name a line;
    /// - a folder with `train/<class>/*` and optionally `val` and `test`, also called `Training`, `training_set`,
    ///   `train_images`, `seg_train`, `dev`, `holdout` and so on, also with one more folder around (`archive/train/...`)
    ///   or between (`train/images/<class>`);
    /// - a folder with `<class>/*`, where a class may be called `test` too;
    /// - a manifest `*.csv` or `*.jsonl` with `file_name`, `label` and optionally `split`, in these or other names
    ///   ([`read_manifest`](crate::read_manifest));
    /// - a folder with CIFAR's binary files: `data_batch_*.bin`, `test_batch.bin` and `batches.meta.txt`, or
    ///   `train.bin`, `test.bin` and `fine_label_names.txt`;
    /// - WebDataset: a `*.tar`, a folder of them, or `name-{000..009}.tar`, with members `key.jpg` (`jpeg`,
    ///   `png`, `webp`) and `key.cls`, or `key.json` with `label`, `cls` or `class`; `classes.txt` beside them
    ///   may name the numbers;
    /// - Parquet as Hugging Face has it: a `*.parquet`, or a folder of them (or with `data/*.parquet`), with
    ///   `image` (`img`), a struct of `bytes` and `path`, and `label` (`labels`, `fine_label`);
    /// - COCO: a `*.json`, a folder with `annotations/instances_train*.json` and so on, or with
    ///   `train/_annotations.coco.json` and so on; every box that is no crowd is cut out and is an image of its
    ///   category.
    ///
    /// Names of tar and Parquet files in a folder begin with their split (`train`, `val` or `validation`,
    /// `test`), or none does. What a source declares and what is not used (further columns, crowd boxes,
    /// classes without images) is listed in [`skipped`](Self::skipped) as
    /// [`SkipKind::Unused`](crate::SkipKind::Unused). What a source declares as a sample and that does not become one (rows
    /// without label, members without partner, boxes outside their picture) is listed as
    /// [`SkipKind::Unreadable`](crate::SkipKind::Unreadable) and counts towards `options.max_unreadable`. A class that only the validation or test split has is an
    /// error: its images cannot be recognised.
    ///
    /// Splits that are missing are drawn from the training images, class by class, by `options.seed`: where
    /// there is a test split, a tenth becomes the validation split; where there is none, 15 % each become
    /// the validation and the test split. A word names the built-in set even where a folder has that name;
    /// `./demo` is the folder.
    ///
    /// Of COCO boxes, whole images are drawn, so that no image is in two splits. Of other sources, images that repeat each other
    /// exactly or nearly are drawn together ([`Duplicates`], [`Dataset::alike`]): where the draw would cut a group of them, it is
    /// that of [`grouped_parts`](crate::grouped_parts).
    ///
    /// With [`Task::MultiLabel`], manifests may name several labels of an image in one column, in several rows or in a
    /// column of 0 and 1 for each class ([`LabelForm`]); of COCO annotations, whole images are read, with the categories
    /// that are annotated in them; members of tar files may hold lists. An image without labels is one that shows no
    /// class. Missing splits are drawn by [`iterative_parts`](crate::iterative_parts). Sources whose images can have one
    /// class only (folders, IDX, CIFAR, Parquet) are errors.
    ///
    /// Class names are in natural order (`class2` before `class10`), or in the order of the labels' numbers
    /// where the source names them. Folders are walked as [`walk`](crate::walk) does it. What is found and is of no
    /// class (files beside class folders, folders beside splits) is listed as
    /// [`SkipKind::Unused`](crate::SkipKind::Unused); where a folder can be read in two ways, the error
    /// [`Ambiguous`](Error::Ambiguous) names both, and `options.layout` or `options.exclude` decides.
    ///
    /// # Errors
    /// Everything in [`Error`] that speaks of files, folders, classes and formats.
    pub fn open(source: &str, options: &OpenOptions) -> Result<Self> {
        options.validate()?;
        Ok(told(settle(open::open(source, options)?, options)?, options))
    }

    /// Opens the folder or file at `path`, whatever it is called.
    ///
    /// # Errors
    /// As for [`Dataset::open`].
    pub fn open_path(path: &Path, options: &OpenOptions) -> Result<Self> {
        options.validate()?;
        Ok(told(settle(open::open_path(path, options)?, options)?, options))
    }

    /// What the user named: a word or a path.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What is to be told of an image.
    pub fn task(&self) -> Task {
        self.train.task()
    }

    /// Names of the classes; a label is an index into this list.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The images to learn from.
    pub fn train(&self) -> &Subset {
        &self.train
    }

    /// The images to decide on.
    pub fn val(&self) -> &Subset {
        &self.val
    }

    /// The images to report on.
    pub fn test(&self) -> &Subset {
        &self.test
    }

    /// One of the three.
    pub fn split(&self, split: Split) -> &Subset {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }

    /// Files and rows that were left out at opening, in the order of their paths, and what else is worth telling.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Which splits the source does not have and were drawn, how many images each, and from how many; None if none was.
    pub fn drawn(&self) -> Option<&str> {
        self.drawn.as_ref().map(|drawn| drawn.text.as_str())
    }

    /// What was found of images that repeat each other, when the data set was opened for training.
    pub fn alike(&self) -> &Alike {
        &self.alike
    }

    /// The same images with other labels: class c of this set is `labels[c]` of `class_names`; see
    /// [`Subset::relabelled`].
    ///
    /// # Errors
    /// A label that is not below the number of names.
    pub fn relabelled(&self, labels: &[Option<u32>], class_names: Vec<String>) -> Result<Self> {
        let classes = class_names.len();
        let of = |subset: &Subset| subset.relabelled(labels, classes);
        let (train, val, test) = (of(&self.train)?, of(&self.val)?, of(&self.test)?);
        Ok(Self { class_names, train, val, test, ..self.clone() })
    }

    /// All images of the three splits, those for training first.
    ///
    /// # Errors
    /// None in practice: the splits have the same classes.
    pub fn all(&self) -> Result<Subset> {
        Subset::joined(&[self.train.clone(), self.val.clone(), self.test.clone()])
    }

    /// Files and rows that were left out: all of [`skipped`](Self::skipped) but the notes.
    pub fn left_out(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().filter(|skip| !skip.kind.is_note())
    }

    /// What is worth telling although no sample is lost by it: images that are not read ([`SkipKind::Unread`]) first, then
    /// [`SkipKind::Unused`] and [`SkipKind::Lacking`].
    pub fn notes(&self) -> impl Iterator<Item = &Skipped> {
        let of = |kind| self.skipped.iter().filter(move |skip| skip.kind == kind);
        of(SkipKind::Unread).chain(of(SkipKind::Unused)).chain(of(SkipKind::Lacking))
    }

    /// Counts, sizes and what was left out, for display.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}

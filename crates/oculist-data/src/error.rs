//! The error type of this crate.

use crate::Split;
use std::path::PathBuf;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data set's folder or file is not there.
    #[error("{}: no such file or folder (a data set is a folder, a file such as a manifest, or one of the words demo and fashion-mnist)", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file of a kind that is no data set.
    #[error(
        "{}: expected a folder (of class folders, IDX, CIFAR, tar or Parquet files), or a file named *.csv, *.jsonl, *.tar, *.parquet or *.json (COCO), found another file",
        path.display()
    )]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The system does not give memory for images.
    #[error(transparent)]
    Memory(#[from] oculist_kernels::KernelError),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder has neither class folders nor IDX files.
    #[error(
        "{}: found no class folders (expected train/<class>/*, <class>/*, metadata.csv, IDX files such as train-images-idx3-ubyte.gz, CIFAR's binary files, COCO's annotations/instances_*.json, or *.tar or *.parquet files){passed}",
        path.display()
    )]
    NoClasses {
        /// The folder.
        path: PathBuf,
        /// What was passed over there, with the reasons; empty if nothing was.
        passed: Box<str>,
    },
    /// A class folder without a readable image.
    #[error("{}: class \"{class}\" has no readable image in the {split} split{why}", path.display())]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
        /// The class.
        class: String,
        /// The split.
        split: Split,
        /// The first of its files and what is wrong with it, with the separator before; empty if nothing is known.
        why: String,
    },
    /// Folders of splits that hold images and no class folders.
    #[error(
        "{}: expected class folders in the folders of the splits (train/<class>/*), found images in {folders} themselves, which tell no class: sort them into class folders, or give a list of labels (a CSV with file_name, label and split)",
        path.display()
    )]
    Unsorted {
        /// The folder.
        path: PathBuf,
        /// The folders of the splits.
        folders: String,
    },
    /// An error, and what may be the reason or help.
    #[error("{source}; {hint}")]
    Hint {
        /// What is wrong.
        source: Box<Error>,
        /// What else was found, as the end of a sentence.
        hint: String,
    },
    /// One class cannot be told from nothing.
    #[error("{}: found only the class \"{class}\", a classifier needs at least two{passed}", path.display())]
    OneClass {
        /// The folder.
        path: PathBuf,
        /// What was passed over there, with the reasons; empty if nothing was.
        passed: Box<str>,
        /// The class.
        class: String,
    },
    /// A class that training never shows.
    #[error("{}: class \"{class}\" is in the {split} split but not in the training split, so that its images cannot be recognised", path.display())]
    UnknownClass {
        /// The class folder.
        path: PathBuf,
        /// The class.
        class: String,
        /// The split that has it.
        split: Split,
    },
    /// Images to measure on, and none to train on.
    #[error(
        "{}: found the {found} split alone, expected images to train on (train/<class>/* or <class>/*); a model is measured on such a folder by `eval`",
        path.display()
    )]
    NoTraining {
        /// The folder.
        path: PathBuf,
        /// A split that is there.
        found: Split,
    },
    /// A folder that can be read in two ways with different results.
    #[error("{}: can be read in two ways: {}", path.display(), readings.join("; or "))]
    Ambiguous {
        /// The folder.
        path: PathBuf,
        /// The ways, each with what chooses it.
        readings: Vec<String>,
    },
    /// A split without any image.
    #[error("{}: too few images to fill the {split} split ({images} training images to draw it from); images in a folder {split}/ beside them would be its own", path.display())]
    EmptySplit {
        /// The data set.
        path: PathBuf,
        /// The split.
        split: Split,
        /// Images in the part that was split.
        images: usize,
    },
    /// Labels that are measurements.
    #[error(
        "{}: the labels are numbers, {values} different ones for {images} images (such as {examples}): this looks like regression, which oculist does not do; to classify, give each image the name of a class, for example of a range of values",
        path.display()
    )]
    Continuous {
        /// The data set.
        path: PathBuf,
        /// Different labels.
        values: usize,
        /// Images.
        images: usize,
        /// Some of the labels.
        examples: String,
    },
    /// Data in a format that others read.
    #[error("{}: this looks like {format} ({found}), which oculist does not read; {instead}", path.display())]
    Foreign {
        /// The folder or file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What it was recognised by.
        found: String,
        /// What would work.
        instead: String,
    },
    /// Images of which none can be read, so that nothing can be said about them.
    #[error("expected at least one image that can be read, found that none of {images} images can be read")]
    NothingReadable {
        /// Number of images.
        images: usize,
    },
    /// An image that cannot be read.
    #[error("{}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::DecodeError,
    },
    /// A file was skipped although everything must be readable.
    #[error(
        "{}: {reason} ({count} of {total} files cannot be used; without strict checking they are skipped)",
        path.display()
    )]
    Strict {
        /// The first file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Files that cannot be used.
        count: usize,
        /// Files found.
        total: usize,
    },
    /// More files are unreadable than is likely to be an accident.
    #[error(
        "{}: {count} of {total} images are unreadable, more than {allowed_percent} %; the first: {} ({reason}){others}",
        path.display(), first.display()
    )]
    TooManyUnreadable {
        /// The data set.
        path: PathBuf,
        /// Unreadable images.
        count: usize,
        /// Images found.
        total: usize,
        /// Allowed part in percent.
        allowed_percent: f64,
        /// The first of them.
        first: PathBuf,
        /// What is wrong with the first.
        reason: String,
        /// How many have which other reason, with an example of each; empty if there is none.
        others: Box<str>,
    },
    /// An IDX file that does not begin as it must.
    #[error("{}: expected the IDX magic number {expected:#010x} ({what}), found {found:#010x}", path.display())]
    IdxMagic {
        /// The file.
        path: PathBuf,
        /// The magic number that belongs there.
        expected: u32,
        /// The number found.
        found: u32,
        /// What the file should hold.
        what: &'static str,
    },
    /// An IDX file that is shorter or longer than its header says.
    #[error("{}: the IDX header promises {expected} bytes of data, found {found}", path.display())]
    IdxLength {
        /// The file.
        path: PathBuf,
        /// Bytes by the header.
        expected: u64,
        /// Bytes found (or one more than expected, where reading stopped there).
        found: u64,
    },
    /// An IDX file whose sizes make no images.
    #[error("{}: the IDX header says {found}, expected at least one image of at least 1x1 pixels and 1 or 3 channels", path.display())]
    IdxShape {
        /// The file.
        path: PathBuf,
        /// The sizes, as text.
        found: String,
    },
    /// Images and labels do not belong together.
    #[error("{}: {images} images, but {labels} labels in {}", images_path.display(), labels_path.display())]
    IdxCounts {
        /// The file of images.
        images_path: PathBuf,
        /// The file of labels.
        labels_path: PathBuf,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A file that is not laid out as it must be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A line of a manifest that does not say what it must.
    #[error("{}, line {line}: expected {expected}, found {found}", path.display())]
    Line {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A list of images names files that are not there.
    #[error(
        "{}: {place} names {}, but there is no such regular file ({count} of {total} files are missing)",
        path.display(), file.display()
    )]
    MissingFiles {
        /// The list.
        path: PathBuf,
        /// Where it names the first missing file.
        place: String,
        /// The first missing file.
        file: PathBuf,
        /// Missing files.
        count: usize,
        /// Files named.
        total: usize,
    },
    /// An archive that ends too early.
    #[error("{}: the archive is cut short at byte {offset}: {detail}", path.display())]
    Cut {
        /// The archive.
        path: PathBuf,
        /// Where the part begins that is not all there.
        offset: u64,
        /// What is missing.
        detail: String,
    },
    /// An option or an argument outside its range.
    #[error("{name} must be {expected}, found {found}")]
    Option {
        /// The option.
        name: &'static str,
        /// What is allowed, in words.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// An index past the end.
    #[error("image {index} of a split of {len}")]
    Index {
        /// The index.
        index: usize,
        /// Number of images.
        len: usize,
    },
    /// An image operation failed.
    #[error(transparent)]
    Augment(#[from] oculist_augment::Error),
}

impl Error {
    /// The error with a hint behind it.
    pub(crate) fn with_hint(self, hint: String) -> Self {
        Self::Hint { source: Box::new(self), hint }
    }

    /// For `map_err` on system calls.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// True if the error is about one image alone, which a loader may skip.
    pub fn is_one_image(&self) -> bool {
        matches!(self, Self::Image { .. })
    }
}

/// What was found, in a length that a message can bear.
pub(crate) fn shortened(text: &str) -> String {
    const LENGTH: usize = 200;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

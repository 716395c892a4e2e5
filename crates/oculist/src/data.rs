//! The data set of a run, as the recipes see it.

pub(crate) mod alike;

use std::fmt;
use std::sync::OnceLock;

use oculist_augment::{Image, Preprocessing, ResizeRule};
use oculist_data::{
    Dataset, Duplicates, OpenOptions, Purpose, SkipKind, Split, Subset, Summary, Verify,
    suggest_preprocessing,
};
use oculist_files::{Digest, Hasher};
use serde::Serialize;

use crate::config::DataFacts;
use crate::deciding::is_about_splits;
use crate::error::{OculistError, wrong};
use crate::progress::Watch;
use crate::settings::Settings;
use crate::summary::counted;
use crate::transfer::features::Contents;

/// Named sets whose objects may be mirrored.
const MIRRORED: [&str; 2] = ["demo", "fashion-mnist"];

/// So many notes on what a source has and is not used are said in full.
const NAMED: usize = 3;

/// An opened data set.
#[derive(Debug)]
pub struct Source {
    dataset: Dataset,
    /// Digest of what a run reads, if it has been taken.
    identity: OnceLock<Digest>,
    /// The content of every image, if it has been read.
    contents: OnceLock<Contents>,
}

impl Source {
    /// Opens the data set that the settings name, for training.
    ///
    /// # Errors
    /// [`OculistError::Setting`] without a name; [`OculistError::Data`] if it cannot be read.
    pub fn open(settings: &Settings, threads: usize) -> Result<Self, OculistError> {
        Self::open_for(settings, threads, Purpose::Train)
    }

    /// Opens the data set that the settings name.
    ///
    /// # Errors
    /// As for [`Source::open`].
    pub fn open_for(settings: &Settings, threads: usize, purpose: Purpose) -> Result<Self, OculistError> {
        Self::open_verified(settings, threads, purpose, Verify::Auto)
    }

    fn open_verified(
        settings: &Settings,
        threads: usize,
        purpose: Purpose,
        verify: Verify,
    ) -> Result<Self, OculistError> {
        let name = settings
            .data
            .as_deref()
            .ok_or_else(|| wrong("data", "expected `demo`, `fashion-mnist` or a folder, found nothing"))?;
        let mut options = OpenOptions::default();
        options.data_dir.clone_from(&settings.data_dir);
        options.seed = settings.seed.unwrap_or(0);
        options.strict = settings.strict.unwrap_or(false);
        options.threads = threads;
        options.purpose = purpose;
        options.verify = verify;
        options.layout = settings.layout;
        options.task = settings.task.unwrap_or_default();
        options.label_form = settings.label_form;
        options.duplicates = settings.duplicates.unwrap_or_default();
        options.test_fraction = settings.test_fraction.unwrap_or(options.test_fraction);
        options.exclude = settings.exclude.clone().unwrap_or_default();
        if let Some(limit) = settings.max_image_bytes {
            options.max_encoded_bytes = limit.0;
        }
        Ok(Self::of(Dataset::open(name, &options)?))
    }

    /// Opens the data set for work that needs no training: what is not fit for it is taken as the source gives it, and why
    /// it is not is returned.
    ///
    /// # Errors
    /// As for [`Source::open`], but for what only training needs.
    pub(crate) fn open_to_look(settings: &Settings) -> Result<(Self, Option<String>), OculistError> {
        Self::open_leniently(settings, Verify::Auto)
    }

    /// The same for work that reads every image once and then tells those that cannot be read: they are decoded before
    /// that only where they are to be compared with each other.
    ///
    /// # Errors
    /// As for [`Source::open`], but for what only training needs.
    pub(crate) fn open_to_read(settings: &Settings) -> Result<(Self, Option<String>), OculistError> {
        let compared = settings.duplicates.unwrap_or_default() != Duplicates::Ignore;
        Self::open_leniently(settings, if compared { Verify::Auto } else { Verify::Headers })
    }

    fn open_leniently(settings: &Settings, verify: Verify) -> Result<(Self, Option<String>), OculistError> {
        let threads = settings.threads();
        match Self::open_verified(settings, threads, Purpose::Train, verify) {
            Err(OculistError::Data(error)) if is_unfit(&error) => {
                Ok((Self::open_verified(settings, threads, Purpose::Evaluate, verify)?, Some(unfit(&error))))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Images in memory, each with its classes as indices into `class_names`: exactly one, or with the setting `task` any
    /// number. Splits without an image are drawn by the seed, as for a folder without any; `splits` is empty for that.
    ///
    /// # Errors
    /// [`OculistError::Data`] for lists of different lengths, labels that are no classes, and what is refused of any data
    /// set.
    pub fn of_images(
        images: Vec<Image>,
        labels: Vec<Vec<u32>>,
        splits: &[Split],
        class_names: Vec<String>,
        settings: &Settings,
    ) -> Result<Self, OculistError> {
        Self::of_images_for(images, labels, splits, class_names, settings, Purpose::Train)
    }

    /// [`Source::of_images`] for a purpose: to be measured or looked at, images need no splits and may be of one class.
    ///
    /// # Errors
    /// As [`Source::of_images`].
    pub fn of_images_for(
        images: Vec<Image>,
        labels: Vec<Vec<u32>>,
        splits: &[Split],
        class_names: Vec<String>,
        settings: &Settings,
        purpose: Purpose,
    ) -> Result<Self, OculistError> {
        let mut options = OpenOptions::default();
        options.purpose = purpose;
        options.seed = settings.seed.unwrap_or(0);
        options.task = settings.task.unwrap_or_default();
        options.duplicates = settings.duplicates.unwrap_or_default();
        options.test_fraction = settings.test_fraction.unwrap_or(options.test_fraction);
        let name = settings.data.as_deref().unwrap_or("images");
        Ok(Self::of(Dataset::of_images(name, images, labels, splits, class_names, &options)?))
    }

    /// Wraps a data set that is open already.
    pub(crate) fn of(dataset: Dataset) -> Self {
        Self { dataset, identity: OnceLock::new(), contents: OnceLock::new() }
    }

    /// Notes the digest of what the run reads, to which checkpoints belong, and the content of its images.
    pub(crate) fn identify(&self, identity: Digest, contents: Contents) {
        // A run reads its inputs once; a second run on the same data has the same.
        let _ = self.identity.set(identity);
        let _ = self.contents.set(contents);
    }

    /// The content of every image, if it has been read.
    pub(crate) fn contents(&self) -> Option<&Contents> {
        self.contents.get()
    }

    /// The content of every image; reads them all the first time.
    ///
    /// # Errors
    /// [`OculistError::Data`] naming a file that cannot be read; [`OculistError::Stopped`].
    pub(crate) fn read_contents(
        &self,
        threads: usize,
        watch: &mut Watch<'_>,
    ) -> Result<&Contents, OculistError> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents);
        }
        let contents = Contents::of(&self.dataset, threads, watch)?;
        Ok(self.contents.get_or_init(|| contents))
    }

    /// That digest, or nothing.
    pub(crate) fn identity(&self) -> String {
        self.identity.get().map_or_else(String::new, ToString::to_string)
    }

    pub(crate) fn into_dataset(self) -> Dataset {
        self.dataset
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// One split.
    pub fn split(&self, split: Split) -> &Subset {
        self.dataset.split(split)
    }

    /// Class names in label order.
    pub fn class_names(&self) -> &[String] {
        self.dataset.class_names()
    }

    /// Lines for the terminal.
    pub(crate) fn describe_lines(&self) -> Vec<String> {
        let d = &self.dataset;
        let mut lines = vec![format!(
            "{}: {} training, {} validation and {} in {}",
            d.source(),
            d.train().len(),
            d.val().len(),
            counted(d.test().len(), "test image", "test images"),
            counted(d.class_names().len(), "class", "classes")
        )];
        lines.extend(d.drawn().map(str::to_owned));
        lines.extend(alike::notes(d.alike()));
        let of = |kind| d.skipped().iter().filter(move |skip| skip.kind == kind);
        let count = |kind, one: &str, many: &str| {
            let n = of(kind).count();
            (n > 0).then(|| counted(n, one, many))
        };
        let skipped = [
            count(SkipKind::Unreadable, "unreadable image", "unreadable images"),
            count(SkipKind::NotAnImage, "file that is no image", "files that are no images"),
        ];
        let skipped: Vec<String> = skipped.into_iter().flatten().collect();
        if let Some(first) = d.skipped().iter().find(|skip| !skip.kind.is_note()) {
            lines.push(format!(
                "skipped: {}; the first: {}: {}",
                skipped.join(" and "),
                first.path.display(),
                first.reason
            ));
        }
        // Pictures that are there and not read are never passed over in silence.
        let line = |s: &oculist_data::Skipped| format!("{}: {}", s.path.display(), s.reason);
        lines.extend(of(SkipKind::Unread).map(line));
        lines.extend(of(SkipKind::Unused).take(NAMED).map(line));
        if let Some(more) = of(SkipKind::Unused).count().checked_sub(NAMED).filter(|&more| more > 0) {
            lines.push(format!("and {more} more like that, which `data show` names"));
        }
        lines.extend(self.lacking_lines());
        lines
    }

    /// What a run and its report warn of: splits without an image of some class, images that lie in several.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.lacking_lines();
        warnings.extend(alike::warnings(&self.dataset));
        warnings
    }

    /// Those of the lines that tell of splits without an image of some class.
    fn lacking_lines(&self) -> Vec<String> {
        let of = self.dataset.skipped().iter().filter(|skip| skip.kind == SkipKind::Lacking);
        of.map(|skip| format!("{}: {}", skip.path.display(), skip.reason)).collect()
    }

    /// Lines on what was left out.
    pub(crate) fn skipped_lines(&self) -> Vec<String> {
        self.describe_lines().split_off(1)
    }

    /// The facts for the report.
    pub(crate) fn facts_for_report(&self) -> oculist_report::Data {
        let d = &self.dataset;
        let skipped = d
            .left_out()
            .map(|s| oculist_report::Skipped { path: s.path.display().to_string(), reason: s.reason.clone() })
            .collect();
        let license =
            MIRRORED.contains(&d.source()).then(|| "Fashion-MNIST, MIT licence, Zalando SE".to_owned());
        oculist_report::Data {
            name: d.source().to_owned(),
            train: d.train().len(),
            val: d.val().len(),
            test: d.test().len(),
            test_images: Some(identity_of(d.test(), d.class_names())),
            classes: d.class_names().len(),
            class_names: d.class_names().to_vec(),
            train_per_class: d.train().class_counts(),
            license,
            skipped,
            repeats: alike::facts(d.alike()),
        }
    }
}

/// A digest of the names and classes of images, in their order: equal for the same images, wherever they lie.
fn identity_of(images: &Subset, classes: &[String]) -> String {
    let names: Vec<String> = (0..images.len()).map(|i| images.name(i).replace('\\', "/")).collect();
    // The folder that all lie in is not of the images.
    let shared = names.iter().skip(1).fold(names.first().map_or(0, String::len), |shared, name| {
        name.bytes().zip(names[0].bytes()).take(shared).take_while(|(a, b)| a == b).count()
    });
    let folder = names.first().map_or(0, |first| {
        first.as_bytes()[..shared].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1)
    });
    let mut hasher = Hasher::new();
    for (i, name) in names.iter().enumerate() {
        hasher.part(&name.as_bytes()[folder..]).part(images.targets().text(i, classes).as_bytes());
    }
    hasher.finish().to_string()
}

/// The preprocessing in words.
pub(crate) fn preprocessing_text(p: &Preprocessing) -> String {
    let filter = p.interpolation.name();
    let resize = match p.resize {
        ResizeRule::Exact => format!("resized to {}x{} ({filter})", p.width, p.height),
        ResizeRule::ShorterSide(n) => {
            format!("shorter side to {n} pixels ({filter}), centre crop {}x{}", p.width, p.height)
        }
    };
    format!("{}, {resize}, then (x / 255 - mean) / std", p.color.name())
}

/// What the recipe needs to know of the data before it can decide the rest.
///
/// # Errors
/// [`OculistError::Data`] if the images looked at cannot be read.
pub(crate) fn facts(source: &Source, settings: &Settings) -> Result<DataFacts, OculistError> {
    let d = source.dataset();
    let preprocessing = suggest_preprocessing(d, settings.image_size, settings.threads())?;
    let small =
        preprocessing.resize == ResizeRule::Exact && preprocessing.height.max(preprocessing.width) <= 40;
    Ok(DataFacts {
        name: d.source().to_owned(),
        train: d.train().len(),
        classes: d.class_names().len(),
        class_counts: d.train().class_counts(),
        task: d.train().task(),
        flip: flip_suits(d.source(), d.class_names(), small),
        preprocessing,
    })
}

/// Whether a mirrored image surely keeps its class.
///
/// Not for classes that are single characters or tell sides apart, nor for small images of one size from an unknown
/// source, which are mostly digits and letters.
fn flip_suits(source: &str, class_names: &[String], small: bool) -> bool {
    if MIRRORED.contains(&source) {
        return true;
    }
    let characters = class_names.iter().all(|c| c.chars().count() <= 1);
    let sided = class_names.iter().any(|c| {
        c.to_lowercase().split(|ch: char| !ch.is_alphanumeric()).any(|word| word == "left" || word == "right")
    });
    !(characters || sided || small)
}

/// Whether it is only for training that a data set is refused, so that it can be looked at all the same.
pub(crate) fn is_unfit(error: &oculist_data::Error) -> bool {
    use oculist_data::Error;
    is_about_splits(error) || matches!(error, Error::Continuous { .. })
}

/// The line that says so.
pub(crate) fn unfit(error: &oculist_data::Error) -> String {
    format!("not fit for training: {error}")
}

/// What `oculist data show` prints.
#[derive(Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    summary: Summary,
    /// What makes a measurement on it worth less than it looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Why the data set is not fit for training.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfit: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unfit) = &self.unfit {
            writeln!(f, "warning: {}\n", oculist_text::visible(unfit))?;
        }
        for text in &self.warnings {
            writeln!(f, "warning: {}\n", oculist_text::visible(text))?;
        }
        self.summary.fmt(f)
    }
}

/// Counts, sizes and unreadable files of a data set, also of one that is not fit for training.
///
/// # Errors
/// As [`Source::open`].
pub fn show_data(settings: &Settings) -> Result<Shown, OculistError> {
    settings.validate()?;
    let (source, unfit) = Source::open_to_look(settings)?;
    let warnings = alike::warnings(source.dataset());
    Ok(Shown { summary: source.dataset().summary(), warnings, unfit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_is_left_out_where_it_could_change_the_class() {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert!(flip_suits("demo", &names(&["Bag", "Coat"]), true));
        assert!(flip_suits("photos", &names(&["cat", "dog"]), false));
        assert!(!flip_suits("photos", &names(&["0", "1", "7"]), false));
        assert!(!flip_suits("photos", &names(&["arrow_left", "arrow_right"]), false));
        assert!(flip_suits("photos", &names(&["bright", "copyright"]), false), "whole words only");
        assert!(!flip_suits("idx", &names(&["class 0", "class 1"]), true));
    }

    #[test]
    fn test_images_are_told_apart_by_name_and_class_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let open = |folder: &str, options: &OpenOptions| {
            let dataset = Dataset::open(&dir.path().join(folder).display().to_string(), options).unwrap();
            let source = Source::of(dataset);
            source.facts_for_report().test_images.unwrap()
        };
        for folder in ["drawn", "moved/there"] {
            oculist_data::fixture::write_class_folders(&dir.path().join(folder), "", 2, 20, 8).unwrap();
        }
        let options = OpenOptions::default();
        let first = open("drawn", &options);
        assert_eq!(open("moved/there", &options), first);
        let mut other = options.clone();
        other.seed = 1;
        assert_ne!(open("drawn", &other), first, "another seed draws other images");
        let mut other = options.clone();
        other.exclude = vec!["1?.png".into()];
        assert_ne!(open("drawn", &other), first, "so does leaving some out");
        // Where the test split is given, the seed does not matter.
        for split in ["train", "test"] {
            oculist_data::fixture::write_class_folders(&dir.path().join("given"), split, 2, 20, 8).unwrap();
        }
        let mut other = options.clone();
        other.seed = 1;
        assert_eq!(open("given", &options), open("given", &other));
    }
}

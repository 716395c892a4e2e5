//! What a data set holds, for display.

use crate::statistics::{COLOR_SAMPLE, detect_color_mode};
use crate::{Dataset, Skipped, Split, Task, told_apart};
use oculist_text::visible;
use serde::Serialize;
use std::fmt;

/// How many files that were left out are named in the text; the list itself has them all.
const LISTED: usize = 20;

/// Counts, sizes and what was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What the user named.
    pub source: String,
    /// What is to be told of an image.
    #[serde(skip_serializing_if = "is_single")]
    pub task: Task,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Train, val and test.
    pub splits: Vec<SplitSummary>,
    /// Smallest width and height (of different images, perhaps), in pixels.
    pub min_size: (usize, usize),
    /// Largest width and height, in pixels.
    pub max_size: (usize, usize),
    /// `grey` or `rgb`: whether a sample of the training images has colour.
    pub color: String,
    /// Files that were left out and why, those found unreadable after opening last.
    pub skipped: Vec<(String, String)>,
    /// Which splits the source does not have and were drawn, how many images, and from how many.
    pub drawn: Option<String>,
    /// What is worth telling although nothing is lost by it, such as columns that are not used: where, and what.
    pub notes: Vec<(String, String)>,
}

// What is as it is for one label an image is not written, so that such summaries keep their text.

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_single(task: &Task) -> bool {
    *task == Task::SingleLabel
}

/// One split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitSummary {
    /// `train`, `val` or `test`.
    pub split: String,
    /// Number of images.
    pub images: usize,
    /// Number of images that are of each class or show it.
    pub per_class: Vec<usize>,
    /// Number of images that show no class, where they may have several labels.
    #[serde(skip_serializing_if = "is_zero")]
    pub unlabelled: usize,
}

impl Summary {
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let (mut min_size, mut max_size) = ((usize::MAX, usize::MAX), (0, 0));
        let mut splits = Vec::new();
        for split in Split::ALL {
            let subset = dataset.split(split);
            for i in 0..subset.len() {
                let (w, h) = subset.size(i);
                min_size = (w.min(min_size.0), h.min(min_size.1));
                max_size = (w.max(max_size.0), h.max(max_size.1));
            }
            splits.push(SplitSummary {
                split: split.name().to_owned(),
                images: subset.len(),
                per_class: subset.class_counts(),
                unlabelled: subset.targets().rows().filter(|row| row.is_empty()).count(),
            });
        }
        let color = detect_color_mode(dataset.train(), COLOR_SAMPLE, 1).map_or("unknown", |mode| mode.name());
        let text = |s: &Skipped| (s.path.display().to_string(), s.reason.clone());
        let mut skipped: Vec<(String, String)> = dataset.left_out().map(text).collect();
        let mut seen: Vec<&crate::Subset> = Vec::new();
        for subset in Split::ALL.map(|split| dataset.split(split)) {
            if !seen.iter().any(|other| other.shares_store(subset)) {
                let late = subset.late_failures().into_iter();
                skipped.extend(late.map(|(path, reason)| (path.display().to_string(), reason)));
                seen.push(subset);
            }
        }
        Self {
            source: dataset.source().to_owned(),
            task: dataset.task(),
            class_names: dataset.class_names().to_vec(),
            splits,
            min_size,
            max_size,
            color: color.to_owned(),
            skipped,
            drawn: dataset.drawn().map(str::to_owned),
            notes: dataset.notes().map(text).collect(),
        }
    }

    /// Number of images of all splits.
    pub fn images(&self) -> usize {
        self.splits.iter().map(|split| split.images).sum()
    }
}

impl fmt::Display for Summary {
    /// A plain text of a few lines and a table of classes; in names, what would break a line or steer a terminal is shown
    /// as escapes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = self.class_names.len();
        writeln!(
            f,
            "{}: {} images, {classes} classes, {}",
            visible(&self.source),
            self.images(),
            self.color
        )?;
        let ((w0, h0), (w1, h1)) = (self.min_size, self.max_size);
        if (w0, h0) == (w1, h1) {
            writeln!(f, "size {w0}x{h0}")?;
        } else {
            writeln!(f, "width {w0} to {w1}, height {h0} to {h1}")?;
        }
        if self.task == Task::MultiLabel {
            let labels: usize = self.splits.iter().flat_map(|split| &split.per_class).sum();
            let each = labels as f64 / self.images().max(1) as f64;
            let unlabelled: usize = self.splits.iter().map(|split| split.unlabelled).sum();
            writeln!(f, "{each:.2} labels an image on average, {unlabelled} images without any")?;
        }
        let names = told_apart(&self.class_names);
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "\n{:longest$}", "class")?;
        for split in &self.splits {
            write!(f, " {:>8}", split.split)?;
        }
        for (class, name) in names.iter().enumerate() {
            write!(f, "\n{name:longest$}")?;
            for split in &self.splits {
                write!(f, " {:>8}", split.per_class[class])?;
            }
        }
        write!(f, "\n{:longest$}", "all")?;
        for split in &self.splits {
            write!(f, " {:>8}", split.images)?;
        }
        writeln!(f)?;
        if let Some(drawn) = &self.drawn {
            writeln!(f, "\n{drawn}")?;
        }
        if !self.skipped.is_empty() {
            writeln!(f, "\nleft out: {}", self.skipped.len())?;
            for (path, reason) in self.skipped.iter().take(LISTED) {
                writeln!(f, "  {}: {}", visible(path), visible(reason))?;
            }
            if self.skipped.len() > LISTED {
                writeln!(f, "  and {} more", self.skipped.len() - LISTED)?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nto note:")?;
            for (path, text) in self.notes.iter().take(LISTED) {
                writeln!(f, "  {path}: {text}")?;
            }
            if self.notes.len() > LISTED {
                writeln!(f, "  and {} more", self.notes.len() - LISTED)?;
            }
        }
        Ok(())
    }
}

//! The audit of a data set as JSON, page and table; the schema is in `docs/data-check.md`.

mod page;

use oculist_text::visible;
use serde::{Deserialize, Serialize};

use crate::{Align, Png, ReportError, Table, format};

pub use page::render_audit_html;

/// Version of the schema of `audit.json`.
pub const AUDIT_SCHEMA_VERSION: u32 = 1;

/// The image that an image repeats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditPartner {
    /// Its name: a path, or a file and a number.
    pub image: String,
    /// Its split.
    pub split: String,
    /// Its class.
    pub class: String,
    /// The picture; not in `audit.json`.
    #[serde(skip)]
    pub png: Option<Png>,
}

/// One issue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditIssue {
    /// Name of the kind.
    pub kind: String,
    /// Name of the image or file; empty for an issue about a class.
    pub image: String,
    /// `train`, `val` or `test`; empty if unknown.
    pub split: String,
    /// The class that the image has; empty if unknown.
    pub class: String,
    /// How bad it is; the unit is that of the kind.
    pub score: f64,
    /// What more there is to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// For duplicates: the image that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<AuditPartner>,
    /// For label errors: the class that the model gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested: Option<String>,
    /// For label errors: the probability of the class that the image has, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_confidence: Option<f64>,
    /// The picture; not in `audit.json`.
    #[serde(skip)]
    pub png: Option<Png>,
}

/// One kind of issue with its limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditKind {
    /// Its name.
    pub kind: String,
    /// Issues of this kind.
    pub count: usize,
    /// What the score is.
    pub unit: String,
    /// What it means and what to do.
    pub advice: String,
    /// The limit that is the same for all data sets, if the kind has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_limit: Option<f64>,
    /// The limit that follows from this data set, if the kind has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_limit: Option<f64>,
    /// Images beyond the fixed limit, whether or not they are unusual for this data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_fixed: Option<usize>,
}

/// How labels were checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelCheck {
    /// Architecture of the models.
    pub arch: String,
    /// Number of folds.
    pub folds: usize,
    /// Folds that are done; fewer than `folds` in a file of a check that goes on or was interrupted, 0 in older
    /// files.
    pub folds_done: usize,
    /// Epochs that each model was trained for.
    pub epochs: usize,
    /// Images whose label was checked.
    pub images: usize,
    /// Agreement of the models with the labels of images that they were not trained on, percent.
    pub out_of_fold_top1: f64,
    /// Estimated number of wrong labels.
    pub estimated_errors: usize,
    /// `confident_joint[given][suggested]` counts.
    pub confident_joint: Vec<Vec<u32>>,
}

/// The whole audit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditReport {
    /// Version of the schema.
    pub schema_version: u32,
    /// Version of oculist that wrote it.
    pub oculist_version: String,
    /// The data set as it was named.
    pub data: String,
    /// Its folder as an absolute path; empty for a built-in set.
    pub folder: String,
    /// Seed of random splits.
    pub seed: u64,
    /// How the folder was said to be laid out, if it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// What was done about images that repeat each other where splits were drawn, if that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<String>,
    /// Patterns of names that were left out of the folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Images looked at.
    pub images: usize,
    /// Images of each split: `train`, `val`, `test`.
    pub splits: Vec<(String, usize)>,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Training images of each class.
    pub train_per_class: Vec<usize>,
    /// Kinds that were looked for, in the order of the page.
    pub kinds: Vec<AuditKind>,
    /// All issues, by kind, the worst of each kind first.
    pub issues: Vec<AuditIssue>,
    /// How labels were checked, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelCheck>,
}

impl LabelCheck {
    /// What the check can tell, where that is little: the networks know the classes hardly better than not at all, or few
    /// labels were judged.
    pub fn caution(&self) -> Option<String> {
        /// Networks that are wrong more often than this, in percent, mistake themselves more often than labels are wrong.
        const AGREES: f64 = 70.0;
        const IMAGES: usize = 300;
        let share = format::percent(self.out_of_fold_top1);
        if self.out_of_fold_top1 < AGREES {
            return Some(format!(
                "label-errors: the networks agree with only {share} of the {} labels, so that most of what they call errors \
                 are their own mistakes; more epochs or images tell more",
                format::grouped(self.images as u64)
            ));
        }
        (self.images < IMAGES).then(|| {
            format!(
                "label-errors: judged by networks that learned from fewer than {} images and agree with {share} of the \
                 labels; look at each before it is changed",
                self.images
            )
        })
    }
}

impl AuditReport {
    /// The text of `audit.json`.
    ///
    /// # Errors
    /// [`ReportError::Json`], which no content causes.
    pub fn to_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads `audit.json`.
    ///
    /// # Errors
    /// [`ReportError::Json`] if it is no audit; [`ReportError::NewerSchema`] if a newer Oculist wrote it.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let report: Self = serde_json::from_str(text)?;
        if report.schema_version == 0 {
            return Err(ReportError::Json(serde::de::Error::missing_field("schema_version")));
        }
        if report.schema_version > AUDIT_SCHEMA_VERSION {
            return Err(ReportError::NewerSchema {
                found: report.schema_version,
                supported: AUDIT_SCHEMA_VERSION,
            });
        }
        Ok(report)
    }

    /// The short table for the terminal: a row for each kind with issues, and its worst one.
    pub fn table(&self) -> String {
        let mut table =
            Table::new(&[("issue", Align::Left), ("count", Align::Right), ("the worst one", Align::Left)]);
        for kind in self.kinds.iter().filter(|kind| kind.count > 0) {
            let worst = self.issues.iter().find(|issue| issue.kind == kind.kind);
            let worst = worst.map_or_else(String::new, |issue| {
                let name = if issue.image.is_empty() { &issue.class } else { &issue.image };
                let (more, name) = (&issue.detail, within(&self.data, name));
                match (&issue.partner, &issue.suggested) {
                    (Some(partner), _) => {
                        format!("{name} = {} ({})", within(&self.data, &partner.image), partner.split)
                    }
                    (None, Some(class)) => format!("{name}: {}, perhaps {class}", issue.class),
                    (None, None) if more.is_empty() => format!("{name} ({})", format::limit(issue.score)),
                    (None, None) => format!("{name}: {more}"),
                }
            });
            table.row([kind.kind.clone(), format::grouped(kind.count as u64), worst]);
        }
        let splits: Vec<String> =
            self.splits.iter().map(|(name, n)| format!("{} {name}", format::grouped(*n as u64))).collect();
        let head = format!(
            "{}: {} images ({}), {} classes",
            visible(&self.data),
            format::grouped(self.images as u64),
            splits.join(", "),
            self.classes.len()
        );
        let caution = self.labels.as_ref().and_then(LabelCheck::caution);
        let caution = caution.map_or_else(String::new, |text| format!("\n{text}\n"));
        if table.is_empty() {
            format!("{head}\nno issues found\n{caution}")
        } else {
            format!("{head}\n\n{table}{caution}")
        }
    }
}

/// The name of an image within its data set: without the folder that the data set is, so that split, class and all folders
/// below stay; of other names the last three parts.
fn within(data: &str, name: &str) -> String {
    let is_separator = |c| matches!(c, '/' | '\\');
    let root = data.trim_end_matches(is_separator);
    if let Some(rest) =
        name.strip_prefix(root).filter(|rest| !root.is_empty() && rest.starts_with(is_separator))
    {
        return rest.trim_start_matches(is_separator).to_owned();
    }
    let parts: Vec<&str> = name.split(is_separator).collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn names_keep_what_tells_them_apart() {
        let name = "photos/train/cat/day 1/0001.jpg";
        assert_eq!(within("photos", name), "train/cat/day 1/0001.jpg");
        assert_eq!(within("photos/", name), "train/cat/day 1/0001.jpg");
        assert_eq!(within("photos/train", name), "cat/day 1/0001.jpg");
        // A folder of which the name is only the beginning is another one, and a manifest holds no files.
        assert_eq!(within("pho", name), "cat/day 1/0001.jpg");
        assert_eq!(within("photos/list.csv", name), "cat/day 1/0001.jpg");
        assert_eq!(within("", "0001.jpg"), "0001.jpg");
    }
}

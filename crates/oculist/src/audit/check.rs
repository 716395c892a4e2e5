//! `data check`: the audit of the images, of the labels, and the files that show it.

use std::path::{Path, PathBuf};

use oculist_data::audit::{Audit, AuditOptions, Issue, IssueKind, Place, Subject, audit};
use oculist_data::{Dataset, Purpose, Split, Verify};
use oculist_report::{
    AUDIT_SCHEMA_VERSION, AuditIssue, AuditKind, AuditPartner, AuditReport, LabelCheck, render_audit_html,
};

use super::labels::{self, LabelResult};
use super::{absolute, open, open_for};
use crate::data::{Source, is_unfit, unfit};
use crate::error::{OculistError, wrong};
use crate::files::{check_free, check_free_beside, check_no_images_of, take_folder, tidy_beside, write};
use crate::pictures;
use crate::progress::{Progress, Watch, flow, go_on};
use crate::settings::Settings;

/// The page of an audit.
pub const AUDIT_PAGE_FILE: &str = "audit.html";
/// The data of an audit.
pub const AUDIT_FILE: &str = "audit.json";
/// The same while labels are checked; it stays where that is interrupted.
const AUDIT_SO_FAR_FILE: &str = "audit-so-far.json";
/// Pictures of each kind of issue on the page.
const PICTURES: usize = 24;

/// How labels are checked.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LabelOptions {
    /// Folds, at least 2: each image is judged by a model that was trained on the other folds.
    pub folds: usize,
    /// Epochs of each model; without a value so many that it gets 300 updates, but 4 to 40.
    pub epochs: Option<usize>,
}

impl Default for LabelOptions {
    fn default() -> Self {
        Self { folds: 4, epochs: None }
    }
}

/// How to check.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Folder for [`AUDIT_PAGE_FILE`] and [`AUDIT_FILE`]; what is there under these names is replaced.
    pub output: PathBuf,
    /// Another place for the JSON.
    pub json: Option<PathBuf>,
    /// Whether and how to check labels.
    pub labels: Option<LabelOptions>,
}

impl CheckOptions {
    /// Checks the images, not their labels.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self { output: output.into(), json: None, labels: None }
    }
}

/// The audit and where it is.
#[derive(Debug)]
pub struct Checked {
    /// The audit.
    pub report: AuditReport,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Examines a data set and writes the audit as a page and as JSON.
///
/// # Errors
/// [`OculistError::Data`] if the data set cannot be opened; [`OculistError::Setting`] for fewer than 2 folds or more
/// than there are images; [`OculistError::Output`] if a file cannot be written; [`OculistError::Stopped`].
pub fn check_data(
    settings: &Settings,
    options: &CheckOptions,
    watch: &mut Watch<'_>,
) -> Result<Checked, OculistError> {
    check_opened(None, settings, options, watch)
}

/// Examines data that are open already, such as [`Source::of_images_for`] gives them, as [`check_data`] does.
///
/// # Errors
/// As [`check_data`].
pub fn check_source(
    source: Source,
    settings: &Settings,
    options: &CheckOptions,
    watch: &mut Watch<'_>,
) -> Result<Checked, OculistError> {
    check_opened(Some(source), settings, options, watch)
}

fn check_opened(
    source: Option<Source>,
    settings: &Settings,
    options: &CheckOptions,
    watch: &mut Watch<'_>,
) -> Result<Checked, OculistError> {
    settings.validate()?;
    settings.one_label()?;
    if options.labels.is_some_and(|l| l.folds < 2) {
        return Err(wrong("folds", "expected at least 2"));
    }
    check_free(&options.output)?;
    options.json.as_deref().map_or(Ok(()), check_free_beside)?;
    // Every image is decoded by the audit itself; where splits are drawn between groups of duplicates, to draw them as well.
    let opened = source.map_or_else(|| open(settings, Verify::Headers), |source| Ok(source.into_dataset()));
    let dataset = match opened {
        // What cannot be trained on can be looked at, and perhaps needs it most.
        Err(OculistError::Data(error)) if is_unfit(&error) => {
            watch.warn(&unfit(&error));
            open_for(settings, Verify::Headers, Purpose::Evaluate)?
        }
        opened => opened?,
    };
    if options.labels.is_some() && dataset.class_names().len() < 2 {
        return Err(wrong("labels", "expected at least two classes to tell apart, found one"));
    }
    check_no_images_of(&options.output, &dataset)?;
    // Only now: a folder that is made within the data set must not be taken for a class.
    let _taken = take_folder(&options.output, &[], "data check", watch)?;
    if let Some(json) = &options.json {
        tidy_beside(json, watch);
    }
    let audit = run_audit(&dataset, settings.threads(), watch)?;
    let json = options.json.clone().unwrap_or_else(|| options.output.join(AUDIT_FILE));
    let with_labels = |labels: Option<&LabelResult>| {
        let mut report = report(&dataset, &audit, settings);
        if let Some(result) = labels {
            add_labels(&mut report, &dataset, &audit, result);
        }
        add_kinds(&mut report, &audit, labels.is_some());
        report
    };
    let labels = match &options.labels {
        Some(label_options) if label_options.folds > audit.places.len() => {
            let problem = format!("expected at most the number of images, {}", audit.places.len());
            return Err(wrong("folds", problem));
        }
        Some(label_options) => {
            let folder = &options.output;
            let check =
                labels::Check { dataset: &dataset, audit: &audit, settings, options: label_options, folder };
            // The images take seconds, the labels minutes: what is known is there to be read meanwhile, beside what an
            // earlier check has left.
            let path = folder.join(AUDIT_SO_FAR_FILE);
            let so_far =
                |result: Option<&LabelResult>| write(&path, with_labels(result).to_json()?.as_bytes());
            so_far(None)?;
            Some(labels::check(&check, watch, &mut |result| so_far(Some(result)))?)
        }
        None => None,
    };
    let mut report = with_labels(labels.as_ref());
    write(&json, report.to_json()?.as_bytes())?;
    add_pictures(&mut report, &dataset, watch)?;
    let page = options.output.join(AUDIT_PAGE_FILE);
    write(&page, render_audit_html(&report)?.as_bytes())?;
    if labels.is_some() {
        // What could not be removed is no more than a file too many.
        let _ = std::fs::remove_file(options.output.join(AUDIT_SO_FAR_FILE));
    }
    Ok(Checked { report, files: vec![page, json] })
}

/// The audit of the images, with progress.
pub(super) fn run_audit(
    dataset: &Dataset,
    threads: usize,
    watch: &mut Watch<'_>,
) -> Result<Audit, OculistError> {
    let mut audit_options = AuditOptions::default();
    audit_options.threads = threads;
    let stop = watch.stop;
    let found = audit(dataset, &audit_options, &mut |done, total| {
        watch.tell(Progress::Work { what: "images", done, total });
        flow(stop)
    })?;
    found.ok_or(OculistError::Stopped { resumable: false })
}

/// Everything but labels, kinds and pictures.
fn report(dataset: &Dataset, audit: &Audit, settings: &Settings) -> AuditReport {
    let names = dataset.class_names();
    let issue = |issue: &Issue| {
        let mut out = AuditIssue {
            kind: issue.kind.name().to_owned(),
            score: issue.score,
            detail: issue.detail.clone(),
            partner: issue.partner.map(|p| {
                let (image, split, class) = describe(dataset, p);
                AuditPartner { image, split, class, png: None }
            }),
            ..AuditIssue::default()
        };
        match &issue.subject {
            Subject::Image(place) => (out.image, out.split, out.class) = describe(dataset, *place),
            Subject::Class(class) => out.class.clone_from(&names[*class as usize]),
            Subject::File(path) => {
                out.image = path.display().to_string();
                (out.split, out.class) = folders_of(path, names);
            }
        }
        out
    };
    let built_in = matches!(dataset.source(), "demo" | "fashion-mnist");
    let folder = match (&settings.data_dir, built_in) {
        (Some(folder), _) => absolute(folder).display().to_string(),
        (None, true) => String::new(),
        (None, false) => absolute(Path::new(dataset.source())).display().to_string(),
    };
    AuditReport {
        schema_version: AUDIT_SCHEMA_VERSION,
        oculist_version: env!("CARGO_PKG_VERSION").to_owned(),
        data: dataset.source().to_owned(),
        folder,
        seed: settings.seed.unwrap_or(0),
        layout: settings.layout.map(|layout| layout.name().to_owned()),
        duplicates: settings.duplicates.map(|choice| choice.name().to_owned()),
        exclude: settings.exclude.clone().unwrap_or_default(),
        images: audit.places.len(),
        splits: oculist_data::Split::ALL.map(|s| (s.name().to_owned(), dataset.split(s).len())).to_vec(),
        classes: names.to_vec(),
        train_per_class: dataset.train().class_counts(),
        issues: audit.issues.iter().map(issue).collect(),
        ..AuditReport::default()
    }
}

fn describe(dataset: &Dataset, place: Place) -> (String, String, String) {
    let subset = dataset.split(place.split);
    let class = dataset.class_names()[subset.label(place.index) as usize].clone();
    (subset.name(place.index), place.split.name().to_owned(), class)
}

/// Split and class of a file that could not be opened, from the folders that it lies in; empty where they do not tell.
fn folders_of(path: &Path, names: &[String]) -> (String, String) {
    let folders: Vec<String> = path
        .parent()
        .map(|p| p.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let Some(at) = folders.iter().rposition(|folder| names.contains(folder)) else {
        return (String::new(), String::new());
    };
    let split = at.checked_sub(1).and_then(|i| oculist_data::split_of_folder(&folders[i]));
    (split.map_or("", Split::name).to_owned(), folders[at].clone())
}

fn add_labels(report: &mut AuditReport, dataset: &Dataset, audit: &Audit, result: &LabelResult) {
    let names = dataset.class_names();
    let found = result.confident.issues.iter().map(|issue| {
        let (image, split, class) = describe(dataset, audit.places[result.judged[issue.index]]);
        AuditIssue {
            kind: IssueKind::LabelError.name().to_owned(),
            image,
            split,
            class,
            score: issue.self_confidence,
            suggested: Some(names[issue.suggested as usize].clone()),
            self_confidence: Some(issue.self_confidence),
            ..AuditIssue::default()
        }
    });
    report.issues.extend(found);
    report.labels = Some(LabelCheck {
        arch: "resnet8".into(),
        folds: result.folds,
        folds_done: result.folds_done,
        epochs: result.epochs,
        images: result.judged.len(),
        out_of_fold_top1: result.top1,
        estimated_errors: result.confident.estimated_errors.round() as usize,
        confident_joint: result.confident.joint.clone(),
    });
}

/// Counts and limits of each kind; brings the issues into the order of the kinds.
fn add_kinds(report: &mut AuditReport, audit: &Audit, labels: bool) {
    let rank = |name: &str| IssueKind::ALL.iter().position(|kind| kind.name() == name);
    report.issues.sort_by_key(|issue| rank(&issue.kind));
    for kind in IssueKind::ALL {
        if kind == IssueKind::LabelError && !labels {
            continue;
        }
        // Size has two limits; the upper one is listed, the lower one is its inverse.
        let limit = audit.limits.iter().rev().find(|limit| limit.kind == kind);
        report.kinds.push(AuditKind {
            kind: kind.name().to_owned(),
            count: report.issues.iter().filter(|issue| issue.kind == kind.name()).count(),
            unit: kind.unit().to_owned(),
            advice: kind.advice().to_owned(),
            fixed_limit: limit.map(|l| l.fixed),
            data_limit: limit.map(|l| l.fence),
            beyond_fixed: limit
                .map(|_| audit.limits.iter().filter(|l| l.kind == kind).map(|l| l.beyond_fixed).sum()),
        });
    }
}

/// Thumbnails of the worst of each kind.
fn add_pictures(report: &mut AuditReport, dataset: &Dataset, watch: &Watch<'_>) -> Result<(), OculistError> {
    let mut wanted: std::collections::BTreeMap<String, Option<oculist_report::Png>> =
        std::collections::BTreeMap::new();
    let mut shown: Vec<usize> = Vec::new();
    for kind in &report.kinds {
        let of_kind = report.issues.iter().enumerate().filter(|(_, issue)| issue.kind == kind.kind);
        for (i, issue) in of_kind.filter(|(_, issue)| !issue.image.is_empty()).take(PICTURES) {
            shown.push(i);
            wanted.insert(issue.image.clone(), None);
            if let Some(partner) = &issue.partner {
                wanted.insert(partner.image.clone(), None);
            }
        }
    }
    for split in oculist_data::Split::ALL {
        go_on(watch.stop)?;
        let subset = dataset.split(split);
        for i in 0..subset.len() {
            if let Some(png) = wanted.get_mut(&subset.name(i)) {
                // What cannot be read has no picture.
                if let Ok(image) = subset.image(i) {
                    *png = pictures::png(&image)?;
                }
            }
        }
    }
    for i in shown {
        let issue = &mut report.issues[i];
        issue.png = wanted.get(&issue.image).cloned().flatten();
        if let Some(partner) = &mut issue.partner {
            partner.png = wanted.get(&partner.image).cloned().flatten();
        }
    }
    Ok(())
}

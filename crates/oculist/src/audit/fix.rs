//! `data fix`: what was approved of an audit, as a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oculist_data::audit::IssueKind;
use oculist_data::{Purpose, RealPaths, Split, Verify};
use oculist_report::AuditReport;

use super::manifest::{Form, Row, approved_labels, to_text};
use super::split::files;
use super::{check_new, open, open_for, read_text};
use crate::data::{is_unfit, unfit};
use crate::error::{OculistError, wrong};
use crate::files::{check_free_beside, make_folder, tidy_beside, write};
use crate::progress::Watch;
use crate::settings::Settings;
use crate::summary::counted;

/// What was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixOptions {
    /// The audit, as `data check` wrote it.
    pub audit: PathBuf,
    /// Names of the kinds of issues whose images are left out.
    pub apply: Vec<String>,
    /// CSV or JSON Lines with `file_name` and `label` of images that get another label.
    pub relabel: Option<PathBuf>,
    /// The manifest to write.
    pub output: PathBuf,
    /// Whether to replace it.
    pub force: bool,
}

impl FixOptions {
    /// Leaves out nothing yet.
    pub fn new(audit: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self { audit: audit.into(), apply: Vec::new(), relabel: None, output: output.into(), force: false }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Images in the manifest.
    pub kept: usize,
    /// Images left out, by kind of issue (the first of an image that has several).
    pub left_out: Vec<(String, usize)>,
    /// Images with another label than before.
    pub relabelled: usize,
}

/// Writes a manifest of the audited images without those that were approved to be left out, and with new labels.
///
/// No image is changed, moved or deleted. Of duplicates the one that the others repeat stays.
///
/// # Errors
/// [`OculistError::Setting`] for an unknown kind, a file or class that the data set does not have, or a data set
/// without files; [`OculistError::Report`] if the audit cannot be read; [`OculistError::Output`] if the manifest
/// exists or cannot be written.
pub fn fix_data(
    options: &FixOptions,
    threads: Option<usize>,
    watch: &mut Watch<'_>,
) -> Result<Fixed, OculistError> {
    let kinds = kinds(&options.apply)?;
    let form = Form::of(&options.output)?;
    check_new(&options.output, options.force)?;
    let report = AuditReport::from_json(&read_text(&options.audit)?)?;
    if let Some(labels) =
        report.labels.as_ref().filter(|labels| (1..labels.folds).contains(&labels.folds_done))
    {
        watch.warn(&format!(
            "{}: its check of labels was interrupted after {} of {} folds; the labels of the others are not judged",
            options.audit.display(),
            labels.folds_done,
            labels.folds
        ));
    }
    let built_in = report.folder.is_empty();
    let data = if built_in { report.data.clone() } else { report.folder.clone() };
    let layout = report.layout.as_deref().map(str::parse).transpose()?;
    let settings = Settings {
        data: Some(data),
        seed: Some(report.seed),
        threads,
        layout,
        duplicates: report.duplicates.as_deref().map(str::parse).transpose()?,
        exclude: Some(report.exclude.clone()),
        ..Settings::default()
    };
    // Images are decoded only where the splits are drawn, to draw them as the audit did.
    let dataset = match open(&settings, Verify::Headers) {
        // An audit is made of what is not fit for training, too.
        Err(OculistError::Data(error)) if is_unfit(&error) => {
            watch.warn(&unfit(&error));
            open_for(&settings, Verify::Headers, Purpose::Evaluate)?
        }
        opened => opened?,
    };
    if let Some(drawn) = dataset.drawn() {
        watch.note(&format!("{drawn}; the manifest keeps them"));
    }
    let classes = dataset.class_names();
    let mut rows: BTreeMap<PathBuf, (u32, Split)> = BTreeMap::new();
    for (path, label, (split, _)) in files(&dataset)? {
        rows.insert(path, (label, split));
    }
    let class_of = |name: &str| classes.iter().position(|class| class == name).map(|i| i as u32);

    // Files that could not be opened are rows like the others unless they are approved to be left out.
    for issue in report.issues.iter().filter(|issue| issue.kind == IssueKind::Unreadable.name()) {
        let path = located(&report, &issue.image);
        match class_of(&issue.class) {
            Some(label) if !rows.contains_key(&path) => {
                let split = Split::ALL.into_iter().find(|s| s.name() == issue.split).unwrap_or(Split::Train);
                rows.insert(path, (label, split));
            }
            _ => {}
        }
    }
    let mut left_out = vec![0usize; kinds.len()];
    let mut gone: BTreeSet<PathBuf> = BTreeSet::new();
    for issue in &report.issues {
        let Some(at) = kinds.iter().position(|kind| kind.name() == issue.kind) else { continue };
        let path = located(&report, &issue.image);
        if rows.remove(&path).is_some() {
            left_out[at] += 1;
            gone.insert(path);
        } else if !gone.contains(&path) && class_of(&issue.class).is_some() {
            return Err(OculistError::Setting {
                name: options.audit.display().to_string().into(),
                problem: format!("{} is not in the data set any more; check it again", issue.image).into(),
            });
        }
    }
    let mut relabelled = 0;
    // A file is the same however its path is written.
    let mut real = RealPaths::default();
    let mut place = |path: &Path| real.of(path).unwrap_or_else(|_| path.to_path_buf());
    let by_place: BTreeMap<PathBuf, PathBuf> = if options.relabel.is_some() {
        rows.keys().chain(&gone).map(|path| (place(path), path.clone())).collect()
    } else {
        BTreeMap::new()
    };
    if let Some(file) = &options.relabel {
        let wrong = |problem: String| OculistError::Setting {
            name: file.display().to_string().into(),
            problem: problem.into(),
        };
        for (name, label) in approved_labels(file, watch)? {
            let class = class_of(&label).ok_or_else(|| {
                wrong(format!("expected one of the classes {}, found {label} for {name}", classes.join(", ")))
            })?;
            let path = located(&report, &name);
            let path = by_place.get(&place(&path)).cloned().unwrap_or(path);
            match rows.get_mut(&path) {
                Some((old, _)) => {
                    relabelled += usize::from(*old != class);
                    *old = class;
                }
                None if gone.contains(&path) => {
                    watch.warn(&format!("{name} gets no new label: it is left out"));
                }
                None => return Err(wrong(format!("{name} is not an image of {}", report.data))),
            }
        }
    }
    let mut list: Vec<Row> = rows
        .into_iter()
        .map(|(path, (label, split))| Row { path, label: classes[label as usize].clone(), split })
        .collect();
    list.sort_by(|a, b| oculist_data::natural_cmp(&a.path.to_string_lossy(), &b.path.to_string_lossy()));
    for class in classes {
        if !list.iter().any(|row| row.split == Split::Train && row.label == *class) {
            watch.warn(&format!("class {class} has no training image left"));
        }
    }
    check_free_beside(&options.output)?;
    // The folder comes first, so that names can be made relative to it.
    make_folder(&options.output)?;
    tidy_beside(&options.output, watch);
    write(&options.output, to_text(&list, &options.output, form)?.as_bytes())?;
    watch.note(&format!("{} written", counted(list.len(), "row", "rows")));
    let left_out = kinds.iter().zip(left_out).map(|(kind, n)| (kind.name().to_owned(), n)).collect();
    Ok(Fixed { kept: list.len(), left_out, relabelled })
}

/// The kinds of these names, without those that are not about images.
fn kinds(names: &[String]) -> Result<Vec<IssueKind>, OculistError> {
    let removable = |kind: &IssueKind| !matches!(kind, IssueKind::RareClass | IssueKind::NotAnImage);
    let find = |name: &String| {
        IssueKind::from_name(name).filter(removable).ok_or_else(|| {
            let all: Vec<&str> = IssueKind::ALL.into_iter().filter(removable).map(IssueKind::name).collect();
            wrong("apply", format!("expected some of {}, found {name}", all.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

/// The path of a name in an audit: below the folder of the data set, whether or not it begins with the name that the
/// data set was given.
fn located(report: &AuditReport, name: &str) -> PathBuf {
    let (mut folder, mut data) = (Path::new(&report.folder), Path::new(&report.data));
    // Names in a list are relative to the folder that it lies in.
    if folder.is_file() {
        folder = folder.parent().unwrap_or(folder);
        data = data.parent().unwrap_or(data);
    }
    let path = Path::new(name);
    folder.join(path.strip_prefix(data).unwrap_or(path))
}

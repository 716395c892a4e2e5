//! `audit.html`: one section for each kind of issue, with its worst examples.

use serde::Serialize;

use super::{AuditIssue, AuditKind, AuditReport, within};
use crate::page::{Base, Picture, picture, render};
use crate::{ReportError, format};

/// So many files without a picture are listed on the page; `audit.json` has them all.
const MAX_LISTED: usize = 200;

#[derive(Serialize)]
struct Page<'a> {
    report: &'a AuditReport,
    images: String,
    issues: String,
    splits: Vec<(String, String)>,
    bars: Vec<(String, String, String)>,
    kinds: Vec<Section<'a>>,
    clean: Vec<&'a str>,
    labels: Option<Labels>,
}

#[derive(Serialize)]
struct Labels {
    sentence: String,
}

#[derive(Serialize)]
struct Section<'a> {
    kind: &'a str,
    title: String,
    count: String,
    advice: &'a str,
    limits: String,
    shown: String,
    cards: Vec<Card>,
    files: Vec<(String, String)>,
    files_more: String,
}

#[derive(Serialize)]
struct Card {
    /// The pictures with what they are called.
    pictures: Vec<(Picture, String)>,
    name: String,
    full: String,
    place: String,
    score: String,
    suggested: String,
    partner: String,
    partner_full: String,
    detail: String,
}

/// Renders `audit.html`: one file that loads nothing.
///
/// Issues with a picture become cards, others a list. All strings are escaped.
///
/// # Errors
/// [`ReportError::Template`] if the template fails, which no content makes it do.
pub fn render_audit_html(report: &AuditReport) -> Result<String, ReportError> {
    let page = page(report);
    let kinds = page.kinds.iter().map(|kind| (kind.kind.to_owned(), kind.title.clone()));
    let classes = ("classes".to_owned(), "Classes".to_owned());
    let base = Base::new(format!("Audit of {}", report.data), report.oculist_version.as_str());
    render("audit.html", base.with_sections(kinds.chain([classes])), page)
}

fn page(report: &AuditReport) -> Page<'_> {
    let grouped = |n: usize| format::grouped(n as u64);
    let most = report.train_per_class.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bars = report
        .classes
        .iter()
        .zip(&report.train_per_class)
        .map(|(class, &n)| (class.clone(), grouped(n), format!("{:.1}", n as f64 / most * 100.0)));
    let labels = report.labels.as_ref().map(|l| Labels {
        sentence: format!(
            "{caution}{} models ({}, {} epochs) each judged the labels of images that they were not trained on and agree with \
             {} of {}. By the confident joint about {} labels are wrong.",
            l.folds,
            l.arch,
            l.epochs,
            format::percent(l.out_of_fold_top1),
            grouped(l.images),
            grouped(l.estimated_errors),
            caution = l.caution().map_or_else(String::new, |text| format!("{text}. "))
        ),
    });
    Page {
        report,
        images: grouped(report.images),
        issues: grouped(report.issues.len()),
        splits: report.splits.iter().map(|(name, n)| (name.clone(), grouped(*n))).collect(),
        bars: if report.classes.len() > 60 { Vec::new() } else { bars.collect() },
        kinds: report.kinds.iter().filter(|k| k.count > 0).map(|k| section(report, k)).collect(),
        clean: report.kinds.iter().filter(|k| k.count == 0).map(|k| k.kind.as_str()).collect(),
        labels,
    }
}

fn section<'a>(report: &'a AuditReport, kind: &'a AuditKind) -> Section<'a> {
    let of_kind = || report.issues.iter().filter(|issue| issue.kind == kind.kind);
    let cards: Vec<Card> =
        of_kind().filter(|issue| issue.png.is_some()).map(|i| card(&report.data, i)).collect();
    let without = || of_kind().filter(|issue| issue.png.is_none());
    let files: Vec<_> = if cards.is_empty() {
        without().take(MAX_LISTED).map(|issue| (name(issue), issue.detail.clone())).collect()
    } else {
        Vec::new()
    };
    let left = kind.count - files.len().min(kind.count);
    let limits = match (kind.fixed_limit, kind.data_limit, kind.beyond_fixed) {
        (Some(fixed), Some(data), Some(beyond)) => format!(
            "Limit for all data sets {}, for this one {}; {} images are beyond the first.",
            format::sig3(fixed),
            format::sig3(data),
            format::grouped(beyond as u64)
        ),
        _ => String::new(),
    };
    Section {
        kind: &kind.kind,
        title: title(&kind.kind),
        count: format::grouped(kind.count as u64),
        advice: &kind.advice,
        limits,
        shown: if cards.is_empty() || cards.len() == kind.count {
            String::new()
        } else {
            format!("The worst {} are shown; audit.json lists all.", cards.len())
        },
        files_more: if cards.is_empty() && left > 0 { format::grouped(left as u64) } else { String::new() },
        cards,
        files,
    }
}

fn name(issue: &AuditIssue) -> String {
    if issue.image.is_empty() { issue.class.clone() } else { issue.image.clone() }
}

/// `odd-size` as a heading.
fn title(kind: &str) -> String {
    let text = kind.replace('-', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn card(data: &str, issue: &AuditIssue) -> Card {
    let partner = issue.partner.as_ref();
    let pictures = [Some((&issue.png, &issue.image)), partner.map(|p| (&p.png, &p.image))];
    let pictures = pictures
        .into_iter()
        .flatten()
        .filter_map(|(png, name)| Some((picture(png.as_ref()?), within(data, name))));
    let place = |split: &str, class: &str| {
        [split, class].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" · ")
    };
    Card {
        pictures: pictures.collect(),
        name: within(data, &issue.image),
        full: issue.image.clone(),
        place: place(&issue.split, &issue.class),
        score: format::sig3(issue.score),
        suggested: issue.suggested.clone().unwrap_or_default(),
        partner: partner.map_or_else(String::new, |p| {
            format!("{} ({})", within(data, &p.image), place(&p.split, &p.class))
        }),
        partner_full: partner.map_or_else(String::new, |p| p.image.clone()),
        detail: issue.detail.clone(),
    }
}

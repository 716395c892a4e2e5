//! Files that cannot be read, are no images, or are named like another format.

use super::{Issue, IssueKind, Place, Subject};
use crate::decode::guess;
use crate::scan::in_threads;
use crate::{Dataset, SkipKind};
use image::ImageFormat;
use std::io::Read as _;
use std::path::Path;

/// Enough bytes to tell every format.
const HEAD: u64 = 64;

/// What was left out when the data set was opened.
pub(super) fn skipped(dataset: &Dataset) -> Vec<Issue> {
    let issue = |skip: &crate::Skipped| {
        let kind = match skip.kind {
            SkipKind::Unreadable => IssueKind::Unreadable,
            SkipKind::NotAnImage => IssueKind::NotAnImage,
            // No file, but a part of the source that is of no use here.
            SkipKind::Unused | SkipKind::Unread | SkipKind::Lacking => return None,
        };
        let subject = Subject::File(skip.path.clone());
        Some(Issue { kind, subject, score: 1.0, partner: None, detail: skip.reason.clone() })
    };
    dataset.skipped().iter().filter_map(issue).collect()
}

/// Files whose name ends like another format than their content.
pub(super) fn misnamed(dataset: &Dataset, places: &[Place], threads: usize) -> Vec<Issue> {
    let found = in_threads(places.len(), threads, |i| {
        let place = places[i];
        let path = dataset.split(place.split).path(place.index)?;
        Some(Issue {
            kind: IssueKind::Misnamed,
            subject: Subject::Image(place),
            score: 1.0,
            partner: None,
            detail: mismatch(path)?,
        })
    });
    found.into_iter().flatten().collect()
}

/// In words, if name and content are of different formats; nothing if the file cannot be read (any more).
fn mismatch(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    oculist_files::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let content = guess(&head).ok()?;
    let ending = path.extension()?.to_str()?;
    let named = ImageFormat::from_extension(ending);
    let known_as = content.extensions_str().first().copied().unwrap_or_default();
    match named {
        Some(named) if named == content => None,
        _ if matches!(ending.to_ascii_lowercase().as_str(), "jpe" | "dib") => None,
        _ => Some(format!("the content is {}, the name ends in .{ending}", known_as.to_uppercase())),
    }
}

//! Images that repeat others, within a split and across splits.

use super::{AuditOptions, Issue, IssueKind, Measures, Place, Subject, close_pairs};
use crate::Dataset;
use crate::disjoint::DisjointSets;
use std::collections::HashMap;

/// Thumbnails below this standard deviation show nothing that could be compared.
pub(crate) const FLAT: f64 = 2.0;
/// Near duplicates may differ in mean brightness by this many grey levels, and in contrast and shape by this factor.
const BRIGHTNESS: f64 = 25.0;
const CONTRAST: f64 = 1.25;
const SHAPE: f64 = 1.1;

/// The earlier image that an image repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Twin {
    /// Position of the earlier one.
    first: usize,
    /// Correlation of the thumbnails; 1 for equal pixels.
    correlation: f64,
    /// Whether the pixels are equal.
    exact: bool,
}

/// Issues, and a group number for every place.
pub(super) fn check(
    dataset: &Dataset,
    places: &[Place],
    measures: &[Option<Measures>],
    options: &AuditOptions,
    threads: usize,
) -> (Vec<Issue>, Vec<u32>) {
    let groups = DisjointSets::new(places.len());
    let mut twins: Vec<Option<Twin>> = vec![None; places.len()];
    let mut firsts: Vec<usize> = Vec::new();
    let mut seen: HashMap<u128, usize> = HashMap::with_capacity(places.len());
    for (i, m) in measures.iter().enumerate() {
        let Some(m) = m else { continue };
        // The thumbnail is compared as well, so that no chance of the digest makes two images equal.
        match seen.get(&m.content) {
            Some(&first) if measures[first].as_ref().is_some_and(|f| f.thumbnail == m.thumbnail) => {
                twins[i] = Some(Twin { first, correlation: 1.0, exact: true });
                groups.join(first, i);
            }
            _ => {
                seen.insert(m.content, i);
                firsts.push(i);
            }
        }
    }
    // Near duplicates are looked for among different images only, flat ones left out.
    let candidates: Vec<(usize, &Measures)> = firsts
        .iter()
        .filter_map(|&i| measures[i].as_ref().map(|m| (i, m)))
        .filter(|(_, m)| m.moments.1 >= FLAT)
        .collect();
    let hashes: Vec<u64> = candidates.iter().map(|(_, m)| m.hash).collect();
    let alike = |a: usize, b: usize| similar(candidates[a].1, candidates[b].1, options.correlation);
    for (a, b, correlation) in close_pairs(&hashes, options.hash_distance, threads, alike) {
        let (first, second) = (candidates[a].0, candidates[b].0);
        groups.join(first, second);
        let twin = &mut twins[second];
        if twin.is_none_or(|twin| correlation > twin.correlation) {
            *twin = Some(Twin { first, correlation, exact: false });
        }
    }
    let label = |place: Place| dataset.split(place.split).targets().row(place.index);
    let mut issues = Vec::new();
    for (i, twin) in twins.iter().enumerate() {
        let Some(twin) = twin else { continue };
        let (place, partner) = (places[i], places[twin.first]);
        let mut push = |kind, detail: &str| {
            issues.push(Issue {
                kind,
                subject: Subject::Image(place),
                score: twin.correlation,
                partner: Some(partner),
                detail: detail.to_owned(),
            });
        };
        let kind = match (twin.exact, place.split == partner.split) {
            (true, true) => IssueKind::ExactDuplicate,
            (true, false) => IssueKind::ExactDuplicateAcrossSplits,
            (false, true) => IssueKind::NearDuplicate,
            (false, false) => IssueKind::NearDuplicateAcrossSplits,
        };
        let same_file = twin.exact && same_bytes(dataset, place, partner);
        push(kind, if same_file { "the files are equal byte by byte" } else { "" });
        if label(place) != label(partner) {
            push(IssueKind::ConflictingLabels, "");
        }
    }
    (issues, groups.numbers())
}

/// Whether two images may be near duplicates by their size, width and height, and by mean and deviation of their thumbnails.
pub(crate) fn like(
    (size_a, (mean_a, std_a)): ((usize, usize), (f64, f64)),
    (size_b, (mean_b, std_b)): ((usize, usize), (f64, f64)),
) -> bool {
    let shape = |size: (usize, usize)| size.0 as f64 / size.1 as f64;
    let ratio = |x: f64, y: f64| (x / y).max(y / x);
    (mean_a - mean_b).abs() <= BRIGHTNESS
        && ratio(std_a, std_b) <= CONTRAST
        && ratio(shape(size_a), shape(size_b)) <= SHAPE
}

/// Correlation of two images that are similar enough to be near duplicates.
fn similar(a: &Measures, b: &Measures, least: f64) -> Option<f64> {
    if !like((a.size, a.moments), (b.size, b.moments)) {
        return None;
    }
    let correlation = a.correlation(b);
    (correlation >= least).then_some(correlation)
}

fn same_bytes(dataset: &Dataset, a: Place, b: Place) -> bool {
    let path = |place: Place| dataset.split(place.split).path(place.index);
    let (Some(a), Some(b)) = (path(a), path(b)) else { return false };
    let length = |path| std::fs::metadata(path).map(|meta| meta.len()).ok();
    length(a).is_some()
        && length(a) == length(b)
        && oculist_files::read(a).ok() == oculist_files::read(b).ok()
}

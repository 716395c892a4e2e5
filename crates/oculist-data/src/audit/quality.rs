//! Single images that are unlike the rest, and rare classes.

use super::{AuditOptions, Issue, IssueKind, Measures, Place, Subject};
use crate::Dataset;

/// What an image must be beyond to be an issue of this kind.
///
/// An image is an issue if it is beyond both limits: the fixed one, which is the same for every data set, and the
/// fence, which follows from the data set itself. With Q1 and Q3 the quartiles of the measure over all images, the
/// lower fence is `Q1 - 1.5 (Q3 - Q1)` and the upper one `Q3 + 1.5 (Q3 - Q1)` (of the logarithm for sharpness and
/// size). So night photos are not all reported as dark, and the darkest of a bright set are not reported if they are
/// no darker than is common elsewhere.
///
/// # Source
/// Tukey 1977 for the fences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The kind.
    pub kind: IssueKind,
    /// The limit for every data set, in the unit of the kind's score.
    pub fixed: f64,
    /// The limit for this data set.
    pub fence: f64,
    /// Images beyond the fixed limit.
    pub beyond_fixed: usize,
}

/// One measure with the images that have it.
struct Check<'a> {
    kind: IssueKind,
    /// Position among the places, and value.
    values: &'a [(usize, f64)],
    fixed: f64,
    /// Whether large values are bad.
    above: bool,
    logarithmic: bool,
}

impl Check<'_> {
    fn run(&self, places: &[Place], issues: &mut Vec<Issue>) -> Limit {
        let scale = |v: f64| if self.logarithmic { v.max(1e-12).ln() } else { v };
        let mut sorted: Vec<f64> = self.values.iter().map(|&(_, v)| scale(v)).collect();
        sorted.sort_by(f64::total_cmp);
        let (q1, q3) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
        let fence = if self.above { q3 + 1.5 * (q3 - q1) } else { q1 - 1.5 * (q3 - q1) };
        let fence = if self.logarithmic { fence.exp() } else { fence };
        let beyond = |v: f64, limit: f64| if self.above { v > limit } else { v < limit };
        let mut beyond_fixed = 0;
        for &(i, value) in self.values {
            beyond_fixed += usize::from(beyond(value, self.fixed));
            // A value that is the quartile itself is no outlier, whatever rounding makes of its logarithm.
            let usual = (q1..=q3).contains(&scale(value));
            if beyond(value, self.fixed) && beyond(value, fence) && !usual {
                issues.push(about(self.kind, places[i], value));
            }
        }
        Limit { kind: self.kind, fixed: self.fixed, fence, beyond_fixed }
    }
}

/// Quality of single images and sizes of classes.
pub(super) fn check(
    dataset: &Dataset,
    places: &[Place],
    measures: &[Option<Measures>],
    options: &AuditOptions,
) -> (Vec<Issue>, Vec<Limit>) {
    let mut issues = Vec::new();
    let all = |value: &dyn Fn(&Measures) -> Option<f64>| -> Vec<(usize, f64)> {
        let each = measures.iter().enumerate();
        each.filter_map(|(i, m)| Some((i, value(m.as_ref()?)?))).collect()
    };
    let side = |m: &Measures| (m.size.0 as f64 * m.size.1 as f64).sqrt();
    let mut sides: Vec<f64> = measures.iter().flatten().map(side).collect();
    sides.sort_by(f64::total_cmp);
    let median = quantile(&sides, 0.5).max(1.0);
    let relative_side = all(&|m| Some(side(m) / median));
    let below = |kind, values, fixed, logarithmic| Check { kind, values, fixed, above: false, logarithmic };
    let above = |kind, values, fixed, logarithmic| Check { kind, values, fixed, above: true, logarithmic };
    let (sharp, dark) = (all(&|m| m.sharpness), all(&|m| Some(m.brightness.1)));
    let (bright, entropy) = (all(&|m| Some(m.brightness.0)), all(&|m| Some(m.entropy)));
    let aspect = all(&|m| Some(m.size.0.min(m.size.1) as f64 / m.size.0.max(m.size.1) as f64));
    let checks = [
        below(IssueKind::Blurred, &sharp, options.sharpness, true),
        below(IssueKind::Dark, &dark, options.dark, false),
        above(IssueKind::Bright, &bright, options.bright, false),
        below(IssueKind::LowInformation, &entropy, options.entropy, false),
        below(IssueKind::OddSize, &relative_side, 1.0 / options.size_factor, true),
        above(IssueKind::OddSize, &relative_side, options.size_factor, true),
        below(IssueKind::OddAspectRatio, &aspect, options.aspect, false),
    ];
    let limits = checks.iter().map(|check| check.run(places, &mut issues)).collect();
    issues.extend(colors(places, measures));
    issues.extend(rare_classes(dataset, options.rare));
    (issues, limits)
}

fn about(kind: IssueKind, place: Place, score: f64) -> Issue {
    Issue { kind, subject: Subject::Image(place), score, partner: None, detail: String::new() }
}

/// The few without colour among those with, or the reverse; none if both are many (at least a third).
fn colors(places: &[Place], measures: &[Option<Measures>]) -> Vec<Issue> {
    let readable = measures.iter().flatten().count().max(1) as f64;
    let colored = measures.iter().flatten().filter(|m| m.color).count() as f64 / readable;
    let (kind, odd, share) = if colored > 2.0 / 3.0 {
        (IssueKind::GreyAmongColor, false, colored)
    } else if colored < 1.0 / 3.0 {
        (IssueKind::ColorAmongGrey, true, 1.0 - colored)
    } else {
        return Vec::new();
    };
    let each = measures.iter().zip(places);
    each.filter(|(m, _)| m.as_ref().is_some_and(|m| m.color == odd))
        .map(|(_, &p)| about(kind, p, share))
        .collect()
}

fn rare_classes(dataset: &Dataset, rare: f64) -> Vec<Issue> {
    let counts = dataset.train().class_counts();
    let mean = counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64;
    let each = counts.iter().enumerate().filter(|&(_, &n)| (n as f64) < rare * mean);
    each.map(|(class, &n)| Issue {
        kind: IssueKind::RareClass,
        subject: Subject::Class(class as u32),
        score: n as f64 / mean,
        partner: None,
        detail: format!("{n} training images, {mean:.1} in the mean of all classes"),
    })
    .collect()
}

/// Quantile of sorted values with linear interpolation; 0 of none.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let rank = q * last as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    low + (high - low) * (rank - rank.floor())
}

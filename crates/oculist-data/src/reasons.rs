//! What was left out, by reason.

use crate::Skipped;
use crate::error::shortened;

/// Reasons that a message names; the rest are counted together.
const NAMED: usize = 5;

/// The reasons among `skipped`, most frequent first: how many have it, and the first that does.
///
/// What was found (", found ...") differs from row to row and does not make another reason.
pub(crate) fn by_reason<'a>(
    skipped: impl IntoIterator<Item = &'a Skipped>,
) -> Vec<(&'a str, usize, &'a Skipped)> {
    let mut reasons: Vec<(&str, usize, &Skipped)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for skip in skipped {
        let reason = skip.reason.split_once(", found ").map_or(&*skip.reason, |(expected, _)| expected);
        let at = *places.entry(reason).or_insert_with(|| {
            reasons.push((reason, 0, skip));
            reasons.len() - 1
        });
        reasons[at].1 += 1;
    }
    reasons.sort_by_key(|&(_, count, _)| std::cmp::Reverse(count));
    reasons
}

/// `; also 3 x expected an image file (first a.csv/line 9)` for every reason but that of `first`, which a message names already.
pub(crate) fn other_reasons<'a>(skipped: impl IntoIterator<Item = &'a Skipped>, first: &Skipped) -> String {
    let mut reasons = by_reason(skipped);
    reasons.retain(|(_, _, example)| *example != first);
    let shown = reasons.iter().take(NAMED);
    let mut parts: Vec<String> = shown
        .map(|(reason, count, example)| {
            format!("; also {count} x {reason} (first {})", example.path.display())
        })
        .collect();
    if reasons.len() > NAMED {
        parts.push(format!("; and {} more reasons", reasons.len() - NAMED));
    }
    parts.concat()
}

/// `; to note: cat: an audit of oculist, not read as data`: why something that is there was not found.
pub(crate) fn passed_over(skipped: &[Skipped]) -> Box<str> {
    let mut parts: Vec<String> = skipped
        .iter()
        .take(NAMED)
        .map(|skip| format!("{}: {}", skip.path.display(), shortened(&skip.reason)))
        .collect();
    if skipped.len() > NAMED {
        parts.push(format!("and {} more", skipped.len() - NAMED));
    }
    if parts.is_empty() { "".into() } else { format!("; to note: {}", parts.join("; ")).into() }
}

//! The confusion matrix as a heat map, and the pairs that are confused most.
//!
//! Rows are normalised to the images of their class. Hits and mistakes have colour scales of their own: on one
//! scale the diagonal would leave nothing visible beside it.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::Model;
use crate::chart::Size;
use crate::svg::{Anchor, Svg, ellipsis, number};

/// Up to this many classes a matrix is drawn; beyond, a cell would be smaller than a few pixels.
pub(crate) const MAX_DRAWN: usize = 100;
/// Up to this many classes the rows and columns carry names.
const MAX_NAMED: usize = 24;
/// Up to this many classes the cells carry numbers.
const MAX_NUMBERED: usize = 14;
/// Names over the columns are cut to this width.
const COLUMN_NAME: usize = 16;
/// Number of colour steps of either scale; the style sheet has as many classes.
const LEVELS: f64 = 8.0;

/// A pair of classes and how often the first was taken for the second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub(crate) truth: usize,
    pub(crate) predicted: usize,
    pub(crate) count: u64,
    /// Number of images of the true class.
    pub(crate) of: u64,
}

/// The `limit` most frequent confusions, most frequent first, ties in label order.
pub(crate) fn most_confused(matrix: &[Vec<u64>], limit: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (truth, row) in matrix.iter().enumerate() {
        let of = row.iter().sum();
        let wrong = row.iter().enumerate().filter(|&(predicted, &count)| predicted != truth && count > 0);
        pairs.extend(wrong.map(|(predicted, &count)| Pair { truth, predicted, count, of }));
    }
    pairs.sort_by_key(|p| (std::cmp::Reverse(p.count), p.truth, p.predicted));
    pairs.truncate(limit);
    pairs
}

/// The same of a model whose mistakes may stand in a list instead of a matrix.
pub(crate) fn most_confused_by(model: &Model, limit: usize) -> Vec<Pair> {
    if !model.confusion.is_empty() {
        return most_confused(&model.confusion, limit);
    }
    let pair = |&[truth, predicted, count]: &[u64; 3]| {
        let of = model.per_class.get(truth as usize)?.count;
        Some(Pair { truth: truth as usize, predicted: predicted as usize, count, of })
    };
    let mut pairs: Vec<Pair> = model.mistakes.iter().filter_map(pair).collect();
    pairs.sort_by_key(|p| (std::cmp::Reverse(p.count), p.truth, p.predicted));
    pairs.truncate(limit);
    pairs
}

/// Draws the matrix; `names` has a name for each class.
pub(crate) fn draw(matrix: &[Vec<u64>], names: &[String], size: Size) -> String {
    let n = matrix.len();
    let narrow = size.width < 450.0;
    let named = n <= MAX_NAMED;
    let left = match (named, narrow) {
        (false, _) => 20.0,
        (true, true) => 84.0,
        (true, false) => 130.0,
    };
    // The names over the columns are turned by 45 degrees.
    let longest = names.iter().map(|n| n.width().min(COLUMN_NAME)).max().unwrap_or(0);
    let top = match (named, narrow) {
        (false, _) | (true, true) => 34.0,
        (true, false) => 34.0 + 4.6 * longest as f64,
    };
    // Names over the columns lean to the right and need room there.
    let right = if named && !narrow { 56.0 } else { 2.0 };
    let cell = ((size.width - left - right) / n as f64).min(if n < 6 { 88.0 } else { 60.0 });
    let side = cell * n as f64;
    let mut svg = Svg::new(size.width, top + side + 4.0, &format!("Confusion matrix of {n} classes"));
    svg.text((left, 12.0), Anchor::Start, "axis-name", "predicted →");
    if named {
        svg.text((left - 6.0, top - 7.0), Anchor::End, "axis-name", "true class ↓");
    } else {
        svg.turned_text((12.0, top), -90.0, Anchor::End, "axis-name", "← true class");
    }

    let shares: Vec<Vec<f64>> = matrix.iter().map(|row| row_shares(row)).collect();
    let worst = (0..n)
        .flat_map(|t| shares[t].iter().enumerate().filter(move |&(p, _)| p != t))
        .map(|(_, &share)| share)
        .fold(0.0, f64::max);
    if named {
        draw_names(&mut svg, names, (left, top), cell, narrow);
        let numbered = n <= MAX_NUMBERED && cell >= 17.0;
        for t in 0..n {
            for p in 0..matrix[t].len().min(n) {
                let (x, y) = (left + cell * p as f64, top + cell * t as f64);
                let class = level_class(t == p, shares[t][p], worst);
                let total: u64 = matrix[t].iter().sum();
                let (truth, seen) = (&names[t], &names[p]);
                let title = if t == p {
                    format!("{truth}: {} of {total} right", matrix[t][p])
                } else {
                    format!("{truth} taken for {seen}: {} of {total}", matrix[t][p])
                };
                let gap = if cell > 10.0 { 1.0 } else { 0.5 };
                svg.rect((x, y), (cell - gap, cell - gap), &class, &title);
                let percent = (shares[t][p] * 100.0).round();
                if numbered && percent >= 1.0 {
                    let at = (x + (cell - gap) / 2.0, y + cell / 2.0 + 3.5);
                    svg.text(at, Anchor::Middle, &format!("{class} num"), &format!("{percent}"));
                }
            }
        }
    } else {
        svg.rect((left, top), (side, side), "e0", "");
        draw_cells(&mut svg, &shares, worst, (left, top), cell);
    }
    svg.finish()
}

/// Names of rows, and of columns where there is room; numbers over the columns on a narrow page.
fn draw_names(svg: &mut Svg, names: &[String], (left, top): (f64, f64), cell: f64, narrow: bool) {
    let class = if cell < 14.0 { "tick small" } else { "tick" };
    for (i, name) in names.iter().enumerate() {
        let at = (i as f64 + 0.5) * cell;
        if narrow {
            let row = format!("{} {}", ellipsis(name, 8), i + 1);
            svg.text((left - 6.0, top + at + 4.0), Anchor::End, class, &row);
            svg.text((left + at, top - 7.0), Anchor::Middle, class, &(i + 1).to_string());
        } else {
            svg.text((left - 8.0, top + at + 4.0), Anchor::End, class, &ellipsis(name, 17));
            let place = (left + at + 2.0, top - 8.0);
            svg.turned_text(place, -45.0, Anchor::Start, class, &ellipsis(name, COLUMN_NAME));
        }
    }
}

/// All cells of one colour as one path: ten thousand rectangles would make the page heavy.
fn draw_cells(svg: &mut Svg, shares: &[Vec<f64>], worst: f64, (left, top): (f64, f64), cell: f64) {
    let mut paths: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    for (t, row) in shares.iter().enumerate() {
        for (p, &share) in row.iter().enumerate().filter(|&(p, &share)| share > 0.0 || p == t) {
            let data = paths.entry(level_class(t == p, share, worst)).or_default();
            let (x, y) = (left + cell * p as f64, top + cell * t as f64);
            let s = number(cell);
            let _ = write!(data, "M{} {}h{s}v{s}h-{s}z", number(x), number(y));
        }
    }
    for (class, data) in &paths {
        svg.path(data, class, "");
    }
}

fn row_shares(row: &[u64]) -> Vec<f64> {
    let total = row.iter().sum::<u64>().max(1) as f64;
    row.iter().map(|&count| count as f64 / total).collect()
}

/// `d0`..`d8` on the diagonal by accuracy, `e0`..`e8` beside it by the share of the worst confusion.
fn level_class(hit: bool, share: f64, worst: f64) -> String {
    if hit {
        format!("d{:.0}", (share * LEVELS).round())
    } else if share <= 0.0 {
        "e0".to_string()
    } else {
        format!("e{:.0}", (share / worst * LEVELS).ceil().clamp(1.0, LEVELS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_ordered_and_exclude_hits() {
        let matrix = vec![vec![90, 7, 3], vec![7, 93, 0], vec![0, 20, 80]];
        let pairs = most_confused(&matrix, 3);
        let found: Vec<_> = pairs.iter().map(|p| (p.truth, p.predicted, p.count, p.of)).collect();
        assert_eq!(found, [(2, 1, 20, 100), (0, 1, 7, 100), (1, 0, 7, 100)]);
    }

    #[test]
    fn scales_are_separate_for_hits_and_mistakes() {
        assert_eq!(level_class(true, 1.0, 0.1), "d8");
        assert_eq!(level_class(true, 0.0, 0.1), "d0");
        assert_eq!(level_class(false, 0.1, 0.1), "e8");
        assert_eq!(level_class(false, 0.001, 0.1), "e1");
        assert_eq!(level_class(false, 0.0, 0.0), "e0");
    }

    #[test]
    fn a_class_without_test_images_and_many_classes_can_be_drawn() {
        for n in [2, 10, 24, 25, 100] {
            let mut matrix = vec![vec![0; n]; n];
            for (i, row) in matrix.iter_mut().enumerate().skip(1) {
                row[i] = 9;
                row[i - 1] = 1;
            }
            let names: Vec<_> = (0..n).map(|i| format!("class {i}")).collect();
            let svg = draw(&matrix, &names, Size { width: 640.0, height: 640.0 });
            assert!(!svg.contains("NaN"), "{n}");
            assert_eq!(svg.contains("class 1"), n <= MAX_NAMED);
            assert!(svg.len() < 150_000, "{n}: {}", svg.len());
        }
    }
}

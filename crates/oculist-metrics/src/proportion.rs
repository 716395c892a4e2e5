//! Shares: what guessing gives, and how sure a share of few images is.

use std::collections::BTreeMap;

/// Share of the most frequent label in percent: the top-1 of always answering it; `None` of nothing.
pub fn majority_rate(labels: &[u32]) -> Option<f64> {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_insert(0usize) += 1;
    }
    counts.values().max().map(|&most| 100.0 * most as f64 / labels.len() as f64)
}

/// A range of values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The 95% confidence interval, in percent, of a share of which `successes` of `count` were seen.
///
/// With `p = successes / count` and `z = 1.96` (the 97.5% quantile of the normal distribution),
/// `(p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)`. It stays within 0..=100; of nothing it is all of it.
///
/// # Panics
/// If there are more successes than `count`.
///
/// # Source
/// Wilson 1927, without continuity correction.
pub fn wilson_interval(successes: usize, count: usize) -> Interval {
    assert!(successes <= count, "{successes} successes of {count}");
    if count == 0 {
        return Interval { low: 0.0, high: 100.0 };
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (count as f64, successes as f64 / count as f64);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + Z * Z / n);
    // The ends of "none" and "all" are exact, but not their rounding.
    let low = if successes == 0 { 0.0 } else { scale * (middle - half) };
    let high = if successes == count { 100.0 } else { scale * (middle + half) };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_counted() {
        assert_eq!(majority_rate(&[3, 1, 3, 3]), Some(75.0));
        assert_eq!(majority_rate(&[7]), Some(100.0));
        assert_eq!(majority_rate(&[]), None);
    }

    #[test]
    fn intervals_hold_the_share_and_shrink_with_the_count() {
        for n in [1, 2, 10, 1000] {
            for k in 0..=n {
                let (share, Interval { low, high }) = (100.0 * k as f64 / n as f64, wilson_interval(k, n));
                assert!(0.0 <= low && low <= share && share <= high && high <= 100.0, "{k} of {n}");
            }
        }
        let width = |n| wilson_interval(n / 2, n).high - wilson_interval(n / 2, n).low;
        assert!(width(100) > 3.0 * width(1000));
        assert_eq!(wilson_interval(0, 0), Interval { low: 0.0, high: 100.0 });
    }
}

//! Metrics of an order: how far above the others those are that should be above.

/// Area under the ROC curve, 0..=1: the share of pairs of a positive and a negative in which the positive has the
/// higher score, equal scores counting half; `None` unless there are both.
///
/// `AUC = (sum over positives of (negatives below + equal negatives / 2)) / (P N)`, counted in whole numbers. A NaN
/// ranks with `-inf`.
///
/// # Shapes
/// `scores` and `positive`: one element per image.
///
/// # Panics
/// If the lengths differ.
///
/// # Source
/// Mann and Whitney 1947; Hanley and McNeil 1982.
pub fn area_under_roc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let groups = groups(scores, positive);
    let (mut positives, mut negatives) = (0u64, 0u64);
    let mut twice = 0u64;
    // From the highest score down: the negatives that are still to come are below.
    let all_negatives: u64 = groups.iter().map(|g| g.negatives).sum();
    for group in &groups {
        let below = all_negatives - negatives - group.negatives;
        twice += group.positives * (2 * below + group.negatives);
        positives += group.positives;
        negatives += group.negatives;
    }
    (positives > 0 && negatives > 0).then(|| twice as f64 / (2.0 * positives as f64 * negatives as f64))
}

/// Average precision, 0..=1: the mean over positives of the precision where the threshold is the positive's score;
/// `None` without positives.
///
/// `AP = sum (R_n - R_(n-1)) P_n` over the distinct scores from the highest, without interpolation. A NaN ranks with
/// `-inf`.
///
/// # Shapes
/// `scores` and `positive`: one element per image.
///
/// # Panics
/// If the lengths differ.
///
/// # Source
/// scikit-learn's `average_precision_score`.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let groups = groups(scores, positive);
    let all: u64 = groups.iter().map(|g| g.positives).sum();
    let (mut positives, mut taken, mut sum) = (0u64, 0u64, 0.0);
    for group in &groups {
        positives += group.positives;
        taken += group.positives + group.negatives;
        sum += group.positives as f64 * (positives as f64 / taken as f64);
    }
    (all > 0).then(|| sum / all as f64)
}

/// Images of one score.
struct Group {
    positives: u64,
    negatives: u64,
}

/// The distinct scores from the highest to the lowest.
fn groups(scores: &[f64], positive: &[bool]) -> Vec<Group> {
    assert_eq!(scores.len(), positive.len(), "scores and positives differ in length");
    // Adding zero makes -0 the 0 that it equals.
    let plain = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score + 0.0 };
    let mut order: Vec<(f64, bool)> =
        scores.iter().map(|&s| plain(s)).zip(positive.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let of = |same: &[(f64, bool)]| {
        let positives = same.iter().filter(|(_, positive)| *positive).count();
        Group { positives: positives as u64, negatives: (same.len() - positives) as u64 }
    };
    order.chunk_by(|a, b| a.0 == b.0).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: bool = true;
    const NO: bool = false;

    #[test]
    fn areas_by_hand() {
        assert_eq!(area_under_roc(&[0.1, 0.4, 0.35, 0.8], &[NO, NO, YES, YES]), Some(0.75));
        assert_eq!(area_under_roc(&[1.0, 1.0, 1.0], &[YES, NO, YES]), Some(0.5));
        assert_eq!(area_under_roc(&[0.0, 1.0], &[YES, NO]), Some(0.0));
        assert_eq!(area_under_roc(&[-0.0, 0.0], &[NO, YES]), Some(0.5));
        assert_eq!(area_under_roc(&[f64::NAN, -9.0], &[YES, NO]), Some(0.0));
        assert_eq!(area_under_roc(&[1.0], &[YES]), None);
        assert_eq!(area_under_roc(&[], &[]), None);
    }

    #[test]
    fn precisions_by_hand() {
        // Positives at ranks 1 and 3: (1/1 + 2/3) / 2.
        let ap = average_precision(&[0.9, 0.8, 0.7, 0.1], &[YES, NO, YES, NO]).unwrap();
        assert!((ap - 5.0 / 6.0).abs() < 1e-15);
        // One step for the three that are equal.
        assert_eq!(average_precision(&[1.0, 1.0, 1.0], &[YES, NO, NO]), Some(1.0 / 3.0));
        assert_eq!(average_precision(&[f64::NAN, 0.0], &[YES, NO]), Some(0.5));
        assert_eq!(average_precision(&[1.0], &[NO]), None);
    }
}

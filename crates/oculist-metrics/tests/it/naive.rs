//! The definitions of the metrics, written out with no cleverness. Finite logits only.

/// `p_c = exp(z_c) / sum exp(z)`.
fn probabilities(row: &[f32]) -> Vec<f64> {
    let exps: Vec<f64> = row.iter().map(|&z| f64::from(z).exp()).collect();
    exps.iter().map(|e| e / exps.iter().sum::<f64>()).collect()
}

/// Classes from the likeliest to the least likely, equals by index.
fn order(row: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..row.len()).collect();
    classes.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).unwrap());
    classes
}

fn share(of: impl Iterator<Item = bool>) -> Option<f64> {
    let all: Vec<bool> = of.collect();
    let yes = all.iter().filter(|yes| **yes).count();
    (!all.is_empty()).then(|| yes as f64 / all.len() as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Percent of images whose label is among the first `k`.
pub(super) fn top(k: usize, logits: &[f32], labels: &[u32], classes: usize) -> f64 {
    let right = |(row, &label): (&[f32], &u32)| order(row).iter().take(k).any(|&c| c == label as usize);
    100.0 * share(logits.chunks(classes).zip(labels).map(right)).unwrap()
}

/// The likeliest class of each image.
pub(super) fn predictions(logits: &[f32], classes: usize) -> Vec<u32> {
    logits.chunks(classes).map(|row| order(row)[0] as u32).collect()
}

/// Mean recall in percent of the classes that occur.
pub(super) fn balanced_accuracy(predicted: &[u32], labels: &[u32], classes: usize) -> f64 {
    let recall = |c: u32| share(predicted.iter().zip(labels).filter(|(_, l)| **l == c).map(|(p, _)| *p == c));
    100.0 * mean(&(0..classes as u32).filter_map(recall).collect::<Vec<_>>())
}

/// The harmonic mean of precision and recall, 0..=1; `None` where nothing is there and nothing answered.
pub(super) fn f1(predicted: &[bool], truth: &[bool]) -> Option<f64> {
    let both = || predicted.iter().zip(truth);
    let precision = share(both().filter(|(p, _)| **p).map(|(_, t)| *t));
    let recall = share(both().filter(|(_, t)| **t).map(|(p, _)| *p));
    match (precision, recall) {
        (None, None) => None,
        (Some(p), Some(r)) if p + r > 0.0 => Some(2.0 * p * r / (p + r)),
        _ => Some(0.0),
    }
}

/// Mean F1 in percent of the classes that occur or are answered.
pub(super) fn macro_f1(predicted: &[u32], labels: &[u32], classes: usize) -> f64 {
    let of = |c: u32| {
        let is = |all: &[u32]| all.iter().map(|&x| x == c).collect::<Vec<_>>();
        f1(&is(predicted), &is(labels))
    };
    100.0 * mean(&(0..classes as u32).filter_map(of).collect::<Vec<_>>())
}

/// Mean `-ln p_truth`.
pub(super) fn log_loss(logits: &[f32], labels: &[u32], classes: usize) -> f64 {
    let of = |(row, &label): (&[f32], &u32)| -probabilities(row)[label as usize].ln();
    mean(&logits.chunks(classes).zip(labels).map(of).collect::<Vec<_>>())
}

/// Percent; confidences in f32, bins `(b / 15, (b + 1) / 15]`.
pub(super) fn ece(logits: &[f32], labels: &[u32], classes: usize) -> f64 {
    let mut total = 0.0;
    for b in 0..15 {
        let (low, high) = (f64::from(b) / 15.0, f64::from(b + 1) / 15.0);
        let (mut n, mut right, mut confidence) = (0.0, 0.0, 0.0);
        for (row, &label) in logits.chunks(classes).zip(labels) {
            let best = order(row)[0];
            let p = f64::from(probabilities(row)[best] as f32);
            if low < p && p <= high {
                n += 1.0;
                right += f64::from(u8::from(best == label as usize));
                confidence += p;
            }
        }
        if n > 0.0 {
            total += n / labels.len() as f64 * f64::abs(right / n - confidence / n);
        }
    }
    100.0 * total
}

/// Share of pairs in which the positive is above, those where both are equal counting `tie`.
pub(super) fn area_under_roc(scores: &[f64], positive: &[bool], tie: f64) -> Option<f64> {
    let (mut pairs, mut wins) = (0.0, 0.0);
    for (i, _) in positive.iter().enumerate().filter(|(_, p)| **p) {
        for (j, _) in positive.iter().enumerate().filter(|(_, p)| !**p) {
            pairs += 1.0;
            if scores[i] > scores[j] {
                wins += 1.0;
            } else if scores[i] == scores[j] {
                wins += tie;
            }
        }
    }
    (pairs > 0.0).then(|| wins / pairs)
}

/// Mean over positives of the precision among what scores at least as high.
pub(super) fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let precision = |i: usize| {
        let above = (0..scores.len()).filter(|&j| scores[j] >= scores[i]);
        share(above.map(|j| positive[j])).unwrap()
    };
    let all: Vec<f64> = (0..scores.len()).filter(|&i| positive[i]).map(precision).collect();
    (!all.is_empty()).then(|| mean(&all))
}

/// Mean binary cross-entropy over images and classes.
pub(super) fn binary_cross_entropy(logits: &[f32], truth: &[bool]) -> f64 {
    let of = |(&z, &t): (&f32, &bool)| {
        let p = 1.0 / (1.0 + (-f64::from(z)).exp());
        if t { -p.ln() } else { -(1.0 - p).ln() }
    };
    mean(&logits.iter().zip(truth).map(of).collect::<Vec<_>>())
}

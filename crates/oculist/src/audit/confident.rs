//! Confident learning: which labels are likely wrong, from the probabilities of a model that has not seen them.

/// One image in so many is ranked without the confidence of the joint.
const RANKED: usize = 20;

/// A label that is likely wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelIssue {
    /// Position of the image.
    pub index: usize,
    /// The class that the model is confident of, otherwise the likeliest other one.
    pub suggested: u32,
    /// Whether the image is off the diagonal of the joint.
    pub confident: bool,
    /// Probability of the given label, 0..=1.
    pub self_confidence: f64,
    /// Probability of the given label minus that of the likeliest other class, -1..=1.
    pub margin: f64,
}

/// What confident learning finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Confident {
    /// `thresholds[j]`: mean probability of class j over the images labelled j; infinite for a class without images.
    pub thresholds: Vec<f64>,
    /// `joint[i][j]`: images labelled i that are confidently j.
    pub joint: Vec<Vec<u32>>,
    /// Estimated number of wrong labels: the joint with each row scaled to the images that have the label, off the
    /// diagonal.
    pub estimated_errors: f64,
    /// The images off the diagonal of the joint and those whose likeliest class is another than their label, the least
    /// probability of the label first; those that are not off the diagonal only among the first 5% of all images.
    pub issues: Vec<LabelIssue>,
}

/// Finds likely label errors.
///
/// An image is confidently of class j if j is the likeliest class among those whose probability is at least their
/// threshold. The confident joint counts images by label and confident class; those off its diagonal are the issues.
/// On equal probabilities the lower class counts. Images that are merely likelier of another class are ranked too, as
/// far as the first 5% of all images reach: a model that is unsure of many images is confident of few wrong ones.
///
/// # Shapes
/// `probabilities`: `[labels.len(), classes]`, dense, rows that sum to 1, from a model that was not trained on the
/// image of the row.
///
/// # Panics
/// If the lengths do not fit or a label is not below `classes`.
///
/// # Source
/// Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021: equations
/// 1 to 3, the selection of section 3.2 by the confident joint itself, ranked by self-confidence; the images beyond the
/// joint are an addition.
pub fn confident_learning(probabilities: &[f32], labels: &[u32], classes: usize) -> Confident {
    assert_eq!(probabilities.len(), labels.len() * classes, "one row of probabilities per label");
    assert!(labels.iter().all(|&l| (l as usize) < classes), "labels below {classes}");
    let rows = || probabilities.chunks_exact(classes.max(1)).zip(labels);
    let (mut sums, mut counts) = (vec![0f64; classes], vec![0u32; classes]);
    for (row, &label) in rows() {
        sums[label as usize] += f64::from(row[label as usize]);
        counts[label as usize] += 1;
    }
    let mean = |(&sum, &n): (&f64, &u32)| if n == 0 { f64::INFINITY } else { sum / f64::from(n) };
    let thresholds: Vec<f64> = sums.iter().zip(&counts).map(mean).collect();
    let mut joint = vec![vec![0u32; classes]; classes];
    let mut issues = Vec::new();
    for (index, (row, &label)) in rows().enumerate() {
        let mut confident: Option<usize> = None;
        for j in 0..classes {
            let likelier = confident.is_none_or(|best| row[j] > row[best]);
            if f64::from(row[j]) >= thresholds[j] && likelier {
                confident = Some(j);
            }
        }
        let label = label as usize;
        if let Some(class) = confident {
            joint[label][class] += 1;
        }
        let other = (0..classes)
            .filter(|&c| c != label && counts[c] > 0)
            .max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
        let Some(other) = other else { continue };
        let wrong = confident.filter(|&class| class != label);
        if wrong.is_none() && row[other] <= row[label] {
            continue;
        }
        let self_confidence = f64::from(row[label]);
        let margin = self_confidence - f64::from(row[other]);
        let suggested = wrong.unwrap_or(other) as u32;
        issues.push(LabelIssue { index, suggested, confident: wrong.is_some(), self_confidence, margin });
    }
    issues.sort_by(|a, b| a.self_confidence.total_cmp(&b.self_confidence).then(a.index.cmp(&b.index)));
    let looked_at = labels.len().div_ceil(RANKED);
    let mut rank = 0;
    issues.retain(|issue| {
        rank += 1;
        issue.confident || rank <= looked_at
    });
    let mut estimated_errors = 0.0;
    for (i, row) in joint.iter().enumerate() {
        let all: u32 = row.iter().sum();
        if all > 0 {
            estimated_errors += f64::from(all - row[i]) / f64::from(all) * f64::from(counts[i]);
        }
    }
    Confident { thresholds, joint, estimated_errors, issues }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use oculist_testing::python;

    use super::*;

    /// Probabilities that favour a true class, and labels of which some are flipped.
    fn noisy(n: usize, classes: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut rng = oculist_augment::Rng::keyed(&[seed]);
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let truth = rng.below(classes);
            let logits: Vec<f32> =
                (0..classes).map(|c| rng.range(0.0, 2.0) + if c == truth { 2.0 } else { 0.0 }).collect();
            probabilities.extend(crate::metrics::softmax(&logits));
            labels.push(if rng.chance(0.1) { rng.below(classes) } else { truth } as u32);
        }
        (probabilities, labels)
    }

    /// Whether the result is that of the naive implementation in Python.
    fn agrees(ours: &Confident, theirs: &serde_json::Value) -> bool {
        let joint: Vec<Vec<u32>> = serde_json::from_value(theirs["joint"].clone()).expect("counts");
        let order: Vec<usize> = serde_json::from_value(theirs["order"].clone()).expect("positions");
        let suggested: Vec<u32> = serde_json::from_value(theirs["suggested"].clone()).expect("classes");
        let errors = theirs["errors"].as_f64().expect("a number");
        ours.joint == joint
            && ours.issues.iter().map(|i| i.index).eq(order)
            && ours.issues.iter().map(|i| i.suggested).eq(suggested)
            && ours.issues.iter().filter(|i| i.confident).count() as u64
                == theirs["confident"].as_u64().expect("a count")
            && (ours.estimated_errors - errors).abs() < 1e-6 * (1.0 + errors)
    }

    #[test]
    fn the_joint_is_that_of_a_naive_implementation() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/confident.py");
        for (n, classes, seed) in [(400, 3, 1), (1000, 10, 2), (50, 2, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let (probabilities, labels) = noisy(n, classes, seed);
            let file = |name: &str| folder.path().join(name);
            let bytes: Vec<u8> = probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
            std::fs::write(file("p"), bytes).unwrap();
            std::fs::write(file("l"), labels.iter().flat_map(|l| l.to_le_bytes()).collect::<Vec<_>>())
                .unwrap();
            let arguments = [file("p"), file("l"), classes.to_string().into()];
            let Some(found) = python::run_file(&script, arguments) else { return };
            let found = found.expect_success().json();
            let ours = confident_learning(&probabilities, &labels, classes);
            assert!(agrees(&ours, &found), "{n} images of {classes} classes");
            assert!(!ours.issues.is_empty());
            // Twin: counting by the likeliest class alone, without thresholds, is another joint.
            let mut plain = ours.clone();
            plain.joint = vec![vec![0; classes]; classes];
            for (row, &label) in probabilities.chunks_exact(classes).zip(&labels) {
                plain.joint[label as usize][crate::metrics::argmax(row)] += 1;
            }
            assert!(!agrees(&plain, &found));
            let mut turned = ours;
            turned.issues.reverse();
            assert!(turned.issues.len() < 2 || !agrees(&turned, &found));
        }
    }

    #[test]
    fn a_class_without_images_is_never_suggested() {
        let found = confident_learning(&[0.2, 0.1, 0.7, 0.1, 0.3, 0.6], &[0, 1], 3);
        assert!(found.thresholds[2].is_infinite());
        assert!(found.issues.is_empty());
        assert_eq!(confident_learning(&[], &[], 3).estimated_errors, 0.0);
    }
}

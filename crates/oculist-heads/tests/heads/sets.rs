//! What holds for every kind of head.

use std::sync::atomic::AtomicBool;

use oculist_heads::{Fitted, HeadError, HeadKind, HeadOptions, Rows, fit};
use oculist_testing::formula;

/// Rows of three classes around centres that are `apart` from each other, in `dim` features.
pub(crate) fn rows(n: usize, dim: usize, apart: f32) -> (Vec<f32>, Vec<u32>) {
    let labels: Vec<u32> = (0..n).map(|i| (i % 3) as u32).collect();
    let mut values = formula::tensor("heads", n * dim);
    for (row, &label) in values.chunks_exact_mut(dim).zip(&labels) {
        row[label as usize] += apart;
    }
    (values, labels)
}

pub(crate) fn quick() -> HeadOptions {
    HeadOptions { trees: 40, ..HeadOptions::default() }
}

pub(crate) fn learn(
    kind: HeadKind,
    values: &[f32],
    dim: usize,
    labels: &[u32],
    classes: usize,
    options: &HeadOptions,
) -> Result<Fitted, HeadError> {
    fit(kind, Rows::new(values, dim)?, labels, classes, options, &AtomicBool::new(false))
}

pub(crate) fn right(scores: &[f32], labels: &[u32], classes: usize) -> f64 {
    let best = |row: &[f32]| (1..classes).fold(0, |b, i| if row[i] > row[b] { i } else { b });
    let right = scores.chunks_exact(classes).zip(labels).filter(|(row, l)| best(row) == **l as usize).count();
    right as f64 / labels.len() as f64
}

#[test]
fn every_kind_learns_and_says_what_it_chose() {
    let (values, labels) = rows(90, 8, 1.5);
    for &kind in HeadKind::ALL {
        let head = learn(kind, &values, 8, &labels, 3, &quick()).unwrap();
        let scores = head.scores(Rows::new(&values, 8).unwrap()).unwrap();
        assert!(right(&scores, &labels, 3) > 0.9, "{kind}");
        let accuracy = head.cv_accuracy().unwrap();
        assert!(accuracy > 0.8 && accuracy <= 1.0, "{kind}: {accuracy}");
        assert!(head.chosen().contains(&format!("{:.1}%", 100.0 * accuracy)), "{kind}: {}", head.chosen());
        assert_eq!(head.linear().is_some(), kind.is_linear());
        assert_eq!((head.kind(), head.dim(), head.classes()), (kind, 8, 3));
    }
}

#[test]
fn the_softmax_of_scores_gives_probabilities_of_unseen_rows() {
    let (dim, classes) = (60, 3);
    let (values, labels) = rows(360, dim, 0.7);
    let (known, seen) = (&values[..90 * dim], &labels[..90]);
    let (new, unseen) = (Rows::new(&values[90 * dim..], dim).unwrap(), &labels[90..]);
    let loss = |scores: &[f32], factor: f64| {
        let of = |(row, &label): (&[f32], &u32)| {
            let sum: f64 = row.iter().map(|&s| (factor * f64::from(s)).exp()).sum();
            sum.ln() - factor * f64::from(row[label as usize])
        };
        scores.chunks_exact(classes).zip(unseen).map(of).sum::<f64>() / unseen.len() as f64
    };
    for kind in [HeadKind::Logistic, HeadKind::Svm, HeadKind::Lda, HeadKind::Forest] {
        let head = learn(kind, known, dim, seen, classes, &quick()).unwrap();
        let scores = head.scores(new).unwrap();
        // Knowing nothing costs ln 3.
        assert!(loss(&scores, 1.0) < 3f64.ln(), "{kind}: {}", loss(&scores, 1.0));
        // Twin: as discriminant analysis gives them, the scores of so few rows are surer than they should be.
        if kind == HeadKind::Lda {
            assert!(
                loss(&scores, 1.0 / head.calibration()) > loss(&scores, 1.0) + 0.1,
                "{}",
                head.calibration()
            );
        }
    }
}

#[test]
fn discriminant_analysis_takes_features_that_are_large_beside_their_spread() {
    let (values, labels) = rows(90, 16, 0.7);
    let head = |add: f32, few: usize| {
        let moved: Vec<f32> = values.iter().map(|v| 0.01 * v + add).collect();
        let (some, labels) = (&moved[..few * 16], &labels[..few]);
        let head = learn(HeadKind::Lda, some, 16, labels, 3, &quick()).unwrap();
        let scores = head.scores(Rows::new(&moved, 16).unwrap()).unwrap();
        (head.cv_accuracy(), scores)
    };
    let (accuracy, scores) = head(0.0, 90);
    for add in [3.0, 30.0] {
        let (moved, other) = head(add, 90);
        assert!((moved.unwrap() - accuracy.unwrap()).abs() < 0.03, "{add}: {moved:?}, {accuracy:?}");
        let differences = |s: &[f32]| s.chunks_exact(3).map(|s| s[0] - s[1]).collect::<Vec<_>>();
        let apart = differences(&scores).into_iter().zip(differences(&other)).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 0.1, "{add}");
    }
    // One row a class: nothing is known of their spread.
    let (accuracy, scores) = head(0.0, 3);
    assert_eq!(accuracy, None);
    assert!(scores.iter().all(|s| s.abs() < 100.0), "{scores:?}");
    // Rows that are all the same.
    let same = vec![5.0; 60];
    let labels: Vec<u32> = (0..20).map(|i| u32::from(i < 5)).collect();
    let head = learn(HeadKind::Lda, &same, 3, &labels, 2, &quick()).unwrap();
    let scores = head.scores(Rows::new(&same[..3], 3).unwrap()).unwrap();
    assert!(scores[0] > scores[1], "the more frequent one: {scores:?}");
}

#[test]
fn threads_change_nothing() {
    let (values, labels) = rows(60, 20, 0.7);
    for &kind in HeadKind::ALL {
        let scores = |threads| {
            let options = HeadOptions { threads, ..quick() };
            let head = learn(kind, &values, 20, &labels, 3, &options).unwrap();
            (head.chosen().to_owned(), head.scores(Rows::new(&values, 20).unwrap()).unwrap())
        };
        assert_eq!(scores(1), scores(3), "{kind}");
    }
    let seeded = |seed| {
        let options = HeadOptions { seed, ..quick() };
        let head = learn(HeadKind::Forest, &values, 20, &labels, 3, &options).unwrap();
        head.scores(Rows::new(&values, 20).unwrap()).unwrap()
    };
    assert_ne!(seeded(0), seeded(1));
}

#[test]
fn small_and_missing_classes_work() {
    let (values, mut labels) = rows(24, 4, 2.0);
    // Class 2 has one row, class 3 none, class 4 two.
    labels.iter_mut().enumerate().for_each(|(i, l)| *l = if *l == 2 && i > 2 { 0 } else { *l });
    labels[22] = 4;
    labels[23] = 4;
    for &kind in HeadKind::ALL {
        let head = learn(kind, &values, 4, &labels, 5, &quick()).unwrap();
        let scores = head.scores(Rows::new(&values, 4).unwrap()).unwrap();
        assert!(scores.iter().all(|s| s.is_finite()), "{kind}");
        assert!(
            scores.chunks_exact(5).all(|row| row[3] <= row.iter().copied().fold(f32::MAX, f32::min)),
            "{kind}"
        );
        if kind.is_linear() {
            assert!(head.chosen().contains("2 folds, since a class has 2 rows"), "{kind}: {}", head.chosen());
        }
    }
    // One row a class.
    for &kind in HeadKind::ALL {
        let head = learn(kind, &values[..12], 4, &[0, 1, 2], 3, &quick()).unwrap();
        let scores = head.scores(Rows::new(&values[..12], 4).unwrap()).unwrap();
        assert!(scores.iter().all(|s| s.is_finite()), "{kind}");
        if kind != HeadKind::Forest {
            assert_eq!(right(&scores, &[0, 1, 2], 3), 1.0, "{kind}");
            assert!(head.cv_accuracy().is_none(), "{kind}: {}", head.chosen());
        }
    }
}

#[test]
fn odd_features_are_no_panic() {
    let labels: Vec<u32> = (0..12).map(|i| i % 2).collect();
    for value in [0.0, 1.0, -3e38, 1e-38] {
        let same = vec![value; 36];
        let mut far = same.clone();
        far.iter_mut().step_by(7).for_each(|x| *x = 3e38);
        for values in [&same, &far] {
            for &kind in HeadKind::ALL {
                if let Ok(head) = learn(kind, values, 3, &labels, 2, &quick()) {
                    let scores = head.scores(Rows::new(values, 3).unwrap()).unwrap();
                    assert_eq!(scores.len(), 24);
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let (values, labels) = rows(12, 4, 1.0);
    for &kind in HeadKind::ALL {
        let learned = |labels: &[u32], classes, options: &HeadOptions| {
            learn(kind, &values, 4, labels, classes, options).map(|_| ())
        };
        assert!(matches!(
            learned(&labels[1..], 3, &quick()),
            Err(HeadError::Labels { rows: 12, labels: 11 })
        ));
        assert!(matches!(
            learned(&labels, 2, &quick()),
            Err(HeadError::Label { row: 2, label: 2, classes: 2 })
        ));
        assert!(matches!(learned(&[1; 12], 3, &quick()), Err(HeadError::Classes { found: 1 })));
        let small = HeadOptions { max_memory: 64, ..quick() };
        assert!(matches!(learned(&labels, 3, &small), Err(HeadError::Memory { limit: 64, .. })));
        let none = HeadOptions { threads: 0, ..quick() };
        assert!(matches!(learned(&labels, 3, &none), Err(HeadError::Option { name: "threads", .. })));
        let rows = Rows::new(&values, 4).unwrap();
        let stopped = fit(kind, rows, &labels, 3, &quick(), &AtomicBool::new(true));
        assert!(matches!(stopped, Err(HeadError::Stopped)), "{kind}");
        let head = learn(kind, &values, 4, &labels, 3, &quick()).unwrap();
        assert!(matches!(head.scores(Rows::new(&values, 3).unwrap()), Err(HeadError::Shape { .. })));
        assert!(learned(&labels, usize::MAX, &quick()).is_err());
    }
}

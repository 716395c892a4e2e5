//! Heads against scikit-learn, estimates against formulas in NumPy: `golden/heads.json`.

use std::sync::atomic::AtomicBool;

use oculist_testing::formula;
use oculist_testing::golden::{Value, floats, load, max_abs_difference, shape};

use crate::product::Products;
use crate::{Fitted, HeadKind, HeadOptions, Rows, estimate, fit, knn};

/// A data set that the golden file describes.
pub(crate) struct Case {
    pub(crate) golden: Value,
    values: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    dim: usize,
    pub(crate) classes: usize,
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

pub(crate) fn cases() -> Vec<Case> {
    let golden = load("heads.json");
    let make = |golden: &Value| {
        let (rows, dim, classes) =
            (number(&golden["rows"]), number(&golden["dim"]), number(&golden["classes"]));
        let few = number(&golden["few"]);
        let apart = golden["apart"].as_f64().unwrap() as f32;
        let label = |i: usize| if i.is_multiple_of(classes) && i >= few { 1 } else { (i % classes) as u32 };
        let labels: Vec<u32> = (0..rows).map(label).collect();
        let noise = formula::tensor(&format!("heads.{}.noise", golden["name"].as_str().unwrap()), rows * dim);
        let values = noise.iter().enumerate().map(|(i, &x)| {
            let (row, f) = (i / dim, i % dim);
            let x = if f == labels[row] as usize { x + apart } else { x };
            x * (1.0 + f as f32 / 4.0) + 0.5
        });
        Case { golden: golden.clone(), values: values.collect(), labels, dim, classes }
    };
    golden["cases"].as_array().unwrap().iter().map(make).collect()
}

impl Case {
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.dim).unwrap()
    }

    fn fit(&self, kind: HeadKind, options: &HeadOptions) -> Fitted {
        fit(kind, self.rows(), &self.labels, self.classes, options, &AtomicBool::new(false)).unwrap()
    }

    fn probabilities(&self, head: &Fitted) -> Vec<f32> {
        self.probabilities_of(head, 1.0)
    }

    /// Of scores times a factor.
    fn probabilities_of(&self, head: &Fitted, factor: f64) -> Vec<f32> {
        let mut scores = head.scores(self.rows()).unwrap();
        for s in &mut scores {
            *s *= factor as f32;
        }
        for row in scores.chunks_exact_mut(self.classes) {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            for s in row.iter_mut() {
                *s = (*s - most).exp();
            }
            let sum: f32 = row.iter().sum();
            for s in row.iter_mut() {
                *s /= sum;
            }
        }
        scores
    }
}

fn with_strength(c: &Value) -> HeadOptions {
    HeadOptions { strength: c.as_f64(), ..HeadOptions::default() }
}

/// Of two classes, the difference of the rows, which is the one row of scikit-learn.
fn as_one(classes: usize, values: &[f32]) -> Vec<f32> {
    if classes > 2 {
        return values.to_vec();
    }
    let half = values.len() / 2;
    values[half..].iter().zip(&values[..half]).map(|(b, a)| b - a).collect()
}

/// Of more classes, the rows less their mean, which no difference of scores has.
fn apart(classes: usize, values: &[f32]) -> Vec<f32> {
    if classes == 2 {
        return values.to_vec();
    }
    let d = values.len() / classes;
    let mean = |f: usize| values.iter().skip(f).step_by(d).sum::<f32>() / classes as f32;
    values.iter().enumerate().map(|(i, w)| w - mean(i % d)).collect()
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    for case in cases() {
        for golden in case.golden["logistic"].as_array().unwrap() {
            let head = case.fit(HeadKind::Logistic, &with_strength(&golden["c"]));
            let want = floats(&golden["probabilities"]);
            let error = max_abs_difference(&case.probabilities(&head), &want);
            assert!(error < 1e-3, "{}: probabilities {error}", case.golden["name"]);
            let (weights, bias) = head.linear().unwrap();
            let weights = as_one(case.classes, weights);
            let error = max_abs_difference(&weights, &floats(&golden["weights"]));
            assert!(error < 1e-3, "{}: weights {error}", case.golden["name"]);
            // Those of several classes are free up to a number that all share.
            let mut bias = as_one(case.classes, bias);
            if case.classes > 2 {
                let mean = bias.iter().sum::<f32>() / bias.len() as f32;
                for b in &mut bias {
                    *b -= mean;
                }
            }
            let mut want = floats(&golden["bias"]);
            if case.classes > 2 {
                let mean = want.iter().sum::<f32>() / want.len() as f32;
                for b in &mut want {
                    *b -= mean;
                }
            }
            let error = max_abs_difference(&bias, &want);
            assert!(error < 1e-3, "{}: bias {error}", case.golden["name"]);
        }
    }
}

#[test]
fn a_logistic_regression_of_another_strength_is_rejected() {
    for case in cases() {
        let golden = &case.golden["logistic"][1];
        let options = HeadOptions { strength: Some(0.1), ..HeadOptions::default() };
        let head = case.fit(HeadKind::Logistic, &options);
        let error = max_abs_difference(&case.probabilities(&head), &floats(&golden["probabilities"]));
        assert!(error > 1e-2, "{}: {error}", case.golden["name"]);
    }
}

#[test]
fn support_vector_machines_are_those_of_scikit_learn() {
    for case in cases() {
        for golden in case.golden["svm"].as_array().unwrap() {
            let head = case.fit(HeadKind::Svm, &with_strength(&golden["c"]));
            let mut scores = head.scores(case.rows()).unwrap();
            if case.classes == 2 {
                scores = scores.chunks_exact(2).map(|row| row[1]).collect();
            }
            let error = max_abs_difference(&scores, &floats(&golden["scores"]));
            assert!(error < 1e-3, "{}: {error}", case.golden["name"]);
            // Twin: scores of another strength are not these.
            let options = HeadOptions { strength: Some(0.1), ..HeadOptions::default() };
            let mut other = case.fit(HeadKind::Svm, &options).scores(case.rows()).unwrap();
            if case.classes == 2 {
                other = other.chunks_exact(2).map(|row| row[1]).collect();
            }
            assert!(max_abs_difference(&other, &floats(&golden["scores"])) > 1e-2);
        }
    }
}

#[test]
fn discriminant_analysis_is_that_of_scikit_learn() {
    for case in cases() {
        let want = floats(&case.golden["lda"]["probabilities"]);
        let head = case.fit(HeadKind::Lda, &HeadOptions::default());
        // Without the factor of held-out rows, which scikit-learn has not.
        let plain = 1.0 / head.calibration();
        let got = case.probabilities_of(&head, plain);
        let error = max_abs_difference(&got, &want);
        assert!(error < 1e-3, "{}: {error}", case.golden["name"]);
        // Twin: those of a logistic regression are not these.
        let logistic = case.fit(HeadKind::Logistic, &HeadOptions::default());
        assert!(max_abs_difference(&case.probabilities(&logistic), &want) > 1e-2);
        // Probabilities of many features are all 0 or 1; weights tell more.
        let want = apart(case.classes, &floats(&case.golden["lda"]["weights"]));
        let most = want.iter().fold(0.0, |m: f32, w| m.max(w.abs()));
        let error = |head: &Fitted| {
            let mut weights = apart(case.classes, &as_one(case.classes, head.linear().unwrap().0));
            for w in &mut weights {
                *w /= head.calibration() as f32;
            }
            max_abs_difference(&weights, &want) / most
        };
        assert!(error(&head) < 1e-3, "{}: weights {}", case.golden["name"], error(&head));
        assert!(error(&logistic) > 1e-2);
    }
}

#[test]
fn neighbours_are_those_of_scikit_learn() {
    for case in cases() {
        let golden = &case.golden["neighbours"];
        let (indices, cosines) = (shape(&golden["indices"]), floats(&golden["cosines"]));
        let k = indices.len() / case.labels.len();
        let units = knn::units(case.rows()).unwrap();
        let all: Vec<usize> = (0..case.labels.len()).collect();
        let learned = knn::Neighbours { units: units.clone(), labels: case.labels.clone(), k };
        let mut products = Products::new(1).unwrap();
        let found = learned.nearest(&mut products, &units, case.dim, Some(&all), k).unwrap().concat();
        let places: Vec<usize> = found.iter().map(|n| n.1 as usize).collect();
        assert_eq!(places, indices, "{}", case.golden["name"]);
        let found: Vec<f32> = found.iter().map(|n| n.0).collect();
        assert!(max_abs_difference(&found, &cosines) < 1e-5);
        // Twin: with the rows themselves among them they are others.
        let found = learned.nearest(&mut products, &units, case.dim, None, k).unwrap().concat();
        assert_ne!(found.iter().map(|n| n.1 as usize).collect::<Vec<_>>(), indices);
    }
}

#[test]
fn estimates_are_those_of_their_formulas() {
    let (options, stop) = (HeadOptions::default(), AtomicBool::new(false));
    for case in cases() {
        let name = case.golden["name"].as_str().unwrap();
        let (rows, labels, classes) = (case.rows(), &case.labels, case.classes);
        let within = |what: &str, got: f64, want: &Value, tolerance: f64| {
            let want = want.as_f64().unwrap();
            assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "{name}: {what} {got} for {want}");
            want
        };
        let close = |what: &str, got: f64, want: &Value| within(what, got, want, 1e-6);
        // Twins: the labels in another order give other numbers.
        let mut turned = labels.clone();
        turned.sort_unstable();
        let log_me = |l: &[u32]| estimate::log_me(rows, l, classes, &options, &stop).unwrap();
        let want = close("LogME", log_me(labels), &case.golden["log_me"]);
        assert!((log_me(&turned) - want).abs() > 1e-3);
        let h_score = |l: &[u32]| estimate::h_score(rows, l, classes, &options, &stop).unwrap();
        let want = close("H-score", h_score(labels), &case.golden["h_score"]);
        assert!((h_score(&turned) - want).abs() > 1e-3);
        let source: Vec<f32> = formula::tensor(&format!("heads.{name}.source"), labels.len() * 7)
            .chunks_exact(7)
            .flat_map(|row| {
                let sum: f64 = row.iter().map(|&s| (3.0 * f64::from(s)).exp()).sum();
                row.iter().map(move |&s| ((3.0 * f64::from(s)).exp() / sum) as f32)
            })
            .collect();
        let leep = |l: &[u32]| estimate::leep(Rows::new(&source, 7).unwrap(), l, classes).unwrap();
        let want = close("LEEP", leep(labels), &case.golden["leep"]);
        assert!((leep(&turned) - want).abs() > 1e-3);
        let collapse = |l: &[u32]| estimate::collapse(rows, l, classes, &options, &stop).unwrap();
        let (got, golden) = (collapse(labels), &case.golden["collapse"]);
        // The covariance is a sum of f32 products.
        within("variability", got.variability, &golden["variability"], 1e-4);
        close("geometry", got.geometry, &golden["geometry"]);
        let want = within("centre", got.centre, &golden["centre"], 1e-4);
        // Posteriors of many features are 1 whatever the labels are.
        assert!(want == 1.0 || (collapse(&turned).centre - want).abs() > 1e-3);
        let accuracy = estimate::neighbour_accuracy(rows, labels, classes, 5, &options, &stop).unwrap();
        close("neighbours", accuracy, &case.golden["neighbour_accuracy"]);
    }
}

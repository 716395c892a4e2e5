//! Metrics against scikit-learn, intervals against SciPy (`golden/metrics.json`).

use oculist_metrics::{
    ClassScores, Metric, MultiLabel, Outputs, Scores, classification, majority_rate, multi_label,
    wilson_interval,
};
use oculist_testing::{formula, golden};
use serde_json::Value;

/// One model's outputs and the truth.
struct Case {
    golden: Value,
    name: String,
    classes: usize,
    outputs: Vec<f32>,
    /// `[n, classes]`.
    truth: Vec<u8>,
    /// Where one class is true.
    labels: Vec<u32>,
}

impl Case {
    fn of_classification(golden: Value) -> Self {
        let labels: Vec<u32> = golden::shape(&golden["labels"]).into_iter().map(|l| l as u32).collect();
        let classes = golden["classes"].as_u64().unwrap() as usize;
        let one_hot = |&label: &u32| (0..classes).map(move |c| u8::from(c == label as usize));
        let truth = labels.iter().flat_map(one_hot).collect();
        Self::new(golden, classes, truth, labels)
    }

    fn of_multi_label(golden: Value) -> Self {
        let name = golden["name"].as_str().unwrap();
        let priors = golden::floats(&golden["priors"]);
        let count = golden["count"].as_u64().unwrap() as usize;
        let u = formula::tensor(&format!("{name}.targets"), count * priors.len());
        let truth = u.iter().enumerate().map(|(i, &u)| u8::from(u < priors[i % priors.len()])).collect();
        Self::new(golden, priors.len(), truth, Vec::new())
    }

    fn new(golden: Value, classes: usize, truth: Vec<u8>, labels: Vec<u32>) -> Self {
        let name = golden["name"].as_str().unwrap().to_owned();
        let number = |key: &str| golden[key].as_f64().unwrap() as f32;
        let (scale, boost, step) = (number("scale"), number("boost"), number("step"));
        let mut outputs = formula::tensor(&format!("{name}.logits"), truth.len());
        for (z, &truth) in outputs.iter_mut().zip(&truth) {
            if golden["probabilities"] == true {
                *z = (((*z + 1.0) * 8.0).floor() + 1.0) / 32.0;
                continue;
            }
            *z = *z * scale + boost * f32::from(truth);
            if step > 0.0 {
                *z = (*z / step).floor() * step;
            }
        }
        for i in golden::shape(&golden["nan"]) {
            outputs[i] = f32::NAN;
        }
        Self { golden, name, classes, outputs, truth, labels }
    }

    fn outputs(&self) -> Outputs<'_> {
        if self.golden["probabilities"] == true {
            Outputs::Probabilities(&self.outputs)
        } else {
            Outputs::Logits(&self.outputs)
        }
    }

    fn classification(&self) -> Scores {
        classification(self.outputs(), &self.labels, self.classes)
    }

    fn multi_label(&self) -> MultiLabel {
        let threshold = self.golden["threshold"].as_f64().unwrap();
        multi_label(self.outputs(), &self.truth, self.classes, threshold)
    }

    /// What is wrong with the scores.
    fn wrong(&self, scores: &Scores) -> Vec<String> {
        let wanted = self.golden["scores"].as_object().unwrap();
        let mut problems: Vec<_> = scores
            .iter()
            .filter(|(metric, _)| !wanted.contains_key(metric.name()))
            .map(|(metric, got)| format!("{}: {metric} is {got}, wanted none", self.name))
            .collect();
        for (name, want) in wanted {
            // An infinite loss is null there.
            let want = want.as_f64().unwrap_or(f64::INFINITY);
            let metric: Metric = name.parse().unwrap();
            // Confidences are rounded to f32 before they are summed.
            let tolerance = if metric == Metric::Ece { 1e-4 } else { 1e-9 * want.abs().max(1.0) };
            match scores.get(metric) {
                Some(got) if got == want || (got - want).abs() <= tolerance && want.is_finite() => {}
                got => problems.push(format!("{}: {metric} is {got:?}, wanted {want}", self.name)),
            }
        }
        problems
    }

    /// What is wrong with the scores of the classes.
    fn wrong_classes(&self, per_class: &[ClassScores]) -> Vec<String> {
        let all = &self.golden["per_class"];
        let mut problems = Vec::new();
        for (c, got) in per_class.iter().enumerate() {
            let numbers = [
                ("positives", Some(got.positives as f64)),
                ("predicted", Some(got.predicted as f64)),
                ("f1", Some(got.f1)),
                ("precision", Some(got.precision)),
                ("recall", Some(got.recall)),
                ("average_precision", got.average_precision),
            ];
            for (key, got) in numbers {
                let want = all[key][c].as_f64();
                let same = match (got, want) {
                    (Some(got), Some(want)) => (got - want).abs() <= 1e-9,
                    (got, want) => got == want,
                };
                if !same {
                    problems.push(format!("{}: {key} of class {c} is {got:?}, wanted {want:?}", self.name));
                }
            }
        }
        problems
    }
}

fn cases(task: &str, case: fn(Value) -> Case) -> Vec<Case> {
    let mut golden = golden::load("metrics.json");
    let Value::Array(cases) = golden[task].take() else { panic!("no {task}") };
    assert!(cases.len() > 10);
    cases.into_iter().map(case).collect()
}

fn of_classification() -> Vec<Case> {
    cases("classification", Case::of_classification)
}

fn of_multi_label() -> Vec<Case> {
    cases("multi_label", Case::of_multi_label)
}

#[test]
fn metrics_of_one_class_are_those_of_scikit_learn() {
    let problems: Vec<_> = of_classification().iter().flat_map(|c| c.wrong(&c.classification())).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn metrics_of_several_labels_are_those_of_scikit_learn() {
    for case in of_multi_label() {
        let got = case.multi_label();
        let mut problems = case.wrong(&got.scores);
        problems.extend(case.wrong_classes(&got.per_class));
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(got.per_class.len(), case.classes);
    }
}

#[test]
fn majority_rates_are_those_of_scikit_learn() {
    for case in of_classification() {
        let want = case.golden["majority_rate"].as_f64().unwrap();
        assert!((majority_rate(&case.labels).unwrap() - want).abs() < 1e-9, "{}", case.name);
        // Twin: without one image of the majority it is another rate, unless there is no other class.
        let mut fewer = case.labels.clone();
        fewer.sort_unstable();
        let most = fewer.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).unwrap()[0];
        fewer.extend(case.labels.iter().copied().filter(|&l| l == most));
        assert_eq!((majority_rate(&fewer).unwrap() - want).abs() < 1e-9, want == 100.0, "{}", case.name);
    }
}

/// How far the interval of `successes` of `count` lies from the golden one, points.
fn interval_distance(golden: &Value, successes: u64, count: u64) -> f64 {
    let got = wilson_interval(successes as usize, count as usize);
    let end = |i: usize| golden[i].as_f64().unwrap();
    (got.low - end(2)).abs().max((got.high - end(3)).abs())
}

#[test]
fn intervals_are_those_of_scipy() {
    let golden = golden::load("metrics.json");
    for case in golden["intervals"].as_array().unwrap() {
        let (successes, count) = (case[0].as_u64().unwrap(), case[1].as_u64().unwrap());
        assert!(interval_distance(case, successes, count) < 1e-9, "{case}");
        // Twin: one image more is another interval.
        assert!(interval_distance(case, successes, count + 1) > 1e-4, "{case}");
    }
}

#[test]
fn a_wrong_value_is_rejected() {
    let one = of_classification().into_iter().map(|case| (case.classification(), case));
    let several = of_multi_label().into_iter().map(|case| (case.multi_label().scores, case));
    for (scores, case) in one.chain(several) {
        for (metric, value) in scores.iter() {
            let mut wrong = scores.clone();
            for other in [value + 1e-3 * value.abs().max(1.0), f64::NAN, -1.0] {
                wrong.set(metric, other);
                // An infinite loss stays what it is.
                let expected = usize::from(other != value);
                assert_eq!(case.wrong(&wrong).len(), expected, "{}: {metric}", case.name);
            }
            let without: Scores = scores.iter().filter(|(m, _)| *m != metric).collect();
            assert_eq!(case.wrong(&without).len(), 1, "{}: {metric}", case.name);
        }
        let missing = Metric::ALL.into_iter().find(|&m| scores.get(m).is_none()).unwrap();
        let mut more = scores.clone();
        more.set(missing, 0.0);
        assert_eq!(case.wrong(&more).len(), 1, "{}: {missing}", case.name);
    }
}

#[test]
fn outputs_of_other_images_are_rejected() {
    for mut case in of_classification().into_iter().filter(|case| case.classes > 1 && case.labels.len() > 1) {
        case.outputs.rotate_left(case.classes + 1);
        assert!(!case.wrong(&case.classification()).is_empty(), "{}", case.name);
    }
    for mut case in
        of_multi_label().into_iter().filter(|case| case.truth.contains(&1) && case.truth.len() > 10)
    {
        case.outputs.rotate_left(case.classes);
        let got = case.multi_label();
        assert!(!case.wrong(&got.scores).is_empty(), "{}", case.name);
        assert!(!case.wrong_classes(&got.per_class).is_empty(), "{}", case.name);
    }
}

//! Losses and their gradients against PyTorch (`golden/losses.json`) and against finite differences in f64.

use oculist_kernels::channel_stride;
use oculist_testing::{formula, golden};
use oculist_train::{Criterion, Distillation, Loss};
use serde_json::Value;

struct Case {
    /// Student's and teacher's logits, dense `[n, k]`.
    logits: Vec<f32>,
    teacher: Vec<f32>,
    targets: Vec<f32>,
    /// The class of each image, where the target is one class.
    labels: Option<Vec<u32>>,
    weights: Vec<f32>,
    priors: Vec<f32>,
    k: usize,
    golden: Value,
}

impl Case {
    fn number(&self, key: &str) -> f32 {
        self.golden[key].as_f64().unwrap() as f32
    }

    fn loss(&self) -> Loss {
        match self.golden["kind"].as_str().unwrap() {
            "cross_entropy" => Loss::CrossEntropy,
            "focal" => Loss::Focal { gamma: self.number("strength") },
            "logit_adjusted" => Loss::LogitAdjusted { tau: self.number("strength") },
            other => panic!("{other}"),
        }
    }

    fn criterion(&self, loss: Loss, label_smoothing: f32) -> Criterion {
        Criterion::new(loss, self.k, label_smoothing, &self.weights, &self.priors).unwrap()
    }

    fn padded(&self, dense: &[f32]) -> Vec<f32> {
        let stride = channel_stride(self.k);
        let mut padded = vec![0.0; dense.len() / self.k * stride];
        for (row, values) in padded.chunks_mut(stride).zip(dense.chunks(self.k)) {
            row[..self.k].copy_from_slice(values);
        }
        padded
    }

    /// Loss and dense gradient.
    fn evaluate(&self, criterion: &Criterion, labels: Option<&[u32]>) -> (f64, Vec<f32>) {
        let (logits, teacher) = (self.padded(&self.logits), self.padded(&self.teacher));
        let distillation = (self.number("alpha") > 0.0).then(|| Distillation {
            logits: &teacher,
            alpha: self.number("alpha"),
            temperature: self.number("temperature"),
        });
        let mut gradient = vec![7.0; logits.len()];
        let loss = match labels {
            Some(labels) => {
                criterion.loss_and_gradient(labels, distillation.as_ref(), &logits, &mut gradient)
            }
            None => {
                criterion.soft_loss_and_gradient(&self.targets, distillation.as_ref(), &logits, &mut gradient)
            }
        };
        let stride = channel_stride(self.k);
        assert!(gradient.chunks(stride).all(|row| row[self.k..].iter().all(|&x| x == 0.0)), "padding is 0");
        (loss, gradient.chunks(stride).flat_map(|row| row[..self.k].to_vec()).collect())
    }

    /// How far loss and gradient lie from the golden ones.
    fn distance(&self, (loss, gradient): &(f64, Vec<f32>)) -> f64 {
        let off = golden::max_abs_difference(gradient, &golden::floats(&self.golden["gradient"]));
        f64::from(off).max((loss - self.golden["loss"].as_f64().unwrap()).abs())
    }

    /// The loss without the teacher, by its definition, for logits in f64.
    fn defined(&self, z: &[f64]) -> f64 {
        let smoothing = f64::from(self.number("label_smoothing"));
        let mut total = 0.0;
        for (z, q) in z.chunks(self.k).zip(self.targets.chunks(self.k)) {
            let tau = if let Loss::LogitAdjusted { tau } = self.loss() { f64::from(tau) } else { 0.0 };
            let z: Vec<f64> =
                z.iter().enumerate().map(|(c, z)| z + tau * f64::from(self.priors[c]).ln()).collect();
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            for c in 0..self.k {
                let p = z[c].exp() / sum;
                let q = (1.0 - smoothing) * f64::from(q[c]) + smoothing / self.k as f64;
                let weight = self.weights.get(c).map_or(1.0, |w| f64::from(*w));
                let damping =
                    if let Loss::Focal { gamma } = self.loss() { (1.0 - p).powf(gamma.into()) } else { 1.0 };
                total -= weight * q * damping * p.ln();
            }
        }
        total / (z.len() / self.k) as f64
    }
}

fn cases() -> Vec<Case> {
    let file = golden::load("losses.json");
    let [n, k] = golden::shape(&file["shape"])[..] else { panic!("expected [n, k]") };
    let scaled = |name: &str, scale: &str| -> Vec<f32> {
        let scale = file[scale].as_f64().unwrap() as f32;
        formula::tensor(name, n * k).into_iter().map(|v| scale * v).collect()
    };
    let (first, second) = (golden::shape(&file["first"]), golden::shape(&file["second"]));
    let of = |golden: &Value| {
        let share = golden["share"].as_f64().unwrap() as f32;
        let mut targets = vec![0.0; n * k];
        for i in 0..n {
            targets[i * k + first[i]] += share;
            targets[i * k + second[i]] += 1.0 - share;
        }
        Case {
            logits: scaled("loss.logits", "logit_scale"),
            teacher: scaled("loss.teacher", "teacher_scale"),
            targets,
            labels: (share == 1.0).then(|| first.iter().map(|&l| l as u32).collect()),
            weights: if golden["weighted"] == true { golden::floats(&file["weights"]) } else { Vec::new() },
            priors: golden::floats(&file["priors"]),
            k,
            golden: golden.clone(),
        }
    };
    file["cases"].as_array().unwrap().iter().map(of).collect()
}

const TOLERANCE: f64 = 2e-6;

#[test]
fn losses_and_gradients_match_pytorch_and_other_losses_do_not() {
    for case in cases() {
        let smoothing = case.number("label_smoothing");
        let criterion = case.criterion(case.loss(), smoothing);
        let found = case.evaluate(&criterion, None);
        assert!(case.distance(&found) < TOLERANCE, "{}: {}", case.golden, case.distance(&found));
        if let Some(labels) = &case.labels {
            let found = case.evaluate(&criterion, Some(labels));
            assert!(case.distance(&found) < TOLERANCE, "{}: {}", case.golden, case.distance(&found));
        }
        let wrong = [
            case.criterion(case.loss(), smoothing + 0.05),
            case.criterion(Loss::Focal { gamma: 1.0 }, smoothing),
            case.criterion(Loss::LogitAdjusted { tau: 0.7 }, smoothing),
        ];
        for wrong in wrong {
            let off = case.distance(&case.evaluate(&wrong, None));
            assert!(off > 1000.0 * TOLERANCE, "{}: {wrong:?} is only {off} off", case.golden);
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_definition() {
    const STEP: f64 = 1e-5;
    for case in cases().iter().filter(|case| case.number("alpha") == 0.0) {
        let criterion = case.criterion(case.loss(), case.number("label_smoothing"));
        let (loss, gradient) = case.evaluate(&criterion, None);
        let mut z: Vec<f64> = case.logits.iter().map(|&z| f64::from(z)).collect();
        assert!((loss - case.defined(&z)).abs() < TOLERANCE, "{}", case.golden);
        for i in 0..z.len() {
            let at = z[i];
            z[i] = at + STEP;
            let above = case.defined(&z);
            z[i] = at - STEP;
            let slope = (above - case.defined(&z)) / (2.0 * STEP);
            z[i] = at;
            assert!((f64::from(gradient[i]) - slope).abs() < TOLERANCE, "{} {i}: {slope}", case.golden);
        }
        assert!(gradient.iter().any(|g| g.abs() > 0.01));
    }
}
